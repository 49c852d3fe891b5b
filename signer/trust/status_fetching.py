"""Certificates and revocation data that a file lacks, asked for where its certificates say.

    found = fetch_status([leaf], trust, fetcher)
    validate(data, trust=trust with found.certificates, revocation=found.revocation, …)

AIA caIssuers, OCSP, then CRL distribution points (RFC 5280 §4.2.2.1, §4.2.1.13; RFC 6960). What
comes back is no more believed than what a file carries: it goes through the same validation. How
the network is reached, and what is refused there, is the business of the `Fetcher`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from records.errors import DomainError
from signer.trust.certificates import Certificate, issued, read_certificate
from signer.trust.crl_statements import read_crl
from signer.trust.path import Trust
from signer.trust.revocation_status import read_ocsp

_LARGEST_CERTIFICATES = 256 << 10
_LARGEST_ANSWER = 256 << 10
_LARGEST_LIST = 32 << 20
_MOST_LEAVES = 8
_MOST_ASKED = 24
_LONGEST = 6
_MOST_SECONDS = 30.0
"""For all questions about one file: each may be slow, and somebody waits for the verdict."""
_MOST_ADDRESSES = 3


class FetchFailed(DomainError):
    """Nothing came back: refused by the guard, unreachable, too slow, too large."""


class Fetcher(Protocol):
    """Whoever reaches the network. Raises FetchFailed."""

    def get(self, url: str, *, limit: int) -> bytes: ...

    def post(self, url: str, body: bytes, content_type: str, *, limit: int) -> bytes: ...


@dataclass
class Fetched:
    """What came back, unjudged; and what did not."""

    certificates: list[x509.Certificate] = field(default_factory=list)
    revocation: list[bytes] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    asked: int = 0
    begun: float = field(default_factory=time.monotonic)


def fetch_status(
    leaves: Iterable[bytes],
    trust: Trust,
    fetcher: Fetcher,
    at_hand: Iterable[bytes] = (),
    *,
    found: Fetched | None = None,
) -> Fetched:
    """Ask for the issuers and the status of these certificates (DER) up to an anchor.

    `at_hand` are certificates that need not be asked for, `found` is what an earlier call found.
    """
    found = found or Fetched()
    anchors = [_read(one) for one in trust.anchors]
    known = [*anchors, *(_read(one) for one in trust.intermediates)]
    known += [read_certificate(one) for one in at_hand]
    done: set[Certificate] = set()
    for leaf in list(dict.fromkeys(leaves))[:_MOST_LEAVES]:
        one = read_certificate(leaf)
        for _ in range(_LONGEST):
            if one is None or one in done or one in anchors or one.self_signed:
                break
            done.add(one)
            issuer = next((each for each in known if each and issued(one, each)), None)
            if issuer is None:
                issuer = _issuer(one, fetcher, found)
                if issuer is None:
                    break
                known.append(issuer)
                found.certificates.append(issuer.x509)
            _status(one, issuer, fetcher, found)
            one = issuer
    return found


def _issuer(one: Certificate, fetcher: Fetcher, found: Fetched) -> Certificate | None:
    for url in _access(one, AuthorityInformationAccessOID.CA_ISSUERS):
        data = _asked(found, url, partial(fetcher.get, url, limit=_LARGEST_CERTIFICATES))
        for each in _certificates(data or b""):
            if issued(one, each):
                return each
    return None


def _status(one: Certificate, issuer: Certificate, fetcher: Fetcher, found: Fetched) -> None:
    """OCSP first, it is small; a list when nobody answers."""
    for url in _access(one, AuthorityInformationAccessOID.OCSP):
        # RFC 5019 §2.1.1: CertID with SHA-1, which every responder knows; it only names.
        digest = hashes.SHA1()  # noqa: S303 – names a certificate, protects nothing
        builder = ocsp.OCSPRequestBuilder().add_certificate(one.x509, issuer.x509, digest)
        body = builder.build().public_bytes(Encoding.DER)
        kind = "application/ocsp-request"
        ask = partial(fetcher.post, url, body, kind, limit=_LARGEST_ANSWER)
        answer = _asked(found, url, ask)
        if answer is not None and read_ocsp(answer) is not None:
            found.revocation.append(answer)
            return
    for url in _distribution_points(one):
        data = _asked(found, url, partial(fetcher.get, url, limit=_LARGEST_LIST))
        if data is not None and read_crl(data) is not None:
            found.revocation.append(data)
            return


def _asked(found: Fetched, url: str, ask: Callable[[], bytes]) -> bytes | None:
    if found.asked >= _MOST_ASKED or time.monotonic() - found.begun > _MOST_SECONDS:
        return None
    found.asked += 1
    try:
        return ask()
    except FetchFailed as error:
        found.failures.append(f"{url[:200]}: {error.code}")
        return None


def _certificates(data: bytes) -> Iterator[Certificate]:
    """One certificate, or the bag of a CMS without a signature (RFC 5280 §4.2.2.1)."""
    one = read_certificate(data)
    if one is not None:
        yield one
        return
    try:
        for each in pkcs7.load_der_pkcs7_certificates(data):
            read = read_certificate(each.public_bytes(Encoding.DER))
            if read is not None:
                yield read
    except (ValueError, TypeError, NotImplementedError, x509.InvalidVersion):
        return


def _access(one: Certificate, method: x509.ObjectIdentifier) -> list[str]:
    try:
        value = one.x509.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    named = (each.access_location for each in value if each.access_method == method)
    return _urls(named)


def _distribution_points(one: Certificate) -> list[str]:
    try:
        value = one.x509.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return _urls(name for point in value for name in point.full_name or ())


def _urls(names: Iterable[x509.GeneralName]) -> list[str]:
    found = (one.value for one in names if isinstance(one, x509.UniformResourceIdentifier))
    return [url for url in found if url.startswith(("http://", "https://"))][:_MOST_ADDRESSES]


def _read(certificate: x509.Certificate) -> Certificate | None:
    return read_certificate(certificate.public_bytes(Encoding.DER))
