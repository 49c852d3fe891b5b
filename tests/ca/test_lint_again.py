"""pkilint over many certificates: quicker than pkilint alone, and the same verdicts."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkilint import validation

from ca import lint, lint_dispatch
from ca.checking import lint_again
from ca.checking.lint_again import Asked
from ca.issuance import issue
from ca.profiles import PROFILES, Kind
from tests.ca.subjects import BY_PROFILE
from tests.world import BY, World

ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def harmed(world: World) -> Iterator[Asked]:
    """A certificate of each kind of holder, and copies with some octets changed."""
    chance = random.Random(5280)
    for profile in ("official", "agency-seal", "api-client"):
        made = issue(
            world.authority, profile=profile, subject=BY_PROFILE[profile],
            public_key=world.key(), now=world.now, by=BY,
        )  # fmt: skip
        der, kind = made.public_bytes(Encoding.DER), PROFILES[profile].kind
        yield Asked(profile, der, kind, local_names=False)
        for tried in range(30):
            changed = bytearray(der)
            for place in chance.sample(range(20, len(der) - 300), 2):
                changed[place] ^= 1 << chance.randrange(8)
            one = Asked(f"{profile}-{tried}", bytes(changed), kind, local_names=tried % 2 > 0)
            if _readable(one.der):
                yield one


def _readable(der: bytes) -> bool:
    try:
        x509.load_der_x509_certificate(der)
    except ValueError:
        return False
    return True


@ONLY_SQLITE
def test_the_verdicts_are_pkilints_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ca check` trusts nobody and looks at everything: what is remembered changes no finding.

    Neither do the number of processes or the end of one of them.
    """
    asked = list(harmed(world))
    ours = list(lint_again.judged(asked))
    assert [one for one, _ in ours] == [one.serial for one in asked]
    stopping = [one for _, found in ours for one in found if one.stops]
    assert len(stopping) > 10
    assert len({one.rule for one in stopping}) > 3

    lint._linter.cache_clear()
    monkeypatch.setattr(lint_dispatch, "remember_who_can_speak", lambda _: None)
    plain = list(lint_again.judged(asked))
    monkeypatch.undo()
    lint._linter.cache_clear()
    assert ours == plain

    monkeypatch.setattr(lint_again, "BATCH", 7)
    assert list(lint_again.findings(iter(asked), processes=2, few=3)) == ours
    monkeypatch.setattr(lint_again, "ProcessPoolExecutor", _Dying)
    assert list(lint_again.findings(iter(asked), processes=2, few=3)) == ours


class _Dying:
    """The processes are killed after the second batch was given to them."""

    def __init__(self, *_: Any) -> None:
        self.given = 0

    def __enter__(self) -> _Dying:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def submit(self, *_: Any) -> Future[Any]:
        self.given += 1
        if self.given > 2:
            raise BrokenProcessPool("killed")
        lost: Future[Any] = Future()
        lost.set_exception(BrokenProcessPool("killed"))
        return lost


def test_few_certificates_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small authority is checked before a process would have read its libraries."""
    monkeypatch.setattr(lint_again, "ProcessPoolExecutor", None)
    few = [Asked(str(n), b"", Kind.SERVICE, local_names=True) for n in range(lint_again.FEW)]
    monkeypatch.setattr(lint, "pkilint_findings", lambda *_, **__: [])
    assert len(list(lint_again.findings(few, processes=8))) == lint_again.FEW


def test_every_validator_asks_place_and_type_first() -> None:
    """What `lint_dispatch` leaves out would have answered no: each `match` begins with that."""
    for etsi in (None, *lint._ETSI_TYPES.values()):
        for one in _validators(lint._linter(etsi)):
            asks = type(one).match
            if asks is not validation.NodeVisitor.match:
                body = inspect.getsource(asks)
                assert "super().match(node)" in body.partition("node")[2][:200], type(one)


def _validators(container: Any) -> Iterator[Any]:
    for one in container.validators:
        yield one
        yield from _validators(one) if isinstance(one, validation.ValidatorContainer) else ()
