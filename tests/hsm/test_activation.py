"""The activation seal: for one authorisation, until it expires, under a key of the token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pkcs11 import Attribute, Mechanism

from hsm.activation import ActivationSeal
from hsm.errors import HsmError, SealDamaged, SealExpired
from hsm.token import Token

NOW = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)
BLOB = bytes(range(98))


@pytest.fixture(params=["in the token", "envelope"])
def seal(request: pytest.FixtureRequest, token: Token) -> ActivationSeal:
    """Both methods: a token with GCM and one without (PKCS#11 v2.40, 2.11.4: it is optional)."""
    made = ActivationSeal(token)
    made._method = 1 if request.param == "in the token" else 2
    return made


def test_it_opens_for_its_authorisation(seal: ActivationSeal) -> None:
    """DESIGN 4: workers can go on after a crash until the authorisation expires."""
    sealed = seal.seal(BLOB, authorization_id="a-1", expires_at=SOON)
    assert BLOB not in sealed
    opened = seal.unseal(sealed, authorization_id="a-1", expires_at=SOON, now=NOW)
    assert opened == BLOB


def test_it_opens_in_another_process_of_the_service(seal: ActivationSeal, token: Token) -> None:
    """The key is found again by its label, and never leaves the token."""
    sealed = seal.seal(BLOB, authorization_id="a-1", expires_at=SOON)
    other = ActivationSeal(token)
    assert other.key_id == seal.key_id
    assert other.unseal(sealed, authorization_id="a-1", expires_at=SOON, now=NOW) == BLOB


def test_it_ends_with_its_authorisation(seal: ActivationSeal) -> None:
    """DESIGN 4: "until it expires; then it is erased"."""
    sealed = seal.seal(BLOB, authorization_id="a-1", expires_at=SOON)
    with pytest.raises(SealExpired):
        seal.unseal(sealed, authorization_id="a-1", expires_at=SOON, now=SOON)


def test_its_life_cannot_be_made_longer(seal: ActivationSeal) -> None:
    """The expiry is authenticated: neither a changed row nor a changed header helps."""
    sealed = seal.seal(BLOB, authorization_id="a-1", expires_at=SOON)
    later = SOON + timedelta(days=1)
    with pytest.raises(SealDamaged):
        seal.unseal(sealed, authorization_id="a-1", expires_at=later, now=SOON)
    forged = sealed[:4] + int(later.timestamp() * 1000).to_bytes(8, "big") + sealed[12:]
    with pytest.raises(SealDamaged) as error:
        seal.unseal(forged, authorization_id="a-1", expires_at=later, now=SOON)
    assert error.value.params["problem"] == "content"


def test_it_stays_with_its_authorisation(seal: ActivationSeal) -> None:
    """DESIGN 4: bound to the authorisation's id."""
    sealed = seal.seal(BLOB, authorization_id="a-1", expires_at=SOON)
    with pytest.raises(SealDamaged):
        seal.unseal(sealed, authorization_id="a-2", expires_at=SOON, now=NOW)


def test_no_changed_seal_opens(seal: ActivationSeal, token: Token) -> None:
    """NIST SP 800-38D, 7.2: a wrong tag gives FAIL, and nothing else; the token stays in use."""
    sealed = seal.seal(BLOB, authorization_id="a-1", expires_at=SOON)
    for place in range(0, len(sealed), 7):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SealDamaged):
            seal.unseal(bytes(changed), authorization_id="a-1", expires_at=SOON, now=NOW)
    for length in (0, 11, 12, 13, 24, 30, len(sealed) - 1):
        with pytest.raises(SealDamaged):
            seal.unseal(sealed[:length], authorization_id="a-1", expires_at=SOON, now=NOW)
    token.check()


def test_the_key_seals_and_does_nothing_else(token: Token) -> None:
    """An activation key that unwraps could open holders' keys; this one cannot."""
    seal = ActivationSeal(token)

    def look(session: object) -> dict[Attribute, bool]:
        key = list(session.get_objects({Attribute.ID: seal.key_id}))[0]  # type: ignore[attr-defined]  # noqa: RUF015 – the search must finish
        names = [
            Attribute.WRAP, Attribute.UNWRAP, Attribute.EXTRACTABLE, Attribute.MODIFIABLE,
            Attribute.SENSITIVE, Attribute.ENCRYPT, Attribute.DECRYPT,
        ]  # fmt: skip
        return {name: bool(key[name]) for name in names}

    assert token.run(look) == {
        Attribute.WRAP: False,
        Attribute.UNWRAP: False,
        Attribute.EXTRACTABLE: False,
        Attribute.MODIFIABLE: False,
        Attribute.SENSITIVE: True,
        Attribute.ENCRYPT: True,
        Attribute.DECRYPT: True,
    }
    offered = token.run(lambda session: session.token.slot.get_mechanisms())
    assert seal._method == (1 if Mechanism.AES_GCM in offered else 2)


def test_a_named_key_that_is_not_there(token: Token) -> None:
    """The wrong token in the slot: said in plain words."""
    seal = ActivationSeal(token, key_id=bytes(16))
    with pytest.raises(HsmError) as error:
        seal.seal(BLOB, authorization_id="a-1", expires_at=SOON)
    assert error.value.code == "activation-key-missing"
