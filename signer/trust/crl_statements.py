"""What the CRLs in hand say about one certificate (RFC 5280, clause 6.3.3).

The steps (a) to (l) of that clause, over lists that are already here: distribution points and
their reasons, indirect lists and lists signed by another key of the authority, deltas. Who may
have signed a list for the authority is asked of the caller, who knows the paths.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from signer.trust.certificates import (
    Certificate,
    has_whole_signature,
    is_authority,
    normal_name,
)

Reasons = frozenset[x509.ReasonFlags]
Signers = Callable[[bytes, bytes], Certificate | None]
"""From a name and a list: a certificate of that name, believed, whose key signed the list."""

_NOT_IN_MASKS = {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}
ALL_REASONS: Reasons = frozenset(set(x509.ReasonFlags) - _NOT_IN_MASKS)
_HOLD, _REMOVED = x509.ReasonFlags.certificate_hold, x509.ReasonFlags.remove_from_crl
_MAX_DATA = 64 << 20
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension)


@dataclass(frozen=True)
class Statement:
    """What one CRL or OCSP response, properly signed, says about one certificate.

    `reasons` are those it covers; `base` is the complete list that a delta continues.
    """

    this_update: datetime
    next_update: datetime | None
    revoked_at: datetime | None
    held: bool
    responder: Certificate
    digest: str
    source: bytes
    reasons: Reasons = ALL_REASONS
    base: Statement | None = None


@dataclass(frozen=True)
class _Scope:
    """The issuing distribution point and the number of a list; None when unreadable."""

    point: x509.IssuingDistributionPoint | None
    number: int | None
    base: int | None

    @property
    def indirect(self) -> bool:
        return self.point is not None and self.point.indirect_crl


def statements(
    certificate: Certificate, issuer: Certificate, sources: Sequence[bytes], signers: Signers
) -> Iterator[Statement]:
    """Every complete list in scope, and every delta together with the list it continues."""
    complete = []
    deltas = []
    for der in sources:
        revocations = read_crl(der)
        scope = _scope(der)
        if revocations is None or scope is None:
            continue
        if scope.base is not None:
            deltas.append((der, scope))
            continue
        found = _from_crl(der, scope, certificate, issuer, signers)
        if found is not None:
            complete.append((found, scope))
            yield found
    for der, scope in deltas:
        for base, base_scope in complete:
            if _continues(der, scope, base.source, base_scope):
                added = _from_crl(der, scope, certificate, issuer, signers, base=base)
                if added is not None:
                    yield added


@functools.lru_cache(maxsize=256)
def read_crl(der: bytes) -> x509.CertificateRevocationList | None:
    """A CRL, or None."""
    try:
        found = x509.load_der_x509_crl(der) if len(der) <= _MAX_DATA else None
    except (ValueError, TypeError, x509.InvalidVersion):
        return None
    return found if has_whole_signature(der) else None


@functools.lru_cache(maxsize=1024)
def crl_signed_by(der: bytes, signer: Certificate) -> bool:
    """Whether this list is signed by this certificate's key, which may sign lists."""
    revocations = read_crl(der)
    usage = signer.key_usage()
    if revocations is None or (usage is not None and not usage.crl_sign):
        return False
    key = signer.x509.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return False
    try:
        return revocations.is_signature_valid(key)
    except (*_UNREADABLE, InvalidSignature):
        return False


def _from_crl(
    der: bytes,
    scope: _Scope,
    certificate: Certificate,
    issuer: Certificate,
    signers: Signers,
    *,
    base: Statement | None = None,
) -> Statement | None:
    revocations = read_crl(der)
    assert revocations is not None
    try:
        speaker = revocations.issuer
        # (b)–(d): the list is about this certificate, for these reasons.
        reasons = _reasons(speaker, scope, certificate)
        if not reasons:
            return None
        # (f), (g): who signed it, and may they?
        signer = _signer(der, speaker, issuer, signers)
        if signer is None:
            return None
        # (i), (j): is the certificate on it?
        entry = _entry(der, certificate)
        digest = revocations.signature_hash_algorithm
        why = _reason(entry) if entry is not None else None
    except _UNREADABLE:
        return None
    if digest is None:
        return None
    made = Statement(
        this_update=revocations.last_update_utc,
        next_update=revocations.next_update_utc,
        revoked_at=entry.revocation_date_utc if entry is not None else None,
        held=why is _HOLD,
        responder=signer,
        digest=digest.name.replace("-", "_"),
        source=der,
        reasons=reasons,
    )
    if base is None:
        return made
    if entry is None:  # the delta is silent: as the complete list says
        return replace(made, revoked_at=base.revoked_at, held=base.held, base=base)
    if why is _REMOVED:
        return replace(made, revoked_at=None, held=False, base=base)
    return replace(made, base=base)


