"""The plan of a key ceremony: what is to exist, as one reviewed file.

    plan = load_plan(Path("ca/plans/province.yaml"))

It is declarative. A ceremony makes what the plan names and the tables do not have yet, so the same
file with one more entry is the next ceremony: a new issuing CA beside the old (rollover), a root
that succeeds a root (link certificates), a cross certificate, a revoked issuing CA. Reading is
strict: an unknown word, a name used twice or an issuer that is nowhere stops with the place and
the reason, before any key is touched.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509

from ca.ceremonies.plan_words import StrictLoader, Words, wrong
from ca.errors import UNREADABLE, CaError, PlanInvalid
from ca.names import Subject
from ca.profiles import PROFILES, profile_named
from hsm.mechanisms import KeyAlgorithm

_LIMIT = 256 * 1024
_SUBJECT_WORDS = {"common_name", "organization", "organizational_units", "country"}
SERVICE_PROFILES = ("ocsp", "tsa", "audit", "api-client")


@dataclass(frozen=True)
class RootPlan:
    """A root. One that `succeeds` another is linked with it in both directions (RFC 4210 §4.4)."""

    name: str
    subject: Subject
    key: KeyAlgorithm
    years: int
    succeeds: str | None = None


@dataclass(frozen=True)
class IssuingPlan:
    """An issuing CA; `profiles` says what it issues, the highest `generation` issues first."""

    name: str
    under: str
    subject: Subject
    key: KeyAlgorithm
    years: int
    profiles: tuple[str, ...]
    generation: int = 1


@dataclass(frozen=True)
class ServicePlan:
    """An OCSP responder, time-stamp unit or audit key."""

    name: str
    profile: str
    issuer: str
    subject: Subject
    key: KeyAlgorithm


@dataclass(frozen=True)
class CrossPlan:
    """Somebody else's CA, certified by one of our roots; `certificate` is its own, PEM."""

    name: str
    issuer: str
    certificate: x509.Certificate
    years: int


@dataclass(frozen=True)
class RevokedPlan:
    """A certificate a root signed and takes back."""

    serial: int
    reason: x509.ReasonFlags
    on: datetime


@dataclass(frozen=True)
class Plan:
    """The whole plan, with the text it was read from and that text's SHA-256."""

    title: str
    witnesses: tuple[str, str]
    roots: tuple[RootPlan, ...]
    issuing: tuple[IssuingPlan, ...]
    services: tuple[ServicePlan, ...]
    cross: tuple[CrossPlan, ...] = ()
    revoked: tuple[RevokedPlan, ...] = ()
    root_crl_days: int = 190
    text: str = field(default="", repr=False)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def root_of(self, name: str) -> bool:
        return any(root.name == name for root in self.roots)


