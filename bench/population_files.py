"""Lists of a province's officials and agencies, as a department would send them: CSV and XLSX."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

OFFICIALS, AGENCIES = 72_000, 2_100
_FAMILY = ("Nguyễn", "Lê", "Phạm", "Trần", "Hoàng", "Vũ", "Đỗ", "Bùi", "Trịnh", "Mai")
_MIDDLE = ("Thị", "Văn", "Minh", "Ngọc", "Đức", "Hữu", "Thanh", "Quốc")
_GIVEN = ("Mẫu", "Thử", "Ví Dụ", "Nghiệm", "Kiểm", "Bản", "Chính", "Sao")
_TITLES = ("Chuyên viên", "Phó Chủ tịch", "Công chức tư pháp – hộ tịch", "Văn thư", "")


def officials(count: int) -> Iterator[list[str]]:
    """Heading and rows. Citizen numbers of a century that has not come (DOMAIN.md §7)."""
    yield ["STT", "Họ và tên", "CCCD", "Mã đơn vị", "Tên đơn vị", "Chức vụ", "Email"]
    for n in range(count):
        name = " ".join((_FAMILY[n % 10], _MIDDLE[n // 10 % 8], _GIVEN[n // 80 % 8]))
        unit = n % 166
        yield [
            str(n + 1),
            name,
            f"0388{n:08d}",
            f"{14000 + unit}",
            f"UBND phường Thử Nghiệm {unit}",
            _TITLES[n % 5],
            f"cb{n}@thanhhoa.gov.vn" if n % 2 else "",
        ]


def agencies(count: int) -> Iterator[list[str]]:
    """Heading and rows of agencies."""
    yield ["Tên cơ quan", "Mã số thuế", "Mã ngân sách", "Mã đơn vị", "Địa danh", "Văn thư"]
    for n in range(count):
        code = f"{14000 + n % 166}"
        yield [
            f"Cơ quan Thử Nghiệm {n}",
            f"28{n:08d}",
            f"1{n:06d}",
            code,
            "Hạc Thành",
            f"0389{n:08d}",
        ]


def as_csv(rows: Iterator[list[str]]) -> bytes:
    """As Excel writes "CSV UTF-8"."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()
