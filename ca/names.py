"""Who a certificate names: the subject forms of the province, both ways.

    >>> unit = Subject.agency("UBND phường Hạc Thành", tax_code="2800000001", budget_code="1000001")
    >>> unit.uids
    ('MST:2800000001', 'MNS:1000001')
    >>> Subject.from_x509(unit.to_x509()) == unit
    True

A subject is a value: it is made by one of the constructors below or read back from a certificate,
and both give the same thing. `UID` may repeat in one name (an agency has a tax code *and* a budget
code); the order of the values is kept.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from dataclasses import asdict, dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from ca.errors import CaError

# cryptography counts UTF-8 bytes where RFC 5280 counts characters, and would warn about (or refuse)
# every longer Vietnamese name. The bounds are checked here instead, in characters.
warnings.filterwarnings("ignore", message="Attribute's length must be", category=UserWarning)

UID_PREFIXES = ("CCCD", "MST", "MNS", "CMND", "HC", "BHXH", "PID")
PROVINCE_AUTHORITY = "ỦY BAN NHÂN DÂN TỈNH THANH HÓA"

# RFC 5280 appendix A.1, upper bounds (ub-*), in characters.
_BOUNDS = {
    "common_name": 64,
    "organization": 64,
    "organizational_units": 64,
    "title": 64,
    "email": 255,
    "locality": 128,
    "state": 128,
    "surname": 40,
    "given_name": 64,
    "serial_number": 64,
    "organization_identifier": 64,
    "uids": 64,
}

# The order in the DER, least specific first; display turns it round (RFC 4514 §2.1).
ATTRIBUTES = (
    ("country", NameOID.COUNTRY_NAME, "C"),
    ("state", NameOID.STATE_OR_PROVINCE_NAME, "ST"),
    ("locality", NameOID.LOCALITY_NAME, "L"),
    ("organization", NameOID.ORGANIZATION_NAME, "O"),
    ("organization_identifier", NameOID.ORGANIZATION_IDENTIFIER, "organizationIdentifier"),
    ("organizational_units", NameOID.ORGANIZATIONAL_UNIT_NAME, "OU"),
    ("title", NameOID.TITLE, "T"),
    ("surname", NameOID.SURNAME, "SN"),
    ("given_name", NameOID.GIVEN_NAME, "GN"),
    ("serial_number", NameOID.SERIAL_NUMBER, "serialNumber"),
    ("uids", NameOID.USER_ID, "UID"),
    ("common_name", NameOID.COMMON_NAME, "CN"),
    ("email", NameOID.EMAIL_ADDRESS, "E"),
)
REPEATED = {"uids", "organizational_units"}
_BY_OID = {oid: field for field, oid, _ in ATTRIBUTES}
_LABEL = {oid: label for _, oid, label in ATTRIBUTES}

_EMAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_UID = re.compile(rf"({'|'.join(UID_PREFIXES)}):[0-9A-Za-z.-]{{1,40}}")
_CITIZEN_ID = re.compile(r"[0-9]{12}")
_SEPARATOR = re.compile(r'([,+"\\<>;])')
_ESCAPED = r"\\\1"
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]+")


@dataclass(frozen=True)
class Subject:
    """The name in a certificate. Text is held in Unicode NFC, trimmed; empty means absent."""

    common_name: str
    uids: tuple[str, ...] = ()
    organization: str = ""
    organizational_units: tuple[str, ...] = ()
    title: str = ""
    email: str = ""
    locality: str = ""
    state: str = ""
    country: str = "VN"
    surname: str = ""
    given_name: str = ""
    serial_number: str = ""
    organization_identifier: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in REPEATED:
                cleaned = (_text(field.name, item) for item in value)
                clean: Any = tuple(item for item in cleaned if item)
            else:
                clean = _text(field.name, value)
            object.__setattr__(self, field.name, clean)
        if not self.common_name:
            raise CaError("name-missing", field="common_name")
        if not re.fullmatch(r"[A-Z]{2}", self.country):
            raise CaError("name-country-invalid", value=self.country)
        if self.email and not _EMAIL.fullmatch(self.email):
            raise CaError("name-email-invalid", value=self.email)
        if self.serial_number and not _PRINTABLE.fullmatch(self.serial_number):
            raise CaError("name-characters", field="serial_number")
        for uid in self.uids:
            _checked_uid(uid)

    @classmethod
    def official(
        cls,
        name: str,
        *,
        citizen_id: str,
        unit: str,
        title: str = "",
        email: str = "",
        organization: str = PROVINCE_AUTHORITY,
    ) -> Subject:
        """A civil servant: `E, CN, UID=CCCD:…, T, OU, O, C` (DOMAIN.md §2).

        Surname, given name and the serialNumber with the PNO scheme are what EN 319 412-1 §5.1.3
        and EN 319 412-2 §4.2.4 ask of a natural person.
        """
        surname, given_name = split_name(name)
        return cls(
            common_name=name,
            uids=(f"CCCD:{citizen_id}",),
            organization=organization,
            organizational_units=(unit,) if unit else (),
            title=title,
            email=email,
            surname=surname,
            given_name=given_name,
            serial_number=f"PNOVN-{citizen_id}",
        )

    @classmethod
    def citizen(cls, name: str, *, citizen_id: str, state: str, locality: str) -> Subject:
        """A citizen: `CN, UID=CCCD:…, L, ST, C` (DOMAIN.md §2)."""
        surname, given_name = split_name(name)
        return cls(
            common_name=name,
            uids=(f"CCCD:{citizen_id}",),
            state=state,
            locality=locality,
            surname=surname,
            given_name=given_name,
            serial_number=f"PNOVN-{citizen_id}",
        )

    @classmethod
    def agency(
        cls,
        name: str,
        *,
        tax_code: str = "",
        budget_code: str = "",
        organization: str = PROVINCE_AUTHORITY,
        locality: str = "Thanh Hóa",
        email: str = "",
    ) -> Subject:
        """An agency or unit: `UID=MST:…, UID=MNS:…, CN, O, L, C`: the UID repeats.

        organizationIdentifier (EN 319 412-1 §5.1.4) is the tax code under the VAT scheme, or the
        budget code under a national scheme where there is none.
        """
        if not tax_code and not budget_code:
            raise CaError("name-agency-code-missing", name=name)
        uids = [f"MST:{tax_code}"] if tax_code else []
        if budget_code:
            uids.append(f"MNS:{budget_code}")
        return cls(
            common_name=name,
            uids=tuple(uids),
            organization=organization,
            locality=locality,
            email=email,
            organization_identifier=f"VATVN-{tax_code}" if tax_code else f"BU:VN-{budget_code}",
        )

    @classmethod
    def organisation(
        cls, name: str, *, tax_code: str, locality: str = "", state: str = "Thanh Hóa"
    ) -> Subject:
        """A company or association: `UID=MST:…`."""
        return cls(
            common_name=name,
            uids=(f"MST:{tax_code}",),
            organization=name,
            locality=locality,
            state=state,
            organization_identifier=f"VATVN-{tax_code}",
        )

    @classmethod
    def service(
        cls, name: str, *, organization: str = PROVINCE_AUTHORITY, unit: str = ""
    ) -> Subject:
        """A CA, responder, time-stamp unit or API client."""
        units = (unit,) if unit else ()
        return cls(common_name=name, organization=organization, organizational_units=units)

    @property
    def citizen_id(self) -> str:
        """The twelve digits of the identity card, or empty."""
        return self.uid("CCCD")

    def uid(self, prefix: str) -> str:
        """The first UID with this prefix, without it; empty when there is none."""
        for uid in self.uids:
            if uid.startswith(prefix + ":"):
                return uid[len(prefix) + 1 :]
        return ""

    def to_x509(self) -> x509.Name:
        """The name as it goes into a certificate, one attribute per RDN."""
        return self._name

    @cached_property
    def _name(self) -> x509.Name:
        return x509.Name(
            [x509.NameAttribute(oid, item, _validate=False) for oid, item in self.pairs]
        )

    @classmethod
    def from_x509(cls, name: x509.Name) -> Subject:
        """The subject named in a certificate or request; an attribute we do not use is refused.

        Refusing is right for a request, whose holder would otherwise get a certificate that says
        less than what was asked. To show a foreign certificate's name, use `display_name`.
        """
        values: dict[str, Any] = {"country": ""}
        for attribute in name:
            field = _BY_OID.get(attribute.oid)
            if field is None:
                raise CaError("name-attribute-unknown", oid=attribute.oid.dotted_string)
            if isinstance(attribute.value, bytes):
                raise CaError("name-characters", field=field)
            if field in REPEATED:
                values[field] = (*values.get(field, ()), attribute.value)
            elif values.get(field):
                raise CaError("name-repeated", field=field)
            else:
                values[field] = attribute.value
        return cls(**{"common_name": "", **values})

    def display(self) -> str:
        """One line, most specific attribute first, every UID kept."""
        return self._shown

    @cached_property
    def _shown(self) -> str:
        parts = []
        for field, _, label in reversed(ATTRIBUTES):
            value = getattr(self, field)
            if value:
                items = reversed(value) if field in REPEATED else (value,)
                parts += [f"{label}={_SEPARATOR.sub(_ESCAPED, item)}" for item in items]
        return ", ".join(parts)

    @cached_property
    def pairs(self) -> list[tuple[x509.ObjectIdentifier, str]]:
        """Every attribute with its object identifier, in the order of the certificate."""
        pairs = []
        for field, oid, _ in ATTRIBUTES:
            value = getattr(self, field)
            if value:
                pairs += [(oid, item) for item in (value if field in REPEATED else (value,))]
        return pairs

    @cached_property
    def alternative_name(self) -> x509.SubjectAlternativeName | None:
        """The e-mail address as subjectAltName (RFC 5280 §4.2.1.6), when there is one."""
        if not self.email:
            return None
        return x509.SubjectAlternativeName([x509.RFC822Name(self.email)])

    @cached_property
    def attributes(self) -> dict[str, int]:
        """Which attributes the name has, and how many of each."""
        values = ((field, getattr(self, field)) for field, _, _ in ATTRIBUTES)
        return {name: len(value) if name in REPEATED else 1 for name, value in values if value}

    def to_json(self) -> dict[str, Any]:
        """Only what is there, as plain data for a row or an API."""
        return {key: value for key, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Subject:
        listed = {key: tuple(data[key]) for key in REPEATED & data.keys()}
        return cls(**{"country": "", **data, **listed})


def display_name(name: x509.Name) -> str:
    """Any distinguished name as one readable line; nothing is lost, no repeated attribute."""
    parts = []
    for attribute in reversed(list(name)):
        label = _LABEL.get(attribute.oid, attribute.oid.dotted_string)
        value = attribute.value if isinstance(attribute.value, str) else attribute.value.hex()
        escaped = _SEPARATOR.sub(_ESCAPED, value)
        parts.append(f"{label}={escaped}")
    return ", ".join(parts)


def split_name(name: str) -> tuple[str, str]:
    """Family name and the rest: in Vietnamese the family name (họ) is the first word."""
    words = name.split()
    if len(words) < 2:
        raise CaError("name-two-words", value=name)
    strange = next((one for one in " ".join(words) if not _in_a_persons_name(one)), None)
    if strange is not None:
        raise CaError("name-not-a-persons", value=name, letter=strange)
    return words[0], " ".join(words[1:])


@lru_cache(maxsize=4096)
def _in_a_persons_name(character: str) -> bool:
    """Letters and their marks, and what joins them: no digit, sign or picture is anybody's name."""
    return unicodedata.category(character)[0] in "LM" or character in " '’.-"


@lru_cache(maxsize=4096)
def _refused(character: str) -> bool:
    """Control, format, surrogate, private and unassigned characters say nothing to a reader."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")


def _text(field: str, value: str) -> str:
    text = unicodedata.normalize("NFC", value).strip()
    if any(map(_refused, text)):
        raise CaError("name-characters", field=field)
    bound = _BOUNDS.get(field)
    if bound is not None and len(text) > bound:
        raise CaError("name-too-long", field=field, length=len(text), limit=bound)
    return text


def _checked_uid(uid: str) -> None:
    if not _UID.fullmatch(uid):
        raise CaError("name-uid-invalid", value=uid, prefixes=", ".join(UID_PREFIXES))
    prefix, _, value = uid.partition(":")
    if prefix == "CCCD" and not _CITIZEN_ID.fullmatch(value):
        raise CaError("name-citizen-id-invalid")
