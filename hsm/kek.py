"""The key-encryption key: how it is made, and the proof that it is as strict as it should be."""

from __future__ import annotations

import secrets
from typing import Any, Final

import pkcs11
from pkcs11 import DEFAULT, Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from hsm.attributes import UNWRAPPED_KEYS
from hsm.errors import HsmError
from hsm.key_pairs import generate_pair
from hsm.mechanisms import WRAP_MECHANISMS, KeyAlgorithm

KEK_LABEL: Final = "dauso key-encryption key"

UNWRAPPED: Final[dict[Attribute, Any]] = {
    # python-pkcs11 fills in every usage; these three a private key does not have.
    Attribute.ENCRYPT: DEFAULT,
    Attribute.VERIFY: DEFAULT,
    Attribute.WRAP: DEFAULT,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
}
"""What we ask for when unwrapping; the KEK's own template insists on the essential part."""

_READABLE: Final[dict[Attribute, Any]] = {
    Attribute.SENSITIVE: False,
    Attribute.EXTRACTABLE: True,
}

_STRICT: Final[dict[Attribute, bool]] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
    Attribute.ENCRYPT: False,
    Attribute.DECRYPT: False,
    Attribute.WRAP: True,
    Attribute.UNWRAP: True,
}


def choose_kek(session: pkcs11.Session, kek_id: bytes | None) -> bytes:
    """CKA_ID of the KEK to wrap with: the asked one, else the only one, else a new one."""
    if kek_id is None:
        found = _search(session, {Attribute.LABEL: KEK_LABEL})
        if len(found) > 1:
            raise HsmError("kek-ambiguous", label=KEK_LABEL)
        kek_id = found[0].id if found else create_kek(session)
    find_kek(session, kek_id)
    return kek_id


def create_kek(session: pkcs11.Session) -> bytes:
    """A resident AES-256 key that wraps and unwraps and can be nothing else; its CKA_ID."""
    kek_id = secrets.token_bytes(16)
    session.generate_key(
        KeyType.AES,
        256,
        id=kek_id,
        label=KEK_LABEL,
        store=True,
        mechanism=Mechanism.AES_KEY_GEN,
        capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
        template={
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.MODIFIABLE: False,
            Attribute.UNWRAP_TEMPLATE: UNWRAPPED_KEYS,
        },
    )
    return kek_id


def find_kek(session: pkcs11.Session, kek_id: bytes) -> tuple[Any, int]:
    """The proven KEK with this CKA_ID, and the number of its wrap mechanism.

    HsmError `kek-missing`, `kek-ambiguous`, `kek-unsafe`, `wrap-mechanism-missing`.
    """
    found = _search(session, {Attribute.ID: kek_id})
    if len(found) != 1:
        raise HsmError("kek-ambiguous" if found else "kek-missing", label=KEK_LABEL)
    mechanism = wrap_mechanism(session)
    prove_kek(session, found[0], mechanism)
    return found[0], mechanism


def wrap_mechanism(session: pkcs11.Session) -> int:
    """The number (in WRAP_MECHANISMS) of the first RFC 5649 mechanism the token offers."""
    offered = session.token.slot.get_mechanisms()
    for number, mechanism in WRAP_MECHANISMS:
        if mechanism in offered:
            return number
    raise HsmError("wrap-mechanism-missing")


def prove_kek(session: pkcs11.Session, kek: Any, mechanism: int) -> None:
    """Refuse a KEK that could be made to give up a key: attributes first, then a real attempt.

    CKA_UNWRAP_TEMPLATE is not readable through every library, so it is proved by its effect: a
    throw-away key is wrapped and asked back in the clear.
    """
    for attribute, wanted in _STRICT.items():
        if bool(kek[attribute]) is not wanted:
            raise HsmError("kek-unsafe", attribute=attribute.name)
    wrap = dict(WRAP_MECHANISMS)[mechanism]
    public, private = generate_pair(
        session,
        KeyAlgorithm.P_256,
        store=False,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True},
    )
    try:
        blob = kek.wrap_key(private, mechanism=wrap)
    finally:
        private.destroy()
        public.destroy()
    if _unwraps(kek, blob, wrap, UNWRAPPED) is not True:
        raise HsmError("kek-unsafe", attribute="UNWRAP")  # the refusals below would prove nothing
    for attribute, value in _READABLE.items():
        if _unwraps(kek, blob, wrap, {**UNWRAPPED, attribute: value}) is False:
            raise HsmError("kek-unsafe", attribute="UNWRAP_TEMPLATE")


def _unwraps(kek: Any, blob: bytes, wrap: Mechanism, template: dict[Attribute, Any]) -> bool | None:
    """True: a key that stays in the token came out; False: a readable one; None: refused."""
    try:
        key = kek.unwrap_key(
            ObjectClass.PRIVATE_KEY,
            KeyType.EC,
            blob,
            mechanism=wrap,
            capabilities=MechanismFlag.SIGN,
            template=template,
        )
    except pkcs11.PKCS11Error:
        return None
    try:
        return bool(key[Attribute.SENSITIVE]) and not key[Attribute.EXTRACTABLE]
    finally:
        key.destroy()


def _search(session: pkcs11.Session, wanted: dict[Attribute, Any]) -> list[Any]:
    return list(
        session.get_objects(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.TOKEN: True,
                **wanted,
            }
        )
    )
