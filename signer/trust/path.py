"""From a signing certificate to a trust anchor (EN 319 102-1, clause 5.2.6; RFC 5280, 6).

Paths are built from what the file and the trust store hold, by name and signature, with a
budget. Whether a path is well formed (basic constraints, key usage, name constraints, policies,
unknown critical extensions) does not depend on the moment: pyhanko-certvalidator says it once
per path and the answer is kept. Validity periods and revocation do, and are judged elsewhere.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko_certvalidator import ValidationContext
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.errors import PathError, ValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import PKIXValidationParams
from pyhanko_certvalidator.validate import async_validate_path

from signer.trust.anchors import Terms, suits
from signer.trust.certificates import Certificate, issued, normal_name, read_certificate

_LONGEST = 10
_MOST_TRIES = 2000
_MOST_OFFERED = 50


class Trust(Protocol):
    """What validation asks of a trust store (`ca.trust.TrustStore` is one)."""

    @property
    def anchors(self) -> Iterable[x509.Certificate]: ...

    @property
    def intermediates(self) -> Iterable[x509.Certificate]: ...


class Paths:
    """Paths to the anchors of one trust store, through the certificates at hand."""

    def __init__(
        self,
        trust: Trust,
        at_hand: Iterable[Certificate],
        seconds: int,
        inputs: PKIXValidationParams | None = None,
    ) -> None:
        """`inputs` are the user's of RFC 5280, 6.1.1: which policies are wanted, if any are."""
        self.inputs = inputs
        self.anchors = frozenset(_known(trust.anchors))
        self.terms: Terms = getattr(trust, "terms", {})
        pool = dict.fromkeys([*self.anchors, *_known(trust.intermediates), *at_hand])
        self.known = list(pool)
        own = {*self.anchors, *_known(trust.intermediates)}
        self.offered = tuple(one.der for one in pool if one not in own)[:_MOST_OFFERED]
        self._by_subject: dict[bytes, list[Certificate]] = {}
        for one in pool:
            self._by_subject.setdefault(normal_name(one.subject), []).append(one)
        self._seconds = seconds

    def named(self, subject: bytes) -> Sequence[Certificate]:
        """Everything at hand whose subject this is, as RFC 5280, 7.1 compares names."""
        return self._by_subject.get(normal_name(subject), ())

    def best(self, leaf: Certificate, moment: datetime) -> tuple[tuple[Certificate, ...], bool]:
        """(leaf … anchor, well formed): a path valid at `moment` when there is one.

        An empty tuple when no chain leads to an anchor.
        """
        fallback: tuple[Certificate, ...] = ()
        for path in self._all(leaf):
            if not well_formed(path, self.inputs):
                fallback = fallback or path
            elif all(one.valid_at(moment) for one in path[:-1]) and suits(self.terms, path, moment):
                return path, True
            elif not fallback or not well_formed(fallback, self.inputs):
                fallback = path
        return fallback, bool(fallback) and well_formed(fallback, self.inputs)

    def _all(self, leaf: Certificate) -> Iterator[tuple[Certificate, ...]]:
        deadline, tries = time.monotonic() + self._seconds, 0
        stack: list[tuple[Certificate, ...]] = [(leaf,)]
        while stack:
            path = stack.pop()
            tries += 1
            if tries > _MOST_TRIES or time.monotonic() > deadline:
                return
            if path[-1] in self.anchors:
                yield path
                continue
            if len(path) >= _LONGEST:
                continue
            for issuer in self.named(path[-1].issuer):
                if issuer not in path and issued(path[-1], issuer):
                    stack.append((*path, issuer))


def _known(certificates: Iterable[x509.Certificate]) -> list[Certificate]:
    found = (read_certificate(one.public_bytes(Encoding.DER)) for one in certificates)
    return [one for one in found if one is not None]


@functools.lru_cache(maxsize=16384)
def well_formed(path: tuple[Certificate, ...], inputs: PKIXValidationParams | None = None) -> bool:
    """RFC 5280's checks that do not depend on the moment; the anchor itself is believed."""
    if len(path) == 1:
        return True
    begin = max(one.not_before for one in path[:-1])
    end = min(one.not_after for one in path[:-1])
    moment = begin + timedelta(seconds=1)
    if moment > end:
        # Never valid together; the period is what will be reported.
        return True
    anchor, *above = [asn1_x509.Certificate.load(one.der) for one in reversed(path)]
    context = ValidationContext(
        trust_roots=[anchor],
        moment=moment,
        allow_fetching=False,
        revocation_mode="soft-fail",
        weak_hash_algos=set(),
        time_tolerance=timedelta(0),
    )
    route = ValidationPath(CertTrustAnchor(anchor), above[:-1], above[-1])
    try:
        _finish(async_validate_path(context, route, inputs))
    except (PathError, ValidationError, ValueError, TypeError, KeyError, NotImplementedError):
        return False
    return True


def _finish(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that never waits (nothing is fetched), also inside an event loop."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise ValueError("the path asked for something to be fetched")
