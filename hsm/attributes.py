"""CKA_UNWRAP_TEMPLATE for python-pkcs11, which has no handler for attributes made of attributes.

The value is a C array of CK_ATTRIBUTE whose pointers must outlive the call, so the arrays are
built once, for the templates this house uses, and kept for the life of the process.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Final

from pkcs11 import Attribute, ObjectClass
from pkcs11.attributes import AttributeMapper

Template = tuple[tuple[Attribute, bool | int], ...]

UNWRAPPED_KEYS: Final[Template] = (
    (Attribute.CLASS, int(ObjectClass.PRIVATE_KEY)),
    (Attribute.SENSITIVE, True),
    (Attribute.EXTRACTABLE, False),
    (Attribute.TOKEN, False),
)
"""What the key-encryption key imposes on everything it unwraps (PKCS#11 v2.40, section 4.9):
without it the holder of the PIN and a blob could unwrap with SENSITIVE=False and read the key."""


class _CkAttribute(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_ulong),
        ("pValue", ctypes.c_void_p),
        ("ulValueLen", ctypes.c_ulong),
    )


class _Packed:
    """A template in C's memory, with the buffers its pointers lead to."""

    def __init__(self, template: Template) -> None:
        self.values: list[Any] = [
            ctypes.c_ubyte(value) if isinstance(value, bool) else ctypes.c_ulong(value)
            for _, value in template
        ]
        self.array = (_CkAttribute * len(template))()
        for row, (attribute, _), value in zip(self.array, template, self.values, strict=True):
            row.type = int(attribute)
            row.pValue = ctypes.addressof(value)
            row.ulValueLen = ctypes.sizeof(value)


@cache
def _packed(template: Template) -> _Packed:
    return _Packed(template)


def _pack(template: Template) -> bytes:
    return bytes(_packed(template).array)


def _unpack(_: bytes) -> bytes:
    raise ValueError("an unwrap template is proved by trying it, not by reading it")


def unwrap_template_aware() -> AttributeMapper:
    """python-pkcs11's mapper, taught CKA_UNWRAP_TEMPLATE."""
    mapper = AttributeMapper()
    mapper.register_handler(Attribute.UNWRAP_TEMPLATE, _pack, _unpack)
    return mapper
