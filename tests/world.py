"""A small world, ready to work in: a hierarchy on a test token, in a fresh database per test.

    def test_something(world: World) -> None:
        issue(world.authority, profile="official", subject=mau(), public_key=world.key(),
              now=world.now, by=BY)

The ceremony runs once per process, with quick keys; its rows are copied into each test's database,
so a world costs milliseconds. `world.now` is the true time (outside judges look at the clock), the
ceremony was held the day before.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Table, delete, insert, select

from ca.authority import Authority
from ca.ceremonies.ceremony import RootSettings, run_ceremony
from ca.ceremonies.plan import Plan, parse_plan
from ca.ceremonies.root_secret import Witness
from hsm.sealing import PinCost
from hsm.token import Token
from records.blobs import BlobStore
from records.database import Base, Database
from tests.tokens import test_token

BASE_URL = "http://pki.dauso.vn"
NOW = datetime.now(UTC).replace(microsecond=0)
CEREMONY = NOW - timedelta(days=1)
BY = "operator:test"
WITNESSES = (
    Witness("Nguyễn Thị Mẫu", "bốn con ngựa ô chạy"),
    Witness("Lê Văn Thử", "chín cây cầu treo cũ"),
)
ONE_DATABASE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what is the same on both databases and costs seconds: one of them is enough."""
QUICK_PINS = PinCost(memory_kib=64, iterations=1, lanes=1)
"""Seals that cost nothing to open; what the service's own cost is, tests/hsm/test_sealing.py and
the demonstration say."""
PROVINCE = Path(__file__).parent.parent / "ca" / "plans" / "province.yaml"


def quick_plan() -> Plan:
    """The province's own plan with keys that are made in milliseconds."""

    text = PROVINCE.read_text("utf-8")
    return parse_plan(text.replace("rsa-4096", "p-256").replace("rsa-3072", "rsa-2048"))


def _root_directory() -> Path:
    return _hierarchy().root_directory


@dataclass
class World:
    """Everything a room needs from the rooms below it, wired as the service wires it."""

    database: Database
    blobs: BlobStore
    token: Token
    now: datetime = NOW
    base_url: str = BASE_URL
    root_directory: Path = field(default_factory=lambda: _root_directory())

    @cached_property
    def authority(self) -> Authority:
        return Authority(self.database, self.token, base_url=self.base_url)

    @cached_property
    def responder(self) -> Any:
        from ca.status.ocsp import Responder

        return Responder(self.authority)

    @cached_property
    def tsa(self) -> Any:
        from ca.time.tsa import TimeStampAuthority

        return TimeStampAuthority(self.authority)

    @cached_property
    def custody(self) -> Any:
        from hsm.custody import Custody

        return Custody(self.token)

    @cached_property
    def trust(self) -> Any:
        from ca.trust import TrustStore

        return TrustStore.from_authority(self.authority)

    @cached_property
    def desk(self) -> Any:
        """What signing needs; there once the signer's room is."""
        from signer.desk import Desk

        return Desk(
            database=self.database,
            blobs=self.blobs,
            authority=self.authority,
            custody=self.custody,
            responder=self.responder,
            tsa=self.tsa,
            trust=self.trust,
            pin_cost=QUICK_PINS,
        )

    def key(self) -> ec.EllipticCurvePublicKey:
        """A fresh holder's key, its private half thrown away."""
        return ec.generate_private_key(ec.SECP256R1()).public_key()

    def certificates(self, directory: Path) -> dict[str, Path]:
        """Every issuer's certificate as PEM, for outside judges."""
        from cryptography.hazmat.primitives.serialization import Encoding

        written = {}
        for issuer in self.authority.issuers():
            written[issuer.name] = directory / f"{issuer.name}.pem"
            written[issuer.name].write_bytes(issuer.certificate.public_bytes(Encoding.PEM))
        return written


@dataclass(frozen=True)
class _Hierarchy:
    """The ceremony of this process: its rows, table by table, and where its root token is."""

    rows: list[tuple[Table, list[dict[str, Any]]]]
    root_directory: Path


@cache
def _hierarchy() -> _Hierarchy:
    home = Path(tempfile.mkdtemp(prefix="dauso-world-"))
    import atexit
    import shutil

    atexit.register(shutil.rmtree, home, ignore_errors=True)
    database = Database(f"sqlite:///{home / 'world.sqlite'}")
    database.migrate()
    plan = quick_plan()
    run_ceremony(
        plan,
        root_settings=RootSettings(home / "root"),
        token=test_token(),
        database=database,
        base_url=BASE_URL,
        witnesses=WITNESSES,
        now=CEREMONY,
        by=BY,
    )
    rows = []
    with database.reading() as session:
        for table in Base.metadata.sorted_tables:
            counted = table.autoincrement_column
            columns = [column for column in table.columns if column is not counted]
            found = [dict(row) for row in session.execute(select(*columns)).mappings()]
            if found:
                rows.append((table, found))
    database.dispose()
    return _Hierarchy(rows, home / "root")


def load_hierarchy(database: Database) -> Path:
    """Put the ceremony's rows into an empty, migrated database; where the root token is."""
    hierarchy = _hierarchy()
    with database.transaction() as session:
        for table, rows in hierarchy.rows:
            if table.name == "audit_head":
                session.execute(delete(table))
            session.execute(insert(table), rows)
    return hierarchy.root_directory


@pytest.fixture
def world(database: Database, blobs: BlobStore) -> World:
    """The world on a database of each kind."""
    token = test_token()
    root = load_hierarchy(database)
    return World(database=database, blobs=blobs, token=token, root_directory=root)
