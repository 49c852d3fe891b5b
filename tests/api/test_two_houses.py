"""Two nodes on one database: what one has in hand, the other's recovery leaves alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import select

from ca import issuance
from ca.issuance import Order
from ca.models import CertificateStatus, IntentionRow
from ca.names import Subject
from ca.status import crl
from hsm.mechanisms import KeyAlgorithm
from signer.errors import CredentialUnusable
from signer.keys import credentials
from signer.models import CredentialRow
from tests.api.conftest import ONLY_SQLITE, house_of
from tests.world import BY, World

ONLY_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
MAU = Subject.official("Nguyễn Thị Mẫu", citizen_id="038912345678", unit="UBND phường Hạc Thành")


def states(world: World) -> list[str]:
    with world.database.reading() as session:
        wanted = select(CredentialRow.state).order_by(CredentialRow.created_at)
        return list(session.scalars(wanted))


def enrol(world: World) -> credentials.Credential:
    return credentials.enrol(
        world.desk,
        profile="official",
        subject=MAU,
        holder_id="CCCD:038912345678",
        pin="806412",
        algorithm=KeyAlgorithm.P_256,
        now=world.now,
        by=BY,
    )


@ONLY_POSTGRESQL
def test_a_node_that_starts_lets_the_others_finish(world: World, tmp_path: Path) -> None:
    """An intention is another node's work in hand until it is too old for that."""
    one, two = (house_of(world, tmp_path / name) for name in ("one", "two"))
    one.enter(now=world.now)
    orders = [Order("official", MAU, world.key())]
    prepared = issuance.intend(world.authority, orders, now=world.now, by=BY)
    two.enter(now=world.now + timedelta(minutes=9))
    certificates = issuance.act(world.authority, prepared, now=world.now, by=BY)
    issuance.conclude(world.authority, prepared, certificates, now=world.now, by=BY)

    issuance.intend(world.authority, [Order("official", MAU, world.key())], now=world.now, by=BY)
    two.recover(now=world.now + timedelta(minutes=10))
    with world.database.reading() as session:
        wanted = select(IntentionRow.state).where(IntentionRow.profile == "official")
        assert sorted(session.scalars(wanted)) == ["issued", "void"]
    for house in (one, two):
        # The world's parts are closed by their fixture; a node's own is its lock.
        house.__dict__ = {"_at_work": house._at_work}
        house.close()


@ONLY_POSTGRESQL
def test_a_slow_enrolment_that_was_given_up_leaves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever comes last, recovery or the process thought dead: no certificate without a key."""
    two = house_of(world, tmp_path / "two")
    made: list[x509.Certificate] = []
    real = issuance.issue

    def slow(*arguments: object, **named: object) -> x509.Certificate:
        made.append(real(*arguments, **named))  # type: ignore[arg-type]  # as they came
        two.recover(now=world.now + timedelta(minutes=10))
        return made[-1]

    def slower(*arguments: object, **named: object) -> x509.Certificate:
        two.recover(now=world.now + timedelta(minutes=10))
        made.append(real(*arguments, **named))  # type: ignore[arg-type]  # as they came
        return made[-1]

    for comes_back in (slow, slower):
        monkeypatch.setattr(issuance, "issue", comes_back)
        with pytest.raises(CredentialUnusable) as refused:
            enrol(world)
        assert refused.value.code == "credential-abandoned"
        record = world.authority.certificate(made[-1].serial_number)
        assert record.status is CertificateStatus.REVOKED
    monkeypatch.undo()
    later = world.now + timedelta(minutes=15)
    assert "persons-g1" in crl.publish_due(world.authority, now=later, by=BY)
    assert len(x509.load_der_x509_crl(crl.current(world.authority, "persons-g1") or b"")) == 2
    assert crl.publish_due(world.authority, now=later, by=BY) == {}
    enrol(world)
    assert sorted(states(world)) == ["abandoned", "abandoned", "active"]


@ONLY_SQLITE
def test_whoever_is_alone_clears_up_at_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash of the only process nobody waits ten minutes."""

    def struck(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(issuance, "issue", struck)
    with pytest.raises(KeyboardInterrupt):
        enrol(world)
    monkeypatch.undo()
    house_of(world, tmp_path / "home").enter(now=world.now)
    assert states(world) == ["abandoned"]