def _reasons(speaker: x509.Name, scope: _Scope, certificate: Certificate) -> Reasons:
    """Steps (b) to (d) for each distribution point, and for the one that is always meant."""
    if not _kind_fits(scope.point, certificate):
        return frozenset()
    author = certificate.x509.issuer
    own = _normal(speaker) == _normal(author)
    covered: set[x509.ReasonFlags] = set()
    named = scope.point.only_some_reasons if scope.point is not None else None
    listed = ALL_REASONS if named is None else named
    for point in _points(certificate):
        if point.crl_issuer:
            if not scope.indirect or _normal(speaker) not in _comparable(point.crl_issuer):
                continue
        elif not own:
            continue
        if _point_fits(point, scope.point, speaker, author):
            covered |= listed & (point.reasons or ALL_REASONS)
    if own and _point_fits(None, scope.point, speaker, author):
        covered |= listed  # the authority's own list, whether a point names it or not
    return frozenset(covered)


def _kind_fits(point: x509.IssuingDistributionPoint | None, certificate: Certificate) -> bool:
    if point is None:
        return True
    if point.only_contains_attribute_certs:
        return False
    ca = is_authority(certificate)
    return not (point.only_contains_ca_certs and not ca) and not (
        point.only_contains_user_certs and ca
    )


def _point_fits(
    point: x509.DistributionPoint | None,
    scope: x509.IssuingDistributionPoint | None,
    speaker: x509.Name,
    author: x509.Name,
) -> bool:
    """Step (b)(2)(i): a partition speaks only for the certificates that name it."""
    if scope is None or not (scope.full_name or scope.relative_name):
        return True
    partition = _full(scope.full_name, scope.relative_name, speaker)
    if point is None:
        return _normal(author) in partition
    if point.full_name or point.relative_name:
        above = author
        for one in point.crl_issuer or ():
            if isinstance(one, x509.DirectoryName):
                above = one.value
        return bool(partition & _full(point.full_name, point.relative_name, above))
    return bool(partition & _comparable(point.crl_issuer or ()))


def _full(
    names: Iterable[x509.GeneralName] | None,
    relative: x509.RelativeDistinguishedName | None,
    above: x509.Name,
) -> set[object]:
    """The names of a point; a relative one stands below the issuer of the list."""
    if relative is None:
        return _comparable(names or ())
    return {_normal(x509.Name([*above.rdns, relative]))}


def _comparable(names: Iterable[x509.GeneralName]) -> set[object]:
    return {_normal(one.value) if isinstance(one, x509.DirectoryName) else one for one in names}


def _normal(name: x509.Name) -> bytes:
    return normal_name(name.public_bytes())


def _signer(
    der: bytes, speaker: x509.Name, issuer: Certificate, signers: Signers
) -> Certificate | None:
    """The issuing key itself, or another key of the list's issuer that the caller believes."""
    encoded = speaker.public_bytes()
    if normal_name(encoded) == normal_name(issuer.subject) and crl_signed_by(der, issuer):
        return issuer
    return signers(encoded, der)


@functools.lru_cache(maxsize=32768)
def _entry(der: bytes, certificate: Certificate) -> x509.RevokedCertificate | None:
    revocations, scope = read_crl(der), _scope(der)
    assert revocations is not None
    assert scope is not None
    if not scope.indirect:
        return revocations.get_revoked_certificate_by_serial_number(certificate.serial)
    # RFC 5280, 5.3.3: an entry is about the last certificate issuer named, at first the list's.
    about, wanted = _normal(revocations.issuer), _normal(certificate.x509.issuer)
    for entry in revocations:
        try:
            named = entry.extensions.get_extension_for_class(x509.CertificateIssuer).value
            about = next(_normal(one.value) for one in named if isinstance(one, x509.DirectoryName))
        except (x509.ExtensionNotFound, StopIteration):
            pass
        if about == wanted and entry.serial_number == certificate.serial:
            return entry
    return None


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags | None:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return None


def _points(certificate: Certificate) -> Iterable[x509.DistributionPoint]:
    try:
        extensions = certificate.x509.extensions
        return extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return ()


@functools.lru_cache(maxsize=256)
def _scope(der: bytes) -> _Scope | None:
    """None for a list with something critical that we do not know, which says nothing then."""
    revocations = read_crl(der)
    if revocations is None:
        return None
    point, number, base = None, None, None
    try:
        for extension in revocations.extensions:
            value = extension.value
            if isinstance(value, x509.IssuingDistributionPoint):
                point = value
            elif isinstance(value, x509.CRLNumber):
                number = value.crl_number
            elif isinstance(value, x509.DeltaCRLIndicator):
                base = value.crl_number
            elif extension.critical:
                return None
    except _UNREADABLE:
        return None
    return _Scope(point, number, base)


def _continues(delta: bytes, scope: _Scope, complete: bytes, base: _Scope) -> bool:
    """Step (c): same issuer, same scope, and nothing missing between the two numbers."""
    one, other = read_crl(delta), read_crl(complete)
    assert one is not None
    assert other is not None
    if scope.number is None or scope.base is None or base.number is None:
        return False
    return (
        _normal(one.issuer) == _normal(other.issuer)
        and scope.point == base.point
        and scope.base <= base.number <= scope.number
    )
