"""The clock of the time-stamp authority, as the house wires it (EN 319 421 TIS-7.7.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import cms
from sqlalchemy import select

from api import time_references
from api.house import House
from api.settings import Settings, SettingsError
from api.time_references import readable, references
from ca.time.clock import ClockDoubtful, ClockWatch, KernelClock, Reference
from ca.time.sntp import TimeServer
from records.models import AuditEntry
from tests.api.conftest import ONLY_SQLITE, house_of
from tests.world import World

DIGEST = bytes(32)


class Told:
    """A reference of the test's own."""

    name = "told"

    def __init__(self) -> None:
        self.ahead: timedelta | None = timedelta(0)

    def offset(self) -> timedelta:
        if self.ahead is None:
            raise OSError("silent")
        return self.ahead


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    reference = Told()

    def only(words: tuple[str, ...]) -> tuple[Reference, ...]:
        assert words == ("told",)
        return (reference,)

    monkeypatch.setattr("api.house.references", only)
    return reference


@pytest.fixture
def house(world: World, tmp_path: Path, told: Told) -> House:
    """A house that wires its own time-stamp authority."""
    made = house_of(world, tmp_path / "home", clock_references=("told",))
    made.__dict__.pop("tsa")
    return made


def gen_time(token: bytes) -> datetime:
    content = cms.ContentInfo.load(token)["content"]["encap_content_info"]["content"]
    moment: datetime = content.parsed["gen_time"].native
    return moment


@ONLY_SQLITE
def test_a_stamp_bears_the_time_of_its_making(house: House) -> None:
    """RFC 3161 §2.4.2: "genTime is the time at which the time-stamp token has been created"; a
    request that waited for a minute is stamped with the time it is now."""
    before = datetime.now(UTC)
    asked = before - timedelta(minutes=1)
    made = gen_time(house.tsa.stamp(DIGEST, now=asked))
    assert before - timedelta(seconds=1) <= made <= datetime.now(UTC)


@ONLY_SQLITE
def test_no_stamp_while_a_reference_disagrees(house: House, told: Told, world: World) -> None:
    """EN 319 421 TIS-7.7.2: "the TSU shall stop time-stamp issuance", and begins again after
    the clock is right; both are in the audit log."""
    told.ahead = timedelta(seconds=0.7)
    with pytest.raises(ClockDoubtful, match="told"):
        house.tsa.stamp(DIGEST, now=world.now)
    refused = house.tsa.respond(b"", now=world.now)
    assert refused[4:7] == b"\x02\x01\x02"
    told.ahead = timedelta(seconds=0.1)
    clock = house.tsa.__dict__["_clock"]
    assert isinstance(clock, ClockWatch)
    clock.look_every = timedelta(0)
    house.tsa.stamp(DIGEST, now=world.now)
    with world.database.reading() as session:
        tags = list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))
    assert tags.index("clock.lost") < tags.index("clock.regained")


@ONLY_SQLITE
def test_no_stamp_when_references_stay_silent(house: House, told: Told, world: World) -> None:
    """A clock nobody has vouched for in ten minutes is not believed."""
    house.tsa.stamp(DIGEST, now=world.now)
    clock = house.tsa.__dict__["_clock"]
    told.ahead = None
    clock.look_every, clock.patience = timedelta(0), timedelta(0)
    with pytest.raises(ClockDoubtful, match="no time reference answers"):
        house.tsa.stamp(DIGEST, now=world.now)


@pytest.mark.parametrize("text", ["", "auto,kernel", "none,ntp.vn", "ntp vn", "-x", "ntp.vn:port"])
def test_settings_that_cannot_be_meant(text: str) -> None:
    """DESIGN §3.8: contradictory settings refuse to start, in plain words."""
    words = tuple(word for word in text.split(",") if word)
    assert not readable(words)
    if text:
        with pytest.raises(SettingsError, match="DAUSO_CLOCK_REFERENCES"):
            Settings.from_environment({"DAUSO_CLOCK_REFERENCES": text})


def test_what_the_words_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/operations.md: auto, none, kernel, time servers."""
    named = Settings.from_environment({"DAUSO_CLOCK_REFERENCES": "kernel, ntp.vn,192.0.2.1:1123"})
    assert references(named.clock_references) == (
        KernelClock(),
        TimeServer("ntp.vn", 123),
        TimeServer("192.0.2.1", 1123),
    )
    assert references(("none",)) == ()

    class Kept(KernelClock):
        def offset(self) -> timedelta:
            return timedelta(0)

    class Loose(KernelClock):
        def offset(self) -> timedelta:
            raise OSError("not synchronised")

    for kind, count in ((Kept, 1), (Loose, 0)):
        monkeypatch.setattr(time_references, "KernelClock", kind)
        assert len(references(("auto",))) == count
