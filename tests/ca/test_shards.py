"""Lists in parts: what a certificate names is what its list says of itself (RFC 5280 §5.2.5)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select, update

from ca.authority import Authority
from ca.checking.checks import check_everything
from ca.issuance import Order, issue, issue_many
from ca.models import CertificateRow
from ca.status import crl
from ca.status.crl_contents import CrlPolicy
from ca.status.crl_scope import Scope, shards_for
from ca.status.revocation import RevocationReason, revoke
from ca.status.static_files import write
from tests.ca.status_world import run
from tests.ca.subjects import MAU, SERVICE
from tests.world import BASE_URL, BY, World


@pytest.fixture
def sharded(world: World) -> Authority:
    """Three certificates to a list."""
    policy = CrlPolicy(shard_size=3)
    return Authority(world.database, world.token, base_url=BASE_URL, crl_policy=policy)


def point_of(certificate: x509.Certificate) -> str:
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert points[0].full_name is not None
    return str(points[0].full_name[0].value)


def address_of(encoded: bytes | None) -> str:
    assert encoded is not None
    listed = x509.load_der_x509_crl(encoded)
    point = listed.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    assert point.full_name is not None
    return str(point.full_name[0].value)


def officials(authority: Authority, world: World, count: int) -> list[x509.Certificate]:
    orders = [Order("official", MAU, world.key()) for _ in range(count)]
    return issue_many(authority, orders, now=world.now, by=BY)


def test_point_and_list_agree(sharded: Authority, world: World, tmp_path: Path) -> None:
    """RFC 5280 §6.3.3 (b)(2)(i): "verify that one of the names in the IDP matches one of the names
    in the DP"; openssl judges."""
    made = officials(sharded, world, 5)
    assert [point_of(one)[len(BASE_URL) :] for one in made] == [
        *["/pki/crl/persons-g1-1.crl"] * 3,
        *["/pki/crl/persons-g1-2.crl"] * 2,
    ]
    # The list was there before the first certificate that names it.
    for shard in (1, 2, 3):
        encoded = crl.current(sharded, "persons-g1", Scope.of_shard(shard))
        assert address_of(encoded) == f"{BASE_URL}/pki/crl/persons-g1-{shard}.crl"
    revoke(
        sharded,
        made[4].serial_number,
        reason=RevocationReason.SUPERSEDED,
        now=world.now,
        by=BY,
    )
    second = x509.load_der_x509_crl(crl.current(sharded, "persons-g1", Scope.of_shard(2)) or b"")
    assert [entry.serial_number for entry in second] == [made[4].serial_number]
    assert not list(
        x509.load_der_x509_crl(crl.current(sharded, "persons-g1", Scope.of_shard(1)) or b"")
    )
    assert check_everything(sharded, world.now).ok

    paths = world.certificates(tmp_path)
    for number, certificate in enumerate(made):
        (tmp_path / f"{number}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    for shard in (1, 2):
        encoded = crl.current(sharded, "persons-g1", Scope.of_shard(shard)) or b""
        listed = x509.load_der_x509_crl(encoded)
        (tmp_path / f"shard-{shard}.pem").write_bytes(listed.public_bytes(Encoding.PEM))

    def verified(number: int, shard: int) -> str:
        done = run(
            "openssl", "verify", "-crl_check", "-CAfile", str(paths["root"]),
            "-untrusted", str(paths["persons-g1"]),
            "-CRLfile", str(tmp_path / f"shard-{shard}.pem"), str(tmp_path / f"{number}.pem"),
        )  # fmt: skip
        return done.stdout + done.stderr

    assert ": OK" in verified(3, 2)
    assert "certificate revoked" in verified(4, 2)
    # Another part does not speak for it.
    assert "different crl scope" in verified(4, 1).lower()


def test_services_name_the_complete_list(sharded: Authority, world: World) -> None:
    """Sharded where large; a handful of services are not."""
    made = issue(
        sharded,
        profile="api-client",
        subject=SERVICE,
        public_key=world.key(),
        now=world.now,
        by=BY,
    )
    assert point_of(made) == f"{BASE_URL}/pki/crl/services-g1.crl"


def test_shards_are_kept_current_for_ever(sharded: Authority, world: World) -> None:
    """Never expired while the service lives, also when sharding was switched off."""
    officials(sharded, world, 1)
    plain = Authority(world.database, world.token, base_url=BASE_URL)
    later = world.now + timedelta(hours=30)
    made = crl.publish_due(plain, now=later, by="system:crl")
    assert {"shard-1", "shard-2"} <= set(made["persons-g1"])


def test_places_of_two_processes(sharded: Authority, world: World) -> None:
    """Each process takes a block; a place is nobody's twice, and a new block opens its list."""
    with world.database.transaction() as session:
        assert shards_for(session, "persons-g1", 7, size=3) == [1, 1, 1, 2, 2, 2, 3]
    made = officials(sharded, world, 3)
    assert [point_of(one).rpartition("-")[2] for one in made] == ["3.crl", "3.crl", "4.crl"]


def test_the_checker_reads_the_parts(sharded: Authority, world: World) -> None:
    """Rows are compared with the lists."""
    made = officials(sharded, world, 1)[0]
    with world.database.transaction() as session:
        session.execute(
            update(CertificateRow)
            .where(CertificateRow.serial == f"{made.serial_number:032x}")
            .values(crl_shard=2)
        )
    found = {problem.code for problem in check_everything(sharded, world.now).problems}
    assert "lint" in found  # the row says another part than the certificate does
    with world.database.reading() as session:
        assert session.scalars(select(CertificateRow.crl_shard)).all()


def test_parts_are_files_too(sharded: Authority, world: World, tmp_path: Path) -> None:
    """CRLs also written as static files for a web server or CDN."""
    officials(sharded, world, 1)
    crl.publish(sharded, "persons-g1", now=world.now, by=BY)
    written = write(sharded, tmp_path)
    assert {"crl/persons-g1.crl", "crl/persons-g1-1.crl", "certificates/root.cer"} <= set(written)
    assert write(sharded, tmp_path) == []
