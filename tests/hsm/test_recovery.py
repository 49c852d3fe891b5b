"""A token that goes away: one clear error for everyone, and back to work without a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from hsm.activation import ActivationSeal
from hsm.custody import Custody
from hsm.errors import HsmError, TokenUnavailable
from hsm.mechanisms import KeyAlgorithm
from hsm.private_key import TokenEcPrivateKey
from hsm.token import Token
from tests.tokens import test_token

NOW = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shaky(clock: Clock) -> Iterator[Token]:
    """A token of its own, believed for no time at all, whose back-off is the test's clock."""
    made = test_token(label="shaky")
    made.close()
    token = Token.open(replace(made.settings, probe_seconds=0.0, retry_seconds=1.0), clock=clock)
    yield token
    token.close()


@contextmanager
def _away(token: Token) -> Iterator[None]:
    """The token's storage is gone, as when a disk is unmounted or an HSM loses its network."""
    conf = token.settings.softhsm_conf
    assert conf is not None
    here = conf.parent / "tokens"
    there = here.with_name("tokens.away")
    here.rename(there)
    try:
        yield
    finally:
        there.rename(here)


def _key(token: Token) -> TokenEcPrivateKey:
    known = [each for each in token.resident_keys() if each.label == "shaky"]
    resident = known[0] if known else token.generate(KeyAlgorithm.P_256, label="shaky")
    key = token.key(resident.key_id)
    assert isinstance(key, TokenEcPrivateKey)
    return key


