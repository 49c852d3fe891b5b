"""The plans that are shipped as examples do what they say, on top of the province's hierarchy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from sqlalchemy import func, select

from ca.ceremonies.ceremony import CeremonyResult, RootSettings, run_ceremony
from ca.ceremonies.plan import Plan, load_plan, parse_plan
from ca.checking.checks import check_everything
from ca.issuance import issue
from ca.models import CertificateRow
from ca.status import crl
from ca.status.ocsp import Responder
from tests.ca.subjects import MAU
from tests.world import BASE_URL, BY, PROVINCE, WITNESSES, World

PLANS = sorted(path for path in PROVINCE.parent.glob("*.yaml") if path != PROVINCE)
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def quick(path: Path) -> Plan:
    text = path.read_text("utf-8")
    # The same kind as in the other ceremonies of this test token, which finds keys by their label.
    return parse_plan(text.replace("rsa-4096", "p-256").replace("rsa-3072", "p-256"))


def held(world: World, plan: Plan, *, dry_run: bool = False) -> CeremonyResult:
    result = run_ceremony(
        plan,
        root_settings=RootSettings(world.root_directory),
        token=world.token,
        database=world.database,
        base_url=BASE_URL,
        witnesses=() if dry_run else WITNESSES,
        now=world.now,
        by="operator:ceremony",
        dry_run=dry_run,
    )
    world.authority.refresh()
    return result


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_as_a_dry_run(world: World, path: Path) -> None:
    """A dry run prints what would be signed, and leaves nothing."""
    assert load_plan(path).title
    with world.database.reading() as session:
        before = session.scalar(select(func.count()).select_from(CertificateRow))
    result = held(world, quick(path), dry_run=True)
    assert result.certificates
    for name in result.certificates:
        assert any(name in line for line in result.log)
    with world.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(CertificateRow)) == before


def test_rollover(world: World) -> None:
    """A new issuing CA beside the old, both served."""
    made = held(world, quick(PROVINCE.parent / "rollover.yaml")).certificates
    assert list(made) == ["persons-g2", "ocsp-persons-g2"]
    certificate = issue(
        world.authority,
        profile="official",
        subject=MAU,
        public_key=world.key(),
        now=world.now,
        by=BY,
    )
    assert world.authority.chain(certificate)[0] == made["persons-g2"]
    for name in ("persons-g1", "persons-g2"):
        assert crl.publish(world.authority, name, now=world.now, by=BY)
    assert check_everything(world.authority, world.now).problems == []


def test_once_a_year(world: World) -> None:
    """RFC 6960 §4.2.2.2: a responder's certificate is short-lived, so a root's is made again."""
    before = world.authority.service("ocsp-root").certificate
    number = crl_number(world)
    made = held(world, quick(PROVINCE.parent / "root-yearly.yaml")).certificates
    assert list(made) == ["ocsp-root-2027"]
    assert made["ocsp-root-2027"].public_key() != before.public_key()
    about = world.authority.issuer("persons-g1").certificate
    answer = ocsp.load_der_ocsp_response(Responder(world.authority).answer(about, now=world.now))
    assert answer.certificates == [made["ocsp-root-2027"]]
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert crl_number(world) == number + 1
    assert check_everything(world.authority, world.now).problems == []


def crl_number(world: World) -> int:
    parsed = x509.load_der_x509_crl(crl.current(world.authority, "root") or b"")
    return parsed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def test_root_rekey(world: World, tmp_path: Path) -> None:
    """RFC 4210 §4.4: the new root is reached from the old one, and the old from the new."""
    made = held(world, quick(PROVINCE.parent / "root-rekey.yaml")).certificates
    assert {"root-g2", "root-g2-by-root", "root-by-root-g2", "ocsp-root-g2"} == set(made)
    files = {
        "old": world.authority.issuer("root").certificate,
        "new": made["root-g2"],
        "new-by-old": made["root-g2-by-root"],
        "responder": made["ocsp-root-g2"],
    }
    for name, certificate in files.items():
        (tmp_path / name).write_bytes(certificate.public_bytes(Encoding.PEM))
    told = subprocess.run(
        ["openssl", "verify", "-CAfile", "old", "-untrusted", "new-by-old", "responder"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert crl.current(world.authority, "root-g2") is not None
    assert check_everything(world.authority, world.now).problems == []


def test_cross(world: World) -> None:
    """Cross-certificates."""
    plan = quick(PROVINCE.parent / "cross.yaml")
    certificate = held(world, plan).certificates["example-province"]
    certificate.verify_directly_issued_by(world.authority.issuer("root").certificate)
    theirs = plan.cross[0].certificate
    assert certificate.subject == theirs.subject
    assert certificate.public_key() == theirs.public_key()
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert basic.ca
    assert check_everything(world.authority, world.now).problems == []
