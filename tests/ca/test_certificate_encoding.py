"""The template of certificates against `cryptography`'s builder, and the rules for one shape."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from ca import lint, lint_shapes, tbs
from ca.issuer import Issuer
from ca.names import Subject
from ca.profiles import PROFILES, Profile
from ca.serials import new_serial
from tests.ca.status_world import certificate, key
from tests.small_pki import SIGNED_AT

NOW = SIGNED_AT.replace(microsecond=0)
HOLDERS = [one for one in PROFILES.values() if not one.is_authority]
LETTERS = st.text("ĂÂĐÊÔƠƯàáảãạ ớờởỡợ,+\"\\<>;'#=.-abcXYZ019", min_size=1, max_size=20)


def issuer(kind: str) -> Issuer:
    its = key(kind)
    own = certificate("TEST Persons G1", its.public_key(), None, its, NOW, ca=True)
    return Issuer("persons-g1", own, "root", b"1", (), "http://pki.dauso.vn")


ISSUERS = {kind: issuer(kind) for kind in ("issuer", "issuer-ec", "issuer-p384")}
KEYS: dict[str, Any] = {
    "p-256": ec.generate_private_key(ec.SECP256R1()).public_key(),
    "p-384": ec.generate_private_key(ec.SECP384R1()).public_key(),
    "rsa-2048": rsa.generate_private_key(65537, 2048).public_key(),
}


def subject_of(profile: Profile) -> Subject:
    if profile.name == "official":
        return Subject.official(
            "Lê Văn Thử", citizen_id="038812345678", unit="UBND phường Hạc Thành",
            title="Phó Chủ tịch", email="thu@thanhhoa.gov.vn",
        )  # fmt: skip
    if profile.name == "citizen":
        return Subject.citizen(
            "Nguyễn Thị Mẫu", citizen_id="038812345679", state="Thanh Hóa", locality="Hạc Thành"
        )
    if profile.name in ("agency-seal", "organisation"):
        return Subject.agency("UBND phường Hạc Thành", tax_code="2800000001", budget_code="1000001")
    return Subject.service("TEST dịch vụ", unit="Trung tâm")


def both(profile: Profile, above: Issuer, subject: Subject, public_key: Any) -> tuple[bytes, bytes]:
    wanted: Any = {
        "profile": profile,
        "issuer": above,
        "subject": subject,
        "public_key": public_key,
        "serial": new_serial(),
        "not_before": NOW,
        "not_after": NOW + timedelta(days=300),
    }
    return tbs.unsigned_certificate(**wanted).tbs, tbs.built_certificate(**wanted).tbs


@pytest.mark.parametrize("above", ISSUERS)
@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("profile", HOLDERS, ids=lambda one: one.name)
def test_the_template_writes_what_the_builder_writes(
    profile: Profile, algorithm: str, above: str
) -> None:
    """RFC 5280 §4.1: one DER encoding of one certificate, whoever writes it."""
    made, built = both(profile, ISSUERS[above], subject_of(profile), KEYS[algorithm])
    assert made == built


@given(name=LETTERS, unit=LETTERS, title=LETTERS)
@settings(max_examples=60, deadline=None)
def test_any_name_is_encoded_as_the_builder_does(name: str, unit: str, title: str) -> None:
    """DirectoryString of RFC 5280 §4.1.2.6, whatever stands in it; display loses nothing."""
    subject = Subject(
        common_name=f"A{name}", organizational_units=(unit, title), title=title, uids=("MST:1",)
    )
    made, built = both(PROFILES["tsa"], ISSUERS["issuer"], subject, KEYS["p-256"])
    assert made == built
    parsed = Subject.from_x509(tbs_name(made))
    assert (parsed, parsed.display()) == (subject, subject.display())


def tbs_name(encoded: bytes) -> x509.Name:
    unsigned = tbs.Unsigned(encoded, _algorithm(encoded), object())  # type: ignore[arg-type]  # not signed
    return unsigned.parsed().subject


def _algorithm(encoded: bytes) -> bytes:
    from ca import der

    reader = der.Reader(encoded).inside(der.SEQUENCE)
    reader.raw(0xA0)
    reader.raw(der.INTEGER)
    return reader.raw(der.SEQUENCE)


def unsigned(**changes: Any) -> tuple[tbs.Unsigned, dict[str, Any]]:
    wanted: dict[str, Any] = {
        "profile": PROFILES["official"],
        "issuer": ISSUERS["issuer"],
        "subject": subject_of(PROFILES["official"]),
        "public_key": KEYS["p-256"],
    }
    dates: dict[str, Any] = {
        "serial": new_serial(),
        "not_before": NOW,
        "not_after": NOW + timedelta(days=300),
    }
    made = tbs.unsigned_certificate(**{**wanted, **dates, **changes})
    return made, wanted


def rules(made: tbs.Unsigned, wanted: dict[str, Any]) -> list[str]:
    passed = lint_shapes.fixed_parts(unsigned()[0].tbs)
    return [rule for rule, _ in lint_shapes.departures(made, passed, **wanted)]


def test_another_certificate_of_the_shape_passes() -> None:
    assert rules(*unsigned()) == []


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"serial": 5}, "CA/B BR 7.1"),
        ({"not_after": NOW + timedelta(days=4000)}, "DOMAIN §2"),
        ({"not_before": NOW - timedelta(days=3000)}, "RFC 5280 §6.1.3"),
        ({"public_key": KEYS["p-384"]}, "RFC 5280 §4.1.2.7"),
        ({"subject": Subject.official("Lê Văn Khác", citizen_id="038812345678", unit="X",
                                      title="Y", email="thu@thanhhoa.gov.vn")},
         "RFC 5280 §4.1.2.6"),
        ({"profile": PROFILES["citizen"]}, "RFC 5280 §4.2"),
        ({"issuer": ISSUERS["issuer-ec"]}, "RFC 5280 §4.1"),
    ],
)  # fmt: skip
def test_each_departure_is_named(changes: dict[str, Any], rule: str) -> None:
    """What is not as subject and profile demand is found, though the shape has passed before."""
    made, wanted = unsigned(**changes)
    assert rule in rules(made, wanted)


def test_every_octet_of_a_certificate_is_looked_at() -> None:
    """No changed octet passes the rules of its shape, but those of serial and time."""
    made, wanted = unsigned()
    free = _free(made.tbs)
    for position in range(len(made.tbs)):
        changed = bytearray(made.tbs)
        changed[position] ^= 1
        other = dataclasses.replace(made, tbs=bytes(changed))
        try:
            found = bool(rules(other, wanted))
        except (ValueError, x509.InvalidVersion, lint.CaError):
            found = True
        assert found or position in free, position


def _free(encoded: bytes) -> set[int]:
    """Positions whose change gives another certificate that is as good: serial, digits of times."""
    parsed: set[int] = set()
    serial = encoded.index(b"\x02\x10") + 2
    parsed |= set(range(serial, serial + 16))
    start = 0
    while (at := encoded.find(b"\x17\x0d", start)) >= 0:
        parsed |= set(range(at + 2, at + 14))
        start = at + 2
    return parsed


def test_the_moment_is_an_argument(now: datetime) -> None:
    made, _ = unsigned(not_before=now, not_after=now + timedelta(days=1))
    assert made.parsed().not_valid_before_utc == now.replace(microsecond=0)