def _sign(key: TokenEcPrivateKey) -> None:
    signature = key.sign(b"data", ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(signature, b"data", ec.ECDSA(hashes.SHA256()))


def test_away_and_back(shaky: Token, clock: Clock) -> None:
    """ "A token that is absent: one clear message"; DESIGN 4: recovery
    re-initialises the module, finds keys anew by CKA_ID and checks them."""
    key = _key(shaky)
    _sign(key)
    with _away(shaky):
        with pytest.raises(TokenUnavailable) as error:
            _sign(key)
        assert error.value.code == "token-absent"
        assert error.value.params["retry_after"] == 1
        assert "Nothing was signed" in str(error.value)
        assert "Chưa ký gì cả" in error.value.message("vi")
        with pytest.raises(TokenUnavailable) as error:
            shaky.check()
        assert error.value.params["reason"] == "CircuitOpen"  # at once, without asking the token
    with pytest.raises(TokenUnavailable):
        _sign(key)  # back already, but the back-off is not over
    clock.now += 1.1
    _sign(key)
    shaky.check()


def test_the_back_off_grows_and_ends(shaky: Token, clock: Clock) -> None:
    """A token that stays away is asked less and less often, at most every 30 seconds."""
    key = _key(shaky)
    waits = []
    with _away(shaky):
        for _ in range(7):
            with pytest.raises(TokenUnavailable) as error:
                _sign(key)
            waits.append(error.value.params["retry_after"])
            clock.now += 31
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    _sign(key)
    with _away(shaky), pytest.raises(TokenUnavailable) as error:
        _sign(key)
    assert error.value.params["retry_after"] == 1
    clock.now += 31


def test_a_moment_away_goes_unnoticed(shaky: Token, clock: Clock) -> None:
    """Away and back between two calls: found out by the probe, and recovered from before work."""
    key = _key(shaky)
    before = shaky.connection.generation
    with _away(shaky):
        pass
    shaky.connection._module.thread.call(lambda: _lose_sight(shaky))
    _sign(key)
    assert shaky.connection.generation > before


def _lose_sight(token: Token) -> None:
    """Let the module notice, while its storage is away, what it forgets for good."""
    session = token.connection._session
    assert session is not None
    with _away(token):
        list(session.get_objects())


def test_a_check_finds_it_gone(shaky: Token, clock: Clock) -> None:
    """PERFORMANCE: "After the token directory is lost, find still answers and sign fails: a
    health check is a signature." """
    _key(shaky)
    shaky.check()
    with _away(shaky), pytest.raises(TokenUnavailable):
        shaky.check()
    clock.now += 31
    shaky.check()


def test_holders_keys_come_back(shaky: Token, clock: Clock) -> None:
    """Session objects die with the module: kept keys are unwrapped anew, seals open again."""
    _key(shaky)
    custody, seal = Custody(shaky), ActivationSeal(shaky)
    wrapped = custody.generate(KeyAlgorithm.P_256)
    sealed = seal.seal(wrapped.blob, authorization_id="a", expires_at=SOON)

    def kept() -> TokenEcPrivateKey:
        key = custody.kept(wrapped, handle="a", until=SOON, now=NOW)
        assert isinstance(key, TokenEcPrivateKey)
        return key

    first = kept()
    _sign(first)
    with custody.unwrapped(wrapped) as open_key:
        assert isinstance(open_key, TokenEcPrivateKey)
        with _away(shaky):
            with pytest.raises(TokenUnavailable):
                _sign(first)
            with pytest.raises(TokenUnavailable):
                _sign(kept())
        clock.now += 31
        shaky.check()
        with pytest.raises(TokenUnavailable) as error:
            _sign(open_key)  # its session is over; unwrapping it again helps
        assert error.value.params["reason"] == "SessionLost"
    _sign(kept())
    assert seal.unseal(sealed, authorization_id="a", expires_at=SOON, now=NOW) == wrapped.blob
    custody.forget("a")


def test_another_token_of_the_module_goes_on(shaky: Token, clock: Clock) -> None:
    """Re-initialising the module ends every token's sessions; the others log in again."""
    other = test_token()
    custody = Custody(other)
    wrapped = custody.generate(KeyAlgorithm.P_256)
    first = custody.kept(wrapped, handle="b", until=SOON, now=NOW)
    key = _key(shaky)
    with _away(shaky), pytest.raises(TokenUnavailable):
        _sign(key)
    clock.now += 31
    _sign(key)
    again = custody.kept(wrapped, handle="b", until=SOON, now=NOW)
    assert again is not first
    assert isinstance(again, TokenEcPrivateKey)
    _sign(again)
    custody.forget("b")


def test_a_swapped_key_is_found_out(
    shaky: Token, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 4: after recovery keys are checked "against their public key"."""
    key = _key(shaky)
    other = shaky.generate(KeyAlgorithm.P_256, label="swapped in")
    _sign(key)
    reference: Any = key._reference
    with _away(shaky), pytest.raises(TokenUnavailable):
        _sign(key)
    clock.now += 31
    monkeypatch.setattr(reference, "_key_id", other.key_id)
    with pytest.raises(HsmError) as error:
        _sign(key)
    assert error.value.code == "key-mismatch"
    monkeypatch.undo()
    _sign(key)
    shaky.remove(other.key_id)


def test_a_refusal_is_not_an_absence(shaky: Token, clock: Clock) -> None:
    """A request the token will not do must not stop everybody's signatures."""
    key = _key(shaky)

    def impossible(session: Any) -> None:
        session.create_object({})

    with pytest.raises(HsmError) as error:
        shaky.run(impossible)
    assert error.value.code == "token-refused"
    _sign(key)


def test_one_removed_key_does_not_stop_the_others(shaky: Token, clock: Clock) -> None:
    """The key probes are made with may be removed by another process: another takes its place."""
    key = _key(shaky)
    extra = shaky.generate(KeyAlgorithm.P_256, label="removed elsewhere")
    shaky.connection._probe_id = extra.key_id

    def behind_its_back(session: Any) -> None:
        from pkcs11 import Attribute

        for each in list(session.get_objects({Attribute.ID: extra.key_id, Attribute.TOKEN: True})):
            each.destroy()

    shaky.run(behind_its_back)
    _sign(key)
    assert shaky.connection._probe_id not in {None, extra.key_id}


def test_good_health_is_believed_for_a_moment(
    shaky: Token, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A probe per second, not per signature."""
    shaky.close()
    token = Token.open(replace(shaky.settings, probe_seconds=1.0), clock=clock)
    key = _key(token)
    probes: list[float] = []
    original: Callable[[], None] = token.connection._probe
    monkeypatch.setattr(token.connection, "_probe", lambda: (probes.append(clock.now), original()))
    for _ in range(30):
        _sign(key)
        clock.now += 0.1
    assert 2 <= len(probes) <= 4
    token.close()
