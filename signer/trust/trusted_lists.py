"""Trusted lists of ETSI TS 119 612: whose services a state vouches for, since when, until when.

    found = read_list(data, name="VN", kind="foreign", signers=(pinned,), now=now)
    found.store            # anchors with the terms of the list
    found.finding          # why none of it is used, when that is so

A list counts when one of the pinned certificates signed the whole of it (XAdES enveloped, our own
validation) and its next update has not passed: a list that should have been replaced is unknown,
not trusted. What a service was on the day of a signature comes from the status history: granted
then and withdrawn later still counts, withdrawn before does not. Qualifiers are kept as facts.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from ca.trust import AnchorTerms, TrustStore
from ca.trust_file import ListSource
from records.errors import DomainError
from signer.files.xml_reading import Element, parse
from signer.trust.anchors import SIGNATURES, TIME_STAMPS
from signer.trust.certificates import Certificate, read_certificate
from signer.verdicts import validation_xades
from signer.verdicts.verdict import Finding, Unreadable, Weight, informs, warns

_TSL = "{http://uri.etsi.org/02231/v2#}"
_EXTRA = "{http://uri.etsi.org/02231/v2/additionaltypes#}"
_QUALIFIERS = "{http://uri.etsi.org/TrstSvc/SvcInfoExt/eSigDir-1999-93-EC-TrustedList/#}"
_VERSIONS = frozenset({"5", "6"})
_ACCEPTED = frozenset(
    {
        "granted",
        "recognisedatnationallevel",
        # TS 119 612 v1.1.1, found in histories:
        "undersupervision",
        "supervisionincessation",
        "accredited",
    }
)
_XML_LIST = "application/vnd.etsi.tsl+xml"
_MOST_SERVICES = 5_000
_MOST_LISTS = 80
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


class MalformedList(DomainError):
    """Not a trusted list as TS 119 612 describes it."""


@dataclass(frozen=True)
class Pointer:
    """Another list that this one names, with who may sign it."""

    territory: str
    location: str
    signers: tuple[x509.Certificate, ...]


@dataclass(frozen=True)
class TrustedList:
    """One list after its signature was checked. `finding` says why it is not used."""

    name: str
    number: int
    territory: str
    next_update: datetime | None
    store: TrustStore
    pointers: tuple[Pointer, ...] = ()
    finding: Finding | None = None


Fetch = Callable[[str], bytes]


def load_lists(
    sources: Iterable[ListSource], *, fetch: Fetch | None, now: datetime
) -> tuple[TrustStore, tuple[Finding, ...]]:
    """Every configured list and those they point to: one store, and what there is to tell.

    A list of lists is followed one step, each list under the certificates that it was named with.
    A list that cannot be had or believed leaves its anchors out; the others count.
    """
    store, findings = TrustStore(anchors=()), []
    waiting = [(one, True) for one in sources]
    for source, follow in waiting:
        if len(waiting) > _MOST_LISTS:
            break
        try:
            found = read_list(
                _data(source, fetch),
                name=source.name,
                kind=source.kind,
                signers=source.signers,
                now=now,
            )
        except DomainError as error:
            findings.append(warns(error.code, **{"name": source.name, **error.params}))
            continue
        if found.finding is not None:
            findings.append(found.finding)
            continue
        store = store.and_also(found.store)
        count = len(found.store.anchors)
        findings.append(
            informs("trusted-list-used", name=source.name, number=found.number, count=count)
        )
        if follow:
            waiting += [(_pointed(source, one), False) for one in found.pointers]
    return store, tuple(findings)


def read_list(
    data: bytes,
    *,
    name: str,
    kind: str,
    signers: Sequence[x509.Certificate],
    now: datetime,
) -> TrustedList:
    """Check the signature, then read. Raises MalformedList `trusted-list-signature`,
    `trusted-list-malformed`."""
    _require_signed(data, name, signers, now)
    root = parse(data, Unreadable).getroot()
    # No signature is over a comment; without it the text around it is what was signed.
    etree.strip_tags(root, etree.Comment)
    try:
        return read_content(root, name, kind, now)
    except READING_ERRORS as error:
        what = str(error)[:80] or type(error).__name__
        raise MalformedList("trusted-list-malformed", name=name, what=what) from None


def _require_signed(
    data: bytes, name: str, signers: Sequence[x509.Certificate], now: datetime
) -> None:
    """One enveloped signature over the whole document, by a pinned certificate in its time."""

    def refuse(why: str) -> MalformedList:
        return MalformedList("trusted-list-signature", name=name, why=why)

    try:
        claims = validation_xades.read_claims(data, None)
    except DomainError as error:
        raise refuse(error.code) from None
    if len(claims.signatures) != 1:
        raise refuse("one-signature")
    (claim,) = claims.signatures
    told = (*claims.findings, *claims.spoils, *claim.findings)
    failing = [one for one in told if one.weight is Weight.FAILS]
    if claim.signed is None or failing or not claim.whole_file:
        raise refuse(failing[0].code if failing else "partly-signed")
    pinned = {one.public_bytes(Encoding.DER) for one in signers}
    if claim.signed.certificate.der not in pinned:
        raise refuse("another-signer")
    made = claim.signed.claimed_time or now
    if not claim.signed.certificate.valid_at(min(made, now)):
        raise refuse("certificate-dates")


READING_ERRORS = (ValueError, binascii.Error, AttributeError, OverflowError)


def read_content(root: Element, name: str, kind: str, now: datetime) -> TrustedList:
    """What a list says, once its signature was checked; raises one of READING_ERRORS."""
    if root.tag != f"{_TSL}TrustServiceStatusList":
        raise ValueError("another document")
    scheme = _one(root, "SchemeInformation")
    if _text(scheme, "TSLVersionIdentifier") not in _VERSIONS:
        raise ValueError("TSLVersionIdentifier")
    number = int(_text(scheme, "TSLSequenceNumber"))
    territory = _text(scheme, "SchemeTerritory")[:8]
    issued = _moment(_text(scheme, "ListIssueDateTime"))
    due = scheme.findtext(f"{_TSL}NextUpdate/{_TSL}dateTime")
    next_update = _moment(due) if due else None
    pointers = tuple(_pointers(scheme))
    found = TrustedList(name, number, territory, next_update, TrustStore(anchors=()), pointers)
    if next_update is None or not issued <= now < next_update:
        # Without a next update the scheme is closed (TS 119 612 §5.3.15).
        until = f"{next_update:%d-%m-%Y}" if next_update else "?"
        return replace(found, finding=warns("trusted-list-expired", name=name, until=until))
    return replace(found, store=_store(root, territory, kind))


def _store(root: Element, territory: str, kind: str) -> TrustStore:
    anchors: dict[str, x509.Certificate] = {}
    terms: dict[str, AnchorTerms] = {}
    providers = root.findall(f"{_TSL}TrustServiceProviderList/{_TSL}TrustServiceProvider")
    services = [
        (_name(provider, "TSPInformation", "TSPName"), service)
        for provider in providers
        for service in provider.findall(f"{_TSL}TSPServices/{_TSL}TSPService")
    ]
    if len(services) > _MOST_SERVICES:
        raise ValueError("too many services")
    for provider, service in services:
        current = _one(service, "ServiceInformation")
        purpose = _purpose(_text(current, "ServiceTypeIdentifier"))
        if purpose is None:
            continue
        said = AnchorTerms(
            name=f"{territory}: {provider} – {_name(current, 'ServiceName')}"[:200],
            kind=kind,
            purposes=frozenset({purpose}),
            periods=tuple(_periods(service, current)),
            facts=tuple(_facts(current)),
        )
        for one in _identities(current):
            mark = one.digest.hex()
            anchors[mark] = one.x509
            terms[mark] = _merged(terms[mark], said) if mark in terms else said
    return TrustStore(tuple(anchors.values()), (), terms)


def _periods(service: Element, current: Element) -> Iterator[tuple[datetime, datetime]]:
    """When the service was accepted, from its status now and its history (§5.5.4, §5.6)."""
    history = service.findall(f"{_TSL}ServiceHistory/{_TSL}ServiceHistoryInstance")
    states = [
        (_moment(_text(one, "StatusStartingTime")), _text(one, "ServiceStatus"))
        for one in (current, *history)
    ]
    states.sort(key=lambda one: one[0])
    ends = [begin for begin, _status in states[1:]] + [_FOR_EVER]
    for (begin, status), end in zip(states, ends, strict=True):
        if _last_word(status) in _ACCEPTED and begin < end:
            yield begin, end


def _merged(one: AnchorTerms, other: AnchorTerms) -> AnchorTerms:
    """The same certificate for two services: each purpose only while all of them are accepted."""
    if one.purposes == other.purposes:
        return replace(one, periods=tuple(dict.fromkeys((*one.periods, *other.periods))))
    both = [
        (max(a, c), min(b, d))
        for a, b in one.periods
        for c, d in other.periods
        if max(a, c) < min(b, d)
    ]
    return replace(
        one,
        purposes=one.purposes | other.purposes,
        periods=tuple(both),
        facts=tuple(dict.fromkeys((*one.facts, *other.facts))),
    )


def _purpose(kind: str) -> str | None:
    """CA/QC and CA/PKC certify signers, TSA and its kinds stamp; the rest is not for us."""
    service = kind.partition("/Svctype/")[2]
    if service in ("CA/QC", "CA/PKC"):
        return SIGNATURES
    return TIME_STAMPS if service == "TSA" or service.startswith("TSA/") else None


def _facts(current: Element) -> Iterator[str]:
    yield _text(current, "ServiceTypeIdentifier").partition("/Svctype/")[2]
    for held in current.iter(f"{_TSL}AdditionalServiceInformation"):
        yield _last_word(held.findtext(f"{_TSL}URI") or "?")
    for held in current.iter(f"{_QUALIFIERS}Qualifier"):
        yield _last_word(held.get("uri") or "?")


def _identities(holder: Element) -> Iterator[Certificate]:
    path = f"{_TSL}ServiceDigitalIdentity/{_TSL}DigitalId/{_TSL}X509Certificate"
    for held in holder.findall(path):
        found = read_certificate(base64.b64decode(held.text or ""))
        if found is not None:
            yield found


def _pointers(scheme: Element) -> Iterator[Pointer]:
    for one in scheme.findall(f"{_TSL}PointersToOtherTSL/{_TSL}OtherTSLPointer"):
        if one.findtext(f".//{_EXTRA}MimeType") != _XML_LIST:
            continue
        holders = one.findall(f"{_TSL}ServiceDigitalIdentities")
        signers = tuple(found.x509 for holder in holders for found in _identities(holder))
        territory = one.findtext(f".//{_TSL}SchemeTerritory") or "?"
        location = one.findtext(f"{_TSL}TSLLocation") or ""
        if signers and location:
            yield Pointer(territory[:8], location.strip(), signers)


def _pointed(source: ListSource, pointer: Pointer) -> ListSource:
    return ListSource(
        name=f"{source.name} → {pointer.territory}",
        kind=source.kind,
        territory=pointer.territory,
        signers=pointer.signers,
        url=pointer.location,
    )


def _data(source: ListSource, fetch: Fetch | None) -> bytes:
    if source.file is not None:
        try:
            return source.file.read_bytes()
        except OSError as error:
            why = error.strerror or "?"
            raise MalformedList("trusted-list-unreachable", name=source.name, why=why) from None
    if fetch is None or source.url is None:
        why = "fetching is switched off"
        raise MalformedList("trusted-list-unreachable", name=source.name, why=why)
    return fetch(source.url)


def _one(holder: Element, tag: str) -> Element:
    found = holder.findall(f"{_TSL}{tag}")
    if len(found) != 1:
        raise ValueError(tag)
    return found[0]


def _text(holder: Element, tag: str) -> str:
    text: str = _one(holder, tag).text or ""
    if not text.strip():
        raise ValueError(tag)
    return text.strip()


def _name(holder: Element, *tags: str) -> str:
    path = "/".join(f"{_TSL}{tag}" for tag in (*tags, "Name"))
    return " ".join((holder.findtext(path) or "?").split())[:100]


def _last_word(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2].lower() if "Svcstatus" in uri else _tail(uri)


def _tail(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2][:60]


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.strip())
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
