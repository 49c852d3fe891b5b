""" "With the token's PIN, a blob and the database an attacker gets no private key
in clear and no signature". The attacker here is root on our server: the same module, logged in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import DEFAULT, Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from hsm.attributes import UNWRAPPED_KEYS
from hsm.custody import Custody, WrappedKey
from hsm.errors import HsmError, PinWrong
from hsm.kek import UNWRAPPED, find_kek
from hsm.mechanisms import KeyAlgorithm
from hsm.sealing import PinCost, seal_with_pin, unseal_with_pin
from hsm.token import Token

HEADER = 18
WRAP = Mechanism.AES_KEY_WRAP_PAD
QUICK = PinCost(memory_kib=64, iterations=1, lanes=1)
Attack = Callable[[pkcs11.Session, Any], Any]


def _inside(token: Token, custody: Custody, attack: Attack) -> Any:
    """Run the attack with the session and the KEK object, as somebody with the PIN can."""

    def work(session: pkcs11.Session) -> Any:
        kek = next(iter(list(session.get_objects({Attribute.ID: custody.kek_id}))))
        try:
            return attack(session, kek)
        except pkcs11.PKCS11Error as error:
            return error

    return token.run(work)


def _unwrap(kek: Any, wrapped: WrappedKey, changes: dict[Attribute, Any], **how: Any) -> Any:
    return kek.unwrap_key(
        how.get("kind", ObjectClass.PRIVATE_KEY),
        how.get("key_type", KeyType.EC),
        wrapped.blob[HEADER:],
        mechanism=WRAP,
        store=how.get("store", False),
        capabilities=MechanismFlag.SIGN,
        template={**UNWRAPPED, **changes},
    )


@pytest.mark.parametrize(
    "changes",
    [
        {Attribute.SENSITIVE: False},
        {Attribute.EXTRACTABLE: True},
        {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
        {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True, Attribute.PRIVATE: False},
    ],
    ids=lambda each: " ".join(attribute.name for attribute in each),
)
def test_unwrapping_into_a_readable_key_is_refused(
    token: Token, custody: Custody, changes: dict[Attribute, Any]
) -> None:
    """PKCS#11 v2.40, 4.9: CKA_UNWRAP_TEMPLATE is imposed on every key unwrapped."""
    wrapped = custody.generate(KeyAlgorithm.P_256)
    outcome = _inside(token, custody, lambda _, kek: _unwrap(kek, wrapped, changes))
    assert isinstance(outcome, pkcs11.TemplateInconsistent)


def test_leaving_the_attributes_out_does_not_help(token: Token, custody: Custody) -> None:
    """What the caller leaves out is refused (SoftHSM) or filled in from the KEK's template."""
    wrapped = custody.generate(KeyAlgorithm.P_256)
    out = {Attribute.SENSITIVE: DEFAULT, Attribute.EXTRACTABLE: DEFAULT}

    def attack(_: pkcs11.Session, kek: Any) -> tuple[bool, bool]:
        key = _unwrap(kek, wrapped, out)
        try:
            return key[Attribute.SENSITIVE], key[Attribute.EXTRACTABLE]
        finally:
            key.destroy()

    outcome = _inside(token, custody, attack)
    assert isinstance(outcome, pkcs11.TemplateInconsistent) or outcome == (True, False)


def test_unwrapping_as_something_else_is_refused(token: Token, custody: Custody) -> None:
    """As a secret key the same bytes might be fed to a weaker mechanism."""
    wrapped = custody.generate(KeyAlgorithm.P_256)
    outcome = _inside(
        token,
        custody,
        lambda _, kek: _unwrap(
            kek, wrapped, {Attribute.SIGN: True}, kind=ObjectClass.SECRET_KEY,
            key_type=KeyType.GENERIC_SECRET,
        ),
    )  # fmt: skip
    assert isinstance(outcome, pkcs11.PKCS11Error)


def test_unwrapping_for_good_is_refused(token: Token, custody: Custody) -> None:
    """Nobody leaves a holder's key lying on the token."""
    wrapped = custody.generate(KeyAlgorithm.P_256)
    outcome = _inside(token, custody, lambda _, kek: _unwrap(kek, wrapped, {}, store=True))
    assert isinstance(outcome, pkcs11.TemplateInconsistent)


def test_an_unwrapped_key_tells_nothing(token: Token, custody: Custody) -> None:
    """PKCS#11 v2.40, 4.9: a sensitive value is not revealed, and sensitive stays sensitive."""
    wrapped = custody.generate(KeyAlgorithm.P_256)

    def attack(session: pkcs11.Session, kek: Any) -> list[str]:
        key = _unwrap(kek, wrapped, {})
        own = session.generate_key(
            KeyType.AES, 256, capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP
        )
        told = []
        for name, attempt in {
            "value": lambda: key[Attribute.VALUE],
            "not sensitive": lambda: key.__setitem__(Attribute.SENSITIVE, False),
            "extractable": lambda: key.__setitem__(Attribute.EXTRACTABLE, True),
            "copy": lambda: key.copy({Attribute.EXTRACTABLE: True}),
            "copy clear": lambda: key.copy({Attribute.SENSITIVE: False}),
            "wrap": lambda: kek.wrap_key(key, mechanism=WRAP),
            "wrap under own": lambda: own.wrap_key(key, mechanism=WRAP),
        }.items():
            try:
                attempt()
            except (pkcs11.PKCS11Error, KeyError):
                continue
            told.append(name)
        key.destroy()
        own.destroy()
        return told

    assert _inside(token, custody, attack) == []


