"""Fictional people and real unit names, one subject per profile."""

from __future__ import annotations

from ca.names import Subject

MAU = Subject.official(
    "Nguyễn Thị Mẫu",
    citizen_id="038900000001",
    unit="Sở Nội vụ",
    title="Chuyên viên",
    email="mau.nguyenthi@thanhhoa.gov.vn",
)
THU = Subject.citizen(
    "Lê Văn Thử", citizen_id="038900000002", state="Thanh Hóa", locality="Hạc Thành"
)
HAC_THANH = Subject.agency(
    "ỦY BAN NHÂN DÂN PHƯỜNG HẠC THÀNH", tax_code="2800000001", budget_code="1000001"
)
COMPANY = Subject.organisation("Công ty TNHH Ví Dụ", tax_code="2800000002", locality="Sầm Sơn")
SERVICE = Subject.service("TEST Dịch vụ mẫu")
UNIT = Subject(
    common_name="TEST Mã QR", organization="UBND phường Hạc Thành", organizational_units=("14797",)
)

BY_PROFILE = {
    "official": MAU,
    "citizen": THU,
    "organisation": COMPANY,
    "agency-seal": HAC_THANH,
    "tsa": SERVICE,
    "ocsp": SERVICE,
    "api-client": SERVICE,
    "audit": SERVICE,
    "copy-code": UNIT,
}
