"""Who may sit at the demonstration's screens, and how they sign in: one file for its owner alone.

The file holds one-time links and the PINs of fictional people's keys: never done outside a
demonstration, where nobody else may know a PIN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from api.auth import accounts
from api.auth.people import Role
from api.demonstration.cast import CITIZEN, CLERK_ID, OFFICIAL, OFFICIAL_ID
from api.settings import write_secret

if TYPE_CHECKING:
    from datetime import datetime

    from api.demonstration.cast import Cast
    from api.house import House

_LIFE = timedelta(days=30)
_BY = "operator:demo"


@dataclass(frozen=True)
class Seat:
    """A person of the demonstration and what they do."""

    name: str
    number: str
    roles: Sequence[Role]
    does: str
    pin: str = ""
    kind: str = "official"


@dataclass(frozen=True)
class Task:
    """What waits for one of the cast, and the page where it does."""

    name: str
    page: str
    vi: str
    en: str

    def line(self, language: str) -> str:
        return f"{self.name:<14}  {self.page:<15}  {self.en if language == 'en' else self.vi}"


TASKS = (
    Task(OFFICIAL, "/desk/documents", "một thông báo chờ ký", "a notice waits for the signature"),
    Task(
        "Phạm Thị Ví Dụ",
        "/desk/documents",
        "ký xong thì cho số và đóng dấu",
        "then for its number and the seal",
    ),
    Task(
        "Hoàng Văn Mẫu",
        "/desk/counter",
        "một người dân đã đặt lịch hẹn",
        "a citizen has an appointment",
    ),
    Task(
        CITIZEN.name,
        "/desk/papers",
        "bản sao đã chứng thực; lịch hẹn ở /desk/requests",
        "her certified copies; her appointment is at /desk/requests",
    ),
)


def seats(cast: Cast) -> tuple[Seat, ...]:
    """One for each role, and the citizen."""
    return (
        Seat(OFFICIAL, OFFICIAL_ID, (Role.SIGNER,), "phó chủ tịch, ký", cast.official_pin),
        Seat("Phạm Thị Ví Dụ", CLERK_ID, (Role.CLERK,), "văn thư, giữ dấu", cast.agency_pin),
        Seat(
            "Hoàng Văn Mẫu",
            "038800000104",
            (Role.INTAKE, Role.COMPARER),
            "tiếp nhận và đối chiếu",
        ),
        Seat("Đỗ Thị Thử", "038800000105", (Role.ADMIN, Role.AUDITOR), "quản trị và kiểm toán"),
        Seat(CITIZEN.name, CITIZEN.identifier, (), "người dân", kind="citizen"),
    )


def seat_everybody(house: House, cast: Cast, *, now: datetime) -> Path:
    """Accounts for the cast; the file with their links."""
    lines = ["Dấu Số: đăng nhập trình diễn (mỗi liên kết dùng một lần, trong 30 ngày)", ""]
    for seat in seats(cast):
        who = accounts.add(
            house.database,
            kind=seat.kind,
            holder_id=seat.number,
            name=seat.name,
            unit=cast.unit.code if seat.kind == "official" else None,
            roles=seat.roles,
            now=now,
            by=_BY,
        )
        token = accounts.make_link(house.database, who.account_id, now=now, by=_BY, life=_LIFE)
        pin = f"; mã PIN của khóa ký: {seat.pin}" if seat.pin else ""
        lines.append(f"{seat.name} ({seat.does}{pin})")
        lines.append(f"  {accounts.sign_in_address(house.settings.base_url, token)}")
    path = house.settings.home / "sign-in.txt"
    write_secret(path, "\n".join(lines))
    return path