def test_the_kek_is_good_for_nothing_else(token: Token, custody: Custody) -> None:
    """DESIGN 4: WRAP|UNWRAP only, not MODIFIABLE."""
    wrapped = custody.generate(KeyAlgorithm.P_256)

    def attack(session: pkcs11.Session, kek: Any) -> list[str]:
        own = session.generate_key(
            KeyType.AES, 256, capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP
        )
        changes: dict[str, dict[Attribute, Any]] = {
            "decrypt": {Attribute.DECRYPT: True},
            "extractable": {Attribute.EXTRACTABLE: True},
            "clear": {Attribute.SENSITIVE: False},
            "modifiable": {Attribute.MODIFIABLE: True},
            "no template": {Attribute.UNWRAP_TEMPLATE: ()},
            "session copy": {Attribute.TOKEN: False},
        }
        attempts: dict[str, Callable[[], Any]] = {
            "value": lambda: kek[Attribute.VALUE],
            "wrapped": lambda: own.wrap_key(kek, mechanism=WRAP),
            "itself": lambda: kek.wrap_key(kek, mechanism=WRAP),
            "decrypts": lambda: kek.decrypt(wrapped.blob[HEADER:], mechanism=Mechanism.AES_ECB),
        }
        for name, change in changes.items():
            attempts[f"copy {name}"] = lambda change=change: kek.copy(change)
            attribute, value = next(iter(change.items()))
            attempts[f"set {name}"] = lambda a=attribute, v=value: kek.__setitem__(a, v)
        given = []
        for name, attempt in attempts.items():
            try:
                attempt()
            except (pkcs11.PKCS11Error, AttributeError, KeyError):
                continue  # AttributeError: python-pkcs11 gives no decrypt() without CKA_DECRYPT
            given.append(name)
        own.destroy()
        return given

    assert _inside(token, custody, attack) == []


def test_a_loose_kek_is_not_used(token: Token, custody: Custody) -> None:
    """PERFORMANCE: without the unwrap template whoever has PIN and blob reads the key. Somebody
    with the PIN can plant such a KEK; the service refuses to wrap under it."""
    loose_id = b"loose kek 000001"

    def plant(session: pkcs11.Session) -> Any:
        return session.generate_key(
            KeyType.AES,
            256,
            id=loose_id,
            label="planted",
            store=True,
            capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
            template={Attribute.EXTRACTABLE: False, Attribute.MODIFIABLE: False},
        )

    try:
        token.run(plant)
        with pytest.raises(HsmError) as error:
            Custody(token, kek_id=loose_id)
        assert error.value.code == "kek-unsafe"
        assert error.value.params["attribute"] == "UNWRAP_TEMPLATE"
    finally:
        token.remove(loose_id)
    token.run(lambda session: find_kek(session, custody.kek_id))
    assert (Attribute.SENSITIVE, True) in UNWRAPPED_KEYS


def test_service_keys_cannot_be_weakened(
    token: Token, resident: Callable[[KeyAlgorithm], Any]
) -> None:
    """ "All keys on SoftHSM, SENSITIVE, never extractable": not even by a copy."""
    resident(KeyAlgorithm.P_256)

    def attack(session: pkcs11.Session) -> list[str]:
        own = session.generate_key(
            KeyType.AES, 256, capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP
        )
        given = []
        wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.TOKEN: True}
        for key in list(session.get_objects(wanted)):
            assert key[Attribute.ALWAYS_SENSITIVE]
            assert key[Attribute.NEVER_EXTRACTABLE]
            attempts: dict[str, Callable[[], Any]] = {
                "wrap": lambda key=key: own.wrap_key(key, mechanism=WRAP),
                "copy": lambda key=key: key.copy({Attribute.EXTRACTABLE: True}),
                "copy clear": lambda key=key: key.copy({Attribute.SENSITIVE: False}),
                "set": lambda key=key: key.__setitem__(Attribute.EXTRACTABLE, True),
                "set clear": lambda key=key: key.__setitem__(Attribute.SENSITIVE, False),
                "value": lambda key=key: key[Attribute.PRIVATE_EXPONENT],
                "scalar": lambda key=key: key[Attribute.VALUE],
            }
            for name, attempt in attempts.items():
                try:
                    attempt()
                except (pkcs11.PKCS11Error, KeyError):
                    continue
                given.append(name)
        own.destroy()
        return given

    assert token.run(attack) == []


def test_without_the_pin_there_is_no_signature(token: Token, custody: Custody) -> None:
    """DESIGN 4, sole control: "Without the PIN neither the database nor the token nor an
    administrator can sign as that person." What the row holds does not unwrap; what unwraps takes
    the holder's PIN."""
    wrapped = custody.generate(KeyAlgorithm.P_256)
    row = seal_with_pin(wrapped.blob, "246802", context=b"credential 1", cost=QUICK)
    assert wrapped.blob[HEADER:] not in row

    for offset in range(0, len(row) - 8, 8):
        outcome = _inside(
            token,
            custody,
            lambda _, kek, part=row[offset:]: kek.unwrap_key(
                ObjectClass.PRIVATE_KEY, KeyType.EC, part, mechanism=WRAP,
                capabilities=MechanismFlag.SIGN, template=UNWRAPPED,
            ),
        )  # fmt: skip
        assert isinstance(outcome, pkcs11.PKCS11Error)
    with pytest.raises(PinWrong):
        unseal_with_pin(row, "246801", context=b"credential 1")

    blob = unseal_with_pin(row, "246802", context=b"credential 1")
    opened = WrappedKey(blob, wrapped.algorithm, wrapped.public_key)
    with custody.unwrapped(opened) as key:
        assert isinstance(key, ec.EllipticCurvePrivateKey)
