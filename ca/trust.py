"""Whom we believe: trust anchors pinned by SHA-256, and intermediates that help to build paths.

    trust = TrustStore.load([Path("national-root.pem")], pins={"4f…"})
    trust = TrustStore.from_authority(authority)

An anchor is believed because its fingerprint was written down by a person, never because of its
name. Intermediates are only building material: many signatures embed the leaf certificate alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from ca.errors import UNREADABLE, CaError

if TYPE_CHECKING:
    from ca.authority import Authority

_LIMIT = 4 * 1024 * 1024
_LONGEST_PATH = 8


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, lower-case hexadecimal: how anchors are pinned."""
    return certificate.fingerprint(hashes.SHA256()).hex()


@dataclass(frozen=True)
class AnchorTerms:
    """On what terms an anchor is believed: for which purposes, and for things done when.

    `kind` is own, government, national-public, foreign or trusted-list; `periods` are half open.
    """

    name: str
    kind: str
    purposes: frozenset[str]
    periods: tuple[tuple[datetime, datetime], ...]
    facts: tuple[str, ...] = ()

    def accepted_at(self, moment: datetime) -> bool:
        """Whether something done at that moment can rest on this anchor."""
        return any(begin <= moment < end for begin, end in self.periods)


@dataclass(frozen=True)
class TrustStore:
    """Pinned anchors and known intermediates. Immutable; `with_anchors` gives a larger one.

    `terms` by fingerprint: an anchor without any is believed for everything, always.
    """

    anchors: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    terms: Mapping[str, AnchorTerms] = field(default_factory=dict)

    @classmethod
    def from_authority(cls, authority: Authority) -> TrustStore:
        """Our own roots as anchors, our issuing CAs as intermediates."""
        issuers = authority.issuers()
        return cls(
            anchors=tuple(one.certificate for one in issuers if one.parent is None),
            intermediates=tuple(one.certificate for one in issuers if one.parent is not None),
        )

    @classmethod
    def load(
        cls,
        paths: Iterable[Path],
        *,
        pins: Iterable[str] | None = None,
        intermediates: Iterable[Path] = (),
    ) -> TrustStore:
        """Anchors from PEM or DER files; with `pins`, only those whose SHA-256 is among them.

        `anchor-not-pinned` names a file that holds something else than what was written down.
        """
        wanted = None if pins is None else {pin.replace(":", "").lower() for pin in pins}
        anchors: dict[str, x509.Certificate] = {}
        for path in paths:
            for certificate in certificates_in(path):
                mark = fingerprint(certificate)
                if wanted is not None and mark not in wanted:
                    raise CaError("anchor-not-pinned", file=path.name, sha256=mark)
                anchors[mark] = certificate
        helping = {fingerprint(one): one for path in intermediates for one in certificates_in(path)}
        return cls(tuple(anchors.values()), tuple(helping.values()))

    def with_anchors(
        self, anchors: Sequence[x509.Certificate], intermediates: Sequence[x509.Certificate] = ()
    ) -> TrustStore:
        """This store and more."""
        return TrustStore(
            _unique((*self.anchors, *anchors)),
            _unique((*self.intermediates, *intermediates)),
            self.terms,
        )

    def and_also(self, other: TrustStore) -> TrustStore:
        """Both. What this store says of an anchor counts, where both know it."""
        own = {fingerprint(one) for one in self.anchors}
        more = {mark: terms for mark, terms in other.terms.items() if mark not in own}
        return TrustStore(
            _unique((*self.anchors, *other.anchors)),
            _unique((*self.intermediates, *other.intermediates)),
            {**more, **self.terms},
        )

    def is_anchor(self, certificate: x509.Certificate) -> bool:
        """Whether exactly this certificate is pinned."""
        mark = fingerprint(certificate)
        return any(fingerprint(anchor) == mark for anchor in self.anchors)

    def path(
        self, certificate: x509.Certificate, others: Sequence[x509.Certificate] = ()
    ) -> list[x509.Certificate] | None:
        """From the certificate up to an anchor, by signatures only; None when there is no way.

        It says who signed whom, not whether anything was valid when: that is a validator's work.
        """
        pool = _unique((*self.intermediates, *others))
        return self._climb([certificate], pool)

    def _climb(
        self, path: list[x509.Certificate], pool: Sequence[x509.Certificate]
    ) -> list[x509.Certificate] | None:
        last = path[-1]
        if self.is_anchor(last):
            return path
        if len(path) > _LONGEST_PATH:
            return None
        for above in (*self.anchors, *pool):
            if above in path or above.subject != last.issuer or not _signed_by(last, above):
                continue
            found = self._climb([*path, above], pool)
            if found is not None:
                return found
        return None


def _signed_by(certificate: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(above)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _unique(certificates: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    return tuple({fingerprint(one): one for one in certificates}.values())


def certificates_in(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM or DER file; `anchor-unreadable` when it is neither."""
    try:
        if path.stat().st_size > _LIMIT:
            raise CaError("anchor-unreadable", file=path.name)
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except (OSError, *UNREADABLE) as error:
        raise CaError("anchor-unreadable", file=path.name) from error