def load_plan(path: Path) -> Plan:
    """Read a plan file; `PlanInvalid` says where it is wrong."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanInvalid("plan-unreadable", file=path.name, why=type(error).__name__) from error
    return parse_plan(text)


def parse_plan(text: str) -> Plan:
    """Read a plan from its text. Nothing is guessed and nothing is skipped."""
    if len(text) > _LIMIT:
        raise wrong("the file", "longer than 256 KiB")
    try:
        data = yaml.load(text, Loader=StrictLoader)  # noqa: S506 – a SafeLoader that also refuses repeated keys
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else "the file"
        raise wrong(line, getattr(error, "problem", None) or "not YAML") from error
    top = Words(data, "plan")
    plan = Plan(
        title=top.text("title"),
        witnesses=_witnesses(top),
        roots=tuple(_root(words) for words in top.entries("roots")),
        issuing=tuple(_issuing(words) for words in top.entries("issuing", may_lack=True)),
        services=tuple(_service(words) for words in top.entries("services", may_lack=True)),
        cross=tuple(_cross(words) for words in top.entries("cross", may_lack=True)),
        revoked=tuple(_revoked(words) for words in top.entries("revoked", may_lack=True)),
        root_crl_days=top.number("root_crl_days", 1, 400, default=190),
        text=text,
    )
    top.finish()
    _check_together(plan)
    return plan


def _witnesses(top: Words) -> tuple[str, str]:
    names = top.texts("witnesses")
    if len(names) != 2 or len(set(names)) != 2:
        raise wrong("plan.witnesses", "two different people have to be named")
    return names[0], names[1]


def _root(words: Words) -> RootPlan:
    return words.made(
        RootPlan(
            name=words.name("name"),
            subject=_subject(words),
            key=words.key(),
            years=words.number("years", 1, PROFILES["root"].years),
            succeeds=words.name("succeeds") if words.has("succeeds") else None,
        )
    )


def _issuing(words: Words) -> IssuingPlan:
    profiles = words.texts("issues")
    for profile in profiles:
        if profile not in PROFILES or profile_named(profile).is_authority:
            raise wrong(f"{words.place}.issues", f"{profile} is not a profile")
    return words.made(
        IssuingPlan(
            name=words.name("name"),
            under=words.name("under"),
            subject=_subject(words),
            key=words.key(),
            years=words.number("years", 1, PROFILES["issuing"].years),
            profiles=tuple(profiles),
            generation=words.number("generation", 1, 99, default=1),
        )
    )


def _service(words: Words) -> ServicePlan:
    profile = words.text("profile")
    if profile not in SERVICE_PROFILES:
        raise wrong(f"{words.place}.profile", f"one of {', '.join(SERVICE_PROFILES)} is meant")
    return words.made(
        ServicePlan(
            name=words.name("name"),
            profile=profile,
            issuer=words.name("issuer"),
            subject=_subject(words),
            key=words.key(),
        )
    )


def _cross(words: Words) -> CrossPlan:
    try:
        certificate = x509.load_pem_x509_certificate(words.text("certificate").encode())
    except UNREADABLE as error:
        raise wrong(f"{words.place}.certificate", "not a certificate in PEM") from error
    return words.made(
        CrossPlan(
            name=words.name("name"),
            issuer=words.name("issuer"),
            certificate=certificate,
            years=words.number("years", 1, PROFILES["cross"].years),
        )
    )


def _revoked(words: Words) -> RevokedPlan:
    serial = words.text("serial")
    if not re.fullmatch(r"[0-9a-f]{1,40}", serial):
        raise wrong(f"{words.place}.serial", "hexadecimal digits are meant")
    try:
        reason = x509.ReasonFlags(words.text("reason"))
    except ValueError as error:
        raise wrong(f"{words.place}.reason", "not a reason of RFC 5280 §5.3.1") from error
    on = words.take("on")
    if not isinstance(on, date) or isinstance(on, datetime):
        raise wrong(f"{words.place}.on", "a date (2026-11-23) is meant")
    moment = datetime(on.year, on.month, on.day, tzinfo=UTC)
    return words.made(RevokedPlan(int(serial, 16), reason, moment))


def _subject(words: Words) -> Subject:
    inner = Words(words.take("subject"), f"{words.place}.subject")
    values: dict[str, Any] = {}
    for word in _SUBJECT_WORDS:
        if inner.has(word):
            listed = word == "organizational_units"
            values[word] = tuple(inner.texts(word)) if listed else inner.text(word)
    inner.finish()
    try:
        return Subject(**{"common_name": "", **values})
    except CaError as error:
        raise wrong(inner.place, str(error)) from error


def _check_together(plan: Plan) -> None:
    names = [
        *(root.name for root in plan.roots),
        *(issuing.name for issuing in plan.issuing),
        *(service.name for service in plan.services),
        *(cross.name for cross in plan.cross),
    ]
    for name in names:
        if names.count(name) > 1:
            raise wrong("plan", f"the name {name} is used twice")
    roots = {root.name for root in plan.roots}
    issuers = roots | {issuing.name for issuing in plan.issuing}
    for root in plan.roots:
        if root.succeeds is not None and root.succeeds not in roots - {root.name}:
            raise wrong(f"roots.{root.name}.succeeds", f"there is no other root {root.succeeds}")
    for issuing in plan.issuing:
        if issuing.under not in roots:
            raise wrong(f"issuing.{issuing.name}.under", f"there is no root {issuing.under}")
    for service in plan.services:
        if service.issuer not in issuers:
            raise wrong(f"services.{service.name}.issuer", f"there is no {service.issuer}")
        if service.issuer in roots and service.profile != "ocsp":
            raise wrong(f"services.{service.name}.issuer", "a root certifies only CAs and OCSP")
    for cross in plan.cross:
        if cross.issuer not in roots:
            raise wrong(f"cross.{cross.name}.issuer", f"there is no root {cross.issuer}")
