"""Holders' keys: wrapped rows, unwrapped only to sign."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from pkcs11 import Attribute, ObjectClass

from hsm.custody import Custody, WrappedKey
from hsm.errors import HsmError, WrappedKeyDamaged
from hsm.mechanisms import KeyAlgorithm
from hsm.private_key import PrivateKey, TokenRsaPrivateKey
from hsm.token import Token

NOW = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
SOON = NOW + timedelta(minutes=5)


def _sign_and_verify(key: PrivateKey) -> None:
    if isinstance(key, TokenRsaPrivateKey):
        signature = key.sign(b"data", padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, b"data", padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = key.sign(b"data", ec.ECDSA(hashes.SHA256()))
        key.public_key().verify(signature, b"data", ec.ECDSA(hashes.SHA256()))


def _session_keys(token: Token) -> int:
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.TOKEN: False}
    return token.run(lambda session: len(list(session.get_objects(wanted))))


@pytest.mark.parametrize(
    "algorithm", [KeyAlgorithm.P_256, KeyAlgorithm.P_384, KeyAlgorithm.RSA_2048]
)
def test_a_wrapped_key_signs_and_leaves_nothing(
    token: Token, custody: Custody, algorithm: KeyAlgorithm
) -> None:
    """DESIGN 4: generated as session objects, wrapped, kept as rows; unwrap, sign, destroy."""
    resident, before = token.object_count(), _session_keys(token)
    wrapped = custody.generate(algorithm)
    public_key = serialization.load_der_public_key(wrapped.public_key)
    assert isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    assert public_key.key_size == algorithm.bits
    with custody.unwrapped(wrapped) as key:
        assert key.public_key() == public_key
        _sign_and_verify(key)
    assert token.object_count() == resident
    assert _session_keys(token) == before


def test_a_key_is_closed_with_its_block(custody: Custody) -> None:
    """A reference that outlives its block signs nothing."""
    with custody.unwrapped(custody.generate(KeyAlgorithm.P_256)) as key:
        pass
    with pytest.raises(HsmError) as error:
        _sign_and_verify(key)
    assert error.value.code == "key-closed"


def test_a_failing_block_destroys_its_key_too(token: Token, custody: Custody) -> None:
    """Nothing is left half-done."""
    before = _session_keys(token)
    with pytest.raises(ZeroDivisionError), custody.unwrapped(custody.generate(KeyAlgorithm.P_256)):
        _ = 1 // 0
    assert _session_keys(token) == before


@pytest.mark.parametrize("place", [0, 1, 5, 20, -1])
def test_a_damaged_blob_is_named_as_such(token: Token, custody: Custody, place: int) -> None:
    """RFC 5649, 3: the integrity check fails; one clear error, and the token stays in service."""
    wrapped = custody.generate(KeyAlgorithm.P_256)
    blob = bytearray(wrapped.blob)
    blob[place] ^= 1
    with (
        pytest.raises(HsmError) as error,
        custody.unwrapped(replace(wrapped, blob=bytes(blob))),
    ):
        pass
    assert error.value.code in ("wrapped-key-damaged", "kek-missing")
    token.check()
    with custody.unwrapped(wrapped) as key:
        _sign_and_verify(key)


@pytest.mark.parametrize("length", [0, 1, 2, 17, 18, 19, 26])
def test_a_truncated_blob_is_named_as_such(custody: Custody, length: int) -> None:
    """A row cut short is a domain error, not an index error."""
    wrapped = custody.generate(KeyAlgorithm.P_256)
    with (
        pytest.raises(WrappedKeyDamaged),
        custody.unwrapped(replace(wrapped, blob=wrapped.blob[:length])),
    ):
        pass


def test_a_second_custody_finds_the_same_kek(token: Token, custody: Custody) -> None:
    """One KEK per token, found again at every start; a named one is taken at its name."""
    assert Custody(token).kek_id == custody.kek_id
    assert Custody(token, kek_id=custody.kek_id).kek_id == custody.kek_id
    with pytest.raises(HsmError) as error:
        Custody(token, kek_id=bytes(16))
    assert error.value.code == "kek-missing"


def test_repr_shows_no_key(custody: Custody) -> None:
    """DESIGN 3: secrets never in logs, errors, repr."""
    wrapped = custody.generate(KeyAlgorithm.P_256)
    assert "blob" not in repr(wrapped)


def test_kept_keys_stay_open_until_told(token: Token, custody: Custody) -> None:
    """DESIGN 4: unwrap once, and keep it while its authorisation is open."""
    before = _session_keys(token)
    wrapped = custody.generate(KeyAlgorithm.P_256)
    first = custody.kept(wrapped, handle="authorisation 1", until=SOON, now=NOW)
    assert custody.kept(wrapped, handle="authorisation 1", until=SOON, now=NOW) is first
    _sign_and_verify(first)
    assert _session_keys(token) == before + 1
    custody.forget("authorisation 1")
    custody.forget("authorisation 1")
    assert _session_keys(token) == before
    with pytest.raises(HsmError) as error:
        _sign_and_verify(first)
    assert error.value.code == "key-closed"


def test_kept_keys_end_with_their_time(token: Token, custody: Custody) -> None:
    """An authorisation lives for minutes; its key does not outlive it."""
    before = _session_keys(token)
    wrapped = custody.generate(KeyAlgorithm.P_256)
    key = custody.kept(wrapped, handle="authorisation 1", until=SOON, now=NOW)
    with pytest.raises(HsmError) as error:
        custody.kept(wrapped, handle="authorisation 1", until=SOON, now=SOON)
    assert error.value.code == "key-hold-expired"
    with pytest.raises(HsmError):
        _sign_and_verify(key)
    custody.kept(wrapped, handle="authorisation 2", until=SOON, now=NOW)
    custody.sweep(SOON)
    assert _session_keys(token) == before


def test_kept_keys_are_bounded(token: Token) -> None:
    """The least recently used go: memory stays bounded whatever is open."""
    custody = Custody(token, keep=2)
    before = _session_keys(token)
    wrapped = custody.generate(KeyAlgorithm.P_256)

    def keep(handle: str) -> PrivateKey:
        return custody.kept(wrapped, handle=handle, until=SOON, now=NOW)

    first, second = keep("1"), keep("2")
    assert keep("1") is first
    keep("3")
    assert _session_keys(token) == before + 2
    _sign_and_verify(keep("1"))
    with pytest.raises(HsmError):
        _sign_and_verify(second)
    for handle in "123":
        custody.forget(handle)


def test_a_handle_gives_the_key_asked_for(custody: Custody) -> None:
    """A handle used again for another key must not sign with the first."""
    one, other = custody.generate(KeyAlgorithm.P_256), custody.generate(KeyAlgorithm.P_256)

    def keep(wrapped: WrappedKey) -> PrivateKey:
        return custody.kept(wrapped, handle="same", until=SOON, now=NOW)

    assert keep(one).public_key() != keep(other).public_key()
    custody.forget("same")
