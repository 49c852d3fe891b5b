"""The authority the benches of the CA measure: a real ceremony on a real token, in a temporary
directory, with a population of rows.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import insert, update

from ca.authority import Authority
from ca.ceremonies.ceremony import RootSettings, run_ceremony
from ca.ceremonies.plan import parse_plan
from ca.ceremonies.root_secret import Witness
from ca.issuance import issue
from ca.models import CertificateRow, ServiceKeyRow, serial_text
from ca.names import Subject
from ca.status import status_changes
from ca.status.status_changes import StatusChange
from hsm.mechanisms import KeyAlgorithm
from hsm.softhsm import prepare
from hsm.token import Token
from records.database import Database

ISSUER = "persons-g1"
BY = "system:bench"
_PLAN = Path(__file__).parent.parent / "ca" / "plans" / "province.yaml"
_WITNESSES = (
    Witness("Nguyễn Thị Mẫu", secrets.token_hex(12)),
    Witness("Lê Văn Thử", secrets.token_hex(12)),
)


@dataclass(frozen=True)
class BenchWorld:
    home: Path
    token: Token
    database: Database
    authority: Authority
    now: datetime


@contextmanager
def bench_world() -> Iterator[BenchWorld]:
    """The province's plan with RSA-2048 issuing keys and P-256 for OCSP and time-stamps."""
    with TemporaryDirectory(prefix="dauso-bench-") as directory:
        home = Path(directory)
        pin = secrets.token_hex(8)
        token = Token.open(
            prepare(home / "token", label="bench", pin=pin, so_pin=secrets.token_hex(8))
        )
        database = Database(f"sqlite:///{home / 'dauso.sqlite'}")
        database.migrate()
        text = _PLAN.read_text("utf-8").replace("rsa-4096", "p-256").replace("rsa-3072", "rsa-2048")
        now = datetime.now(UTC).replace(microsecond=0)
        run_ceremony(
            parse_plan(text),
            root_settings=RootSettings(home / "root"),
            token=token,
            database=database,
            base_url="http://pki.dauso.vn",
            witnesses=_WITNESSES,
            now=now - timedelta(minutes=1),
            by=BY,
        )
        yield BenchWorld(
            home, token, database, Authority(database, token, base_url="http://pki.dauso.vn"), now
        )
        database.dispose()
        token.close()


def with_rsa_services(world: BenchWorld) -> BenchWorld:
    """The same authority after its responder and its time-stamp unit changed to RSA-2048 keys."""
    authority = world.authority
    for name, profile in ((f"ocsp-{ISSUER}", "ocsp"), ("tsa-g1", "tsa")):
        resident = world.token.generate(KeyAlgorithm.RSA_2048, label=f"{name}-rsa")
        old = authority.service(name)
        certificate = issue(
            authority,
            profile=profile,
            subject=Subject.from_x509(old.certificate.subject),
            public_key=resident.public_key,
            issuer=old.issuer,
            now=world.now,
            by=BY,
        )
        with world.database.transaction() as session:
            session.execute(
                update(ServiceKeyRow)
                .where(ServiceKeyRow.name == name)
                .values(certificate=certificate.public_bytes(Encoding.DER), key_id=resident.key_id)
            )
    return replace(
        world, authority=Authority(world.database, world.token, base_url=authority.base_url)
    )


def populate(world: BenchWorld, count: int) -> list[int]:
    """Rows of certificates as issued; the serials. What is in a certificate matters to nobody."""
    serials = [secrets.randbits(126) | 1 << 126 for _ in range(count)]
    rows = [
        {
            "serial": serial_text(serial),
            "issuer": ISSUER,
            "profile": "official",
            "subject": "Lê Văn Thử",
            "der": b"",
            "not_before": world.now,
            "not_after": world.now + timedelta(days=1826),
            "spki_sha256": serial.to_bytes(32, "big"),
            "issued_at": world.now,
            "issued_by": BY,
            "status": "good",
        }
        for serial in serials
    ]
    with world.database.transaction() as session:
        for start in range(0, count, 5000):
            session.execute(insert(CertificateRow), rows[start : start + 5000])
    return serials


def revoke_all(world: BenchWorld, serials: list[int], *, shard_size: int) -> None:
    """Status changes for all of them, in shards of this size."""
    reasons = [
        x509.ReasonFlags.cessation_of_operation,
        x509.ReasonFlags.affiliation_changed,
        x509.ReasonFlags.key_compromise,
    ]
    changes = [
        StatusChange(serial, reasons[n % 3], world.now, shard=n // shard_size + 1)
        for n, serial in enumerate(serials)
    ]
    with world.database.transaction() as session:
        status_changes.append_all(session, issuer=ISSUER, changes=changes, now=world.now)
