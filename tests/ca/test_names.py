"""Subject forms of DOMAIN.md §2, both ways."""

from __future__ import annotations

import doctest

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

import ca.names
from ca.errors import CaError
from ca.names import Subject, display_name, split_name
from tests.ca.subjects import BY_PROFILE, HAC_THANH, MAU


def test_examples_in_the_module_run() -> None:
    """DESIGN §8 (pyca): docs that run."""
    failed, ran = doctest.testmod(ca.names)
    assert ran
    assert not failed


@pytest.mark.parametrize("profile", BY_PROFILE)
def test_every_form_survives_both_ways(profile: str) -> None:
    """DOMAIN §2: it must survive issuing, parsing and display."""
    subject = BY_PROFILE[profile]
    encoded = subject.to_x509().public_bytes()
    assert Subject.from_x509(subject.to_x509()) == subject
    assert subject.to_x509().public_bytes() == encoded
    assert Subject.from_json(subject.to_json()) == subject


def test_uid_may_repeat() -> None:
    """DOMAIN §2: UID may repeat in one DN."""
    uids = HAC_THANH.to_x509().get_attributes_for_oid(NameOID.USER_ID)
    assert [uid.value for uid in uids] == ["MST:2800000001", "MNS:1000001"]
    assert "UID=MST:2800000001" in HAC_THANH.display()
    assert "UID=MNS:1000001" in HAC_THANH.display()
    assert HAC_THANH.uid("MNS") == "1000001"


def test_official_reads_as_the_law_writes_it() -> None:
    """DOMAIN §2: `E=…, CN=<Họ tên>, OU=<đơn vị>, O=ỦY BAN NHÂN DÂN TỈNH THANH HÓA, C=VN`."""
    shown = MAU.display()
    order = [
        shown.index(part)
        for part in ("E=", ", CN=Nguyễn Thị Mẫu", ", T=", ", OU=", ", O=", ", C=VN")
    ]
    assert order == sorted(order)
    assert MAU.citizen_id == "038900000001"


def test_decomposed_vietnamese_is_composed() -> None:
    """RFC 5280 §7.1 compares names; NFC and NFD of one name would be two holders."""
    assert Subject.service("Nguye\u0302\u0303n").common_name == "Nguyễn"


@pytest.mark.filterwarnings("ignore:Attribute.s length")
def test_long_vietnamese_names_count_characters_not_octets() -> None:
    """RFC 5280 A.1: ub-common-name 64 is in characters; 64 letters with marks are 180 octets."""
    name = "ễ" * 63 + " ố"
    with pytest.raises(CaError, match="65 characters"):
        Subject.service(name)
    subject = Subject.service("ễ" * 64)
    assert Subject.from_x509(subject.to_x509()) == subject


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"common_name": ""}, "name-missing"),
        ({"common_name": "a\x00b"}, "name-characters"),
        ({"common_name": "a\u202eb"}, "name-characters"),
        ({"country": "Vietnam"}, "name-country-invalid"),
        ({"email": "a@b"}, "name-email-invalid"),
        ({"email": "mẫu@thanhhoa.gov.vn"}, "name-email-invalid"),
        ({"uids": ("XYZ:1",)}, "name-uid-invalid"),
        ({"uids": ("CCCD:123",)}, "name-citizen-id-invalid"),
        ({"organization": "x" * 65}, "name-too-long"),
        ({"serial_number": "số 1"}, "name-characters"),
    ],
)
def test_what_may_not_stand_in_a_name(change: dict[str, object], code: str) -> None:
    """RFC 5280 §4.1.2.6, DOMAIN §2: a name says one thing to everybody who reads it."""
    values: dict[str, object] = {"common_name": "TEST", **change}
    with pytest.raises(CaError) as refused:
        Subject(**values)  # type: ignore[arg-type]  # the point of the test
    assert refused.value.code == code


def test_an_attribute_nobody_knows_is_refused() -> None:
    """A certificate must not say less than its request."""
    name = x509.Name([x509.NameAttribute(NameOID.PSEUDONYM, "x"), *MAU.to_x509()])
    with pytest.raises(CaError) as refused:
        Subject.from_x509(name)
    assert refused.value.code == "name-attribute-unknown"
    assert "2.5.4.65=x" in display_name(name)


def test_display_cannot_be_forged() -> None:
    """RFC 4514 §2.4: separators inside a value are escaped."""
    assert "CN=a\\, O=b" in Subject.service("a, O=b").display()


def test_family_name_comes_first() -> None:
    """EN 319 412-2 §4.2.4 asks for surname and givenName; họ is the first word."""
    assert split_name("Phạm Minh Ví Dụ") == ("Phạm", "Minh Ví Dụ")
    with pytest.raises(CaError):
        split_name("Mẫu")


@given(st.text(min_size=1, max_size=64))
def test_any_text_is_refused_or_survives(text: str) -> None:
    """Whatever is accepted comes back as it was stored."""
    try:
        subject = Subject.service(text)
    except CaError:
        return
    assert Subject.from_x509(subject.to_x509()) == subject


@pytest.mark.parametrize("name", ["Bùi Thử1", "😀 Thử", "Bùi,Thử+CN=Chủ tịch Tỉnh", "<b> Bùi </b>"])
def test_a_persons_name_is_made_of_letters(name: str) -> None:
    """EN 319 412-2 §4.2.4: the name under which a person is known; no digits, signs or pictures."""
    with pytest.raises(CaError) as refused:
        Subject.citizen(name, citizen_id="038812345678", state="Thanh Hóa", locality="Hạc Thành")
    assert refused.value.code == "name-not-a-persons"
    assert Subject.official("H'Hen Niê-Mẫu", citizen_id="038812345678", unit="X").surname == "H'Hen"
