"""Sealed keys open for their holder, in their place, and for nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm import sealing
from hsm.errors import HsmError, PinWrong, SealDamaged
from hsm.sealing import (
    PinCost,
    seal_with_code,
    seal_with_pin,
    unseal_with_code,
    unseal_with_pin,
)

QUICK = PinCost(memory_kib=64, iterations=1, lanes=1)
CODE = "K7QF-2M9X-41TZ-88PW"
CONTEXT = b"credential 7"


def test_a_pin_opens_its_seal() -> None:
    """DESIGN 4, sole control: AES-256-GCM under a key derived from the holder's PIN (argon2id)."""
    sealed = seal_with_pin(b"wrapped", "135790", context=CONTEXT, cost=QUICK)
    assert b"wrapped" not in sealed
    assert unseal_with_pin(sealed, "135790", context=CONTEXT) == b"wrapped"


def test_the_default_cost_is_rfc_9106s() -> None:
    """RFC 9106, section 4: t=3, p=4, m=2^16 KiB, 128-bit salt, 256-bit tag."""
    assert PinCost() == PinCost(memory_kib=65536, iterations=3, lanes=4)
    sealed = seal_with_pin(b"wrapped", "135790", context=CONTEXT)
    assert unseal_with_pin(sealed, "135790", context=CONTEXT) == b"wrapped"


@pytest.mark.parametrize("pin", ["135791", "", "1357900", "１３５７９1"])
def test_another_pin_does_not(pin: str) -> None:
    """A wrong PIN gives one clear message."""
    sealed = seal_with_pin(b"wrapped", "135790", context=CONTEXT, cost=QUICK)
    with pytest.raises(PinWrong) as error:
        unseal_with_pin(sealed, pin, context=CONTEXT)
    assert error.value.code == "seal-not-opened"
    assert pin == "" or pin not in repr(error.value)
    assert error.value.__cause__ is None


def test_one_pin_typed_on_two_keyboards_is_one_pin() -> None:
    """Unicode NFKC: composed and decomposed letters, full-width digits."""
    sealed = seal_with_pin(b"wrapped", "mật khẩu 1", context=CONTEXT, cost=QUICK)
    decomposed = "mật khẩu １"
    assert unseal_with_pin(sealed, decomposed, context=CONTEXT) == b"wrapped"


def test_a_seal_stays_with_its_credential() -> None:
    """The context is authenticated: a seal copied into another row does not open there."""
    sealed = seal_with_pin(b"wrapped", "135790", context=CONTEXT, cost=QUICK)
    with pytest.raises(PinWrong):
        unseal_with_pin(sealed, "135790", context=b"credential 8")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_changed_seal_opens(data: st.DataObject) -> None:
    """Every byte is authenticated, the header with its cost included."""
    sealed = bytearray(seal_with_pin(b"wrapped", "135790", context=CONTEXT, cost=QUICK))
    cost = range(4, 11)  # a changed cost is refused too, but may take its time first
    place = data.draw(st.sampled_from([i for i in range(len(sealed)) if i not in cost]))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises((PinWrong, SealDamaged)):
        unseal_with_pin(bytes(sealed), "135790", context=CONTEXT)


@given(st.binary(max_size=120))
def test_any_bytes_are_refused_in_words(junk: bytes) -> None:
    """A damaged row is a domain error, never a struct or crypto exception."""
    with pytest.raises(SealDamaged):
        unseal_with_pin(junk, "135790", context=CONTEXT)


def test_a_seal_cannot_ask_for_all_the_memory() -> None:
    """A header is input: a cost beyond the limits is refused before it is spent."""
    sealed = bytearray(seal_with_pin(b"wrapped", "135790", context=CONTEXT, cost=QUICK))
    sealed[4:8] = b"\xff\xff\xff\xff"
    with pytest.raises(SealDamaged) as error:
        unseal_with_pin(bytes(sealed), "135790", context=CONTEXT)
    assert error.value.params["problem"] == "cost"


def test_an_activation_code_opens_its_seal() -> None:
    """DESIGN 4: in bulk enrolment the seal is a random one-time activation code."""
    sealed = seal_with_code(b"wrapped", CODE, context=CONTEXT)
    assert unseal_with_code(sealed, CODE, context=CONTEXT) == b"wrapped"
    assert unseal_with_code(sealed, " k7qf2m9x 41tz88pw", context=CONTEXT) == b"wrapped"
    with pytest.raises(PinWrong):
        unseal_with_code(sealed, CODE.replace("K", "J"), context=CONTEXT)


def test_a_short_activation_code_is_refused() -> None:
    """RFC 5869, section 4: HKDF makes no guess dearer, so the code needs its own strength."""
    with pytest.raises(HsmError) as error:
        seal_with_code(b"wrapped", "135790", context=CONTEXT)
    assert error.value.code == "code-too-short"


def test_the_two_kinds_are_not_confused() -> None:
    """A code seal never opens by the PIN path: the kind is in the authenticated header."""
    sealed = seal_with_code(b"wrapped", CODE, context=CONTEXT)
    with pytest.raises(SealDamaged) as error:
        unseal_with_pin(sealed, CODE, context=CONTEXT)
    assert error.value.params["problem"] == "kind"


def test_many_people_at_once() -> None:
    """Eight PINs tried in eight threads all end (OpenSSL's Argon2id with lanes deadlocks here)."""
    sealed = seal_with_pin(b"key", "925817", context=b"c")
    with ThreadPoolExecutor(8) as pool:
        opened = pool.map(lambda _: unseal_with_pin(sealed, "925817", context=b"c"), range(16))
        assert list(opened) == [b"key"] * 16


def test_the_derivation_is_rfc_9106() -> None:
    """Two implementations derive the same key: a seal made by either opens with the other."""
    ours = sealing._derive("mật khẩu", b"0123456789abcdef", PinCost(1024, 2, 1))
    theirs = Argon2id(
        salt=b"0123456789abcdef", length=32, iterations=2, lanes=1, memory_cost=1024
    ).derive("mật khẩu".encode())
    assert ours == theirs
