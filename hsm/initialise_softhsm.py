"""Run by `hsm.softhsm` as a child process: initialise a SoftHSM token over its C interface.

python-pkcs11 has no C_InitToken, and the parent's module must not be touched while it is in use,
so this talks to the library through ctypes in a process of its own. The PINs arrive as JSON on
standard input, never as arguments. Prints one word: `made`, `completed`, `found`; or exits with
a line naming the call that failed.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any, Final

_FLAG_USER_PIN_INITIALIZED: Final = 0x8
_FLAG_TOKEN_INITIALIZED: Final = 0x400
_SERIAL_RW: Final = 0x4 | 0x2
_SECURITY_OFFICER: Final = 0


class _TokenInfo(ctypes.Structure):
    """CK_TOKEN_INFO (PKCS#11 v2.40, section 3.2), as far as it is read here."""

    _fields_ = (
        ("label", ctypes.c_char * 32),
        ("manufacturer", ctypes.c_char * 32),
        ("model", ctypes.c_char * 16),
        ("serial", ctypes.c_char * 16),
        ("flags", ctypes.c_ulong),
        ("counts", ctypes.c_ulong * 10),
        ("versions", ctypes.c_ubyte * 4),
        ("time", ctypes.c_char * 16),
    )


def main() -> int:
    wanted: dict[str, str] = json.load(sys.stdin)
    library = ctypes.CDLL(wanted["module"])
    label = wanted["label"].encode().ljust(32)
    _call(library, "C_Initialize", None)
    try:
        slot, flags = _find(library, label)
        if flags & _FLAG_TOKEN_INITIALIZED and flags & _FLAG_USER_PIN_INITIALIZED:
            outcome = "found"
        elif flags & _FLAG_TOKEN_INITIALIZED:
            outcome = "completed"
            _set_user_pin(library, slot, wanted)
        else:
            outcome = "made"
            officer = wanted["so_pin"].encode()
            _call(library, "C_InitToken", ctypes.c_ulong(slot), officer, _length(officer), label)
            slot, _ = _find(library, label)
            _set_user_pin(library, slot, wanted)
    finally:
        library.C_Finalize(None)
    sys.stdout.write(outcome + "\n")
    return 0


def _find(library: ctypes.CDLL, label: bytes) -> tuple[int, int]:
    """(slot, flags) of the token with this label, or else of the free slot."""
    free: tuple[int, int] | None = None
    for slot in _slots(library):
        info = _TokenInfo()
        _call(library, "C_GetTokenInfo", ctypes.c_ulong(slot), ctypes.byref(info))
        if not info.flags & _FLAG_TOKEN_INITIALIZED:
            free = free or (slot, info.flags)
        elif ctypes.string_at(ctypes.addressof(info), 32) == label:
            return slot, info.flags
    if free is None:
        raise SystemExit("the module offers no free slot")
    return free


def _slots(library: ctypes.CDLL) -> list[int]:
    count = ctypes.c_ulong()
    _call(library, "C_GetSlotList", ctypes.c_ubyte(1), None, ctypes.byref(count))
    slots = (ctypes.c_ulong * count.value)()
    _call(library, "C_GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
    return list(slots)[: count.value]


def _set_user_pin(library: ctypes.CDLL, slot: int, wanted: dict[str, str]) -> None:
    officer, pin = wanted["so_pin"].encode(), wanted["pin"].encode()
    session = ctypes.c_ulong()
    _call(
        library,
        "C_OpenSession",
        ctypes.c_ulong(slot),
        ctypes.c_ulong(_SERIAL_RW),
        None,
        None,
        ctypes.byref(session),
    )
    _call(library, "C_Login", session, ctypes.c_ulong(_SECURITY_OFFICER), officer, _length(officer))
    _call(library, "C_InitPIN", session, pin, _length(pin))
    _call(library, "C_Logout", session)
    _call(library, "C_CloseSession", session)


def _length(value: bytes) -> ctypes.c_ulong:
    return ctypes.c_ulong(len(value))


def _call(library: ctypes.CDLL, name: str, *arguments: Any) -> None:
    answer = getattr(library, name)(*arguments) & 0xFFFFFFFF
    if answer != 0:
        raise SystemExit(f"{name} answered 0x{answer:x}")


if __name__ == "__main__":
    sys.exit(main())
