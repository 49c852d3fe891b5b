"""The VietQR code of a transfer, made here: no service of a bank is asked for it.

    payload(account=Account("970436", "0388000014797", …), amount=4000, purpose="DS7K2M9XQ4 LE PHI")

EMV QRCPS merchant-presented mode 1.1, as NAPAS uses it: template 38 with the identifier
A000000727, the beneficiary's bank and account, service QRIBFTTA (transfer to an account).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from certify.errors import CertifyError

_DATA = Path(__file__).with_name("bank_accounts.json")
_PLAIN = re.compile(r"[A-Za-z0-9 ]{1,25}\Z")
_MOST = 9_999_999_999


@dataclass(frozen=True)
class Account:
    """Where a unit's fees go; `bank_bin` is the bank's six digits at NAPAS."""

    bank_bin: str
    number: str
    bank: str
    holder: str
    demo: bool


def payload(*, account: Account, amount: int, purpose: str) -> str:
    """The text of the QR code. Raises `CertifyError`: `transfer-invalid`."""
    if not 0 < amount <= _MOST or not _PLAIN.match(purpose):
        raise CertifyError("transfer-invalid")
    beneficiary = _field("00", account.bank_bin) + _field("01", account.number)
    body = "".join(
        (
            _field("00", "01"),
            _field("01", "12"),  # good for one payment
            _field(
                "38",
                _field("00", "A000000727") + _field("01", beneficiary) + _field("02", "QRIBFTTA"),
            ),
            _field("53", "704"),  # đồng
            _field("54", str(amount)),
            _field("58", "VN"),
            _field("62", _field("08", purpose)),
            "6304",
        )
    )
    return f"{body}{checksum(body):04X}"


def account_of(unit: str, *, on: date) -> Account:
    """The unit's account that day. Raises `CertifyError`: `bank-account-missing`."""
    day = on.isoformat()
    for row in reversed(_accounts()):
        if row["unit"] in (unit, "*") and row["effective_from"] <= day <= (
            row["effective_to"] or day
        ):
            number = str(row["number"]).replace("{unit}", unit)
            return Account(row["bank_bin"], number, row["bank"], row["holder"], bool(row["demo"]))
    raise CertifyError("bank-account-missing", unit=unit)


def checksum(text: str) -> int:
    """CRC-16/CCITT-FALSE over everything including the checksum's own tag and length."""
    value = 0xFFFF
    for octet in text.encode("ascii"):
        value ^= octet << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def _field(tag: str, value: str) -> str:
    return f"{tag}{len(value):02d}{value}"


@cache
def _accounts() -> tuple[dict[str, Any], ...]:
    """Those for every unit first, so that a unit's own is found before them."""
    rows = json.loads(_DATA.read_text("utf-8"))["accounts"]
    return tuple(sorted(rows, key=lambda row: (row["unit"] != "*", str(row["effective_from"]))))
