"""Answers to requests with a nonce: nobody else can use them, so each is signed for itself.

    live = LiveAnswers(unit, view, known_status, lifetime)
    live.answer(request, now)       # DER, or None: read the request the long way, then `learn` it

Clients ask about the same certificates again and again with another nonce each time. What a
request says up to its nonce is read once, a status is looked up once per change of the issuer's
list, times are written once a second; what is left for each answer is to fill in and to sign.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from ca import signature_algorithms as algorithms
from ca.der_forms import Form
from ca.status.ocsp_encoding import Single
from ca.status.ocsp_request import USUAL_NONCE, CertId, before_usual_nonce
from ca.status.ocsp_unit import LOOK_AGAIN, OcspUnit
from ca.status.revoked import GLANCE, IssuerView

_KEPT = 20_000
_SECOND = timedelta(seconds=1)


class _Asked(NamedTuple):
    """What is asked about, and its status as of change number `sequence`."""

    about: CertId
    status: bytes
    sequence: int


class _Moment(NamedTuple):
    """The second in which answers say the same times; `times` stand after each status."""

    since: datetime
    until: datetime
    produced_at: bytes
    times: bytes


class LiveAnswers:
    """For one issuer and one responder certificate. `known_status` is what memory says of a
    certificate; None for one that may be otherwise in a moment without any change of the list."""

    def __init__(
        self,
        unit: OcspUnit,
        view: IssuerView,
        known_status: Callable[[CertId], Single | None],
        lifetime: timedelta,
    ) -> None:
        self.unit = unit
        self._view = view
        self._known_status = known_status
        self._lifetime = lifetime
        self._asked: dict[bytes, _Asked] = {}
        self._moment: _Moment | None = None
        self._write: Form = unit.template.with_nonce
        self._signed: Form = unit.template.signed_form
        self._sign = algorithms.signer(unit.key, unit.digest)

    def answer(self, request: bytes, now: datetime) -> bytes | None:
        """None for what was not asked before, or when a look at the database is due.

        Raises HsmError when the token cannot sign.
        """
        beginning = request[:-USUAL_NONCE]
        asked = self._asked.get(beginning)
        if asked is None:
            return None
        moment = self._moment
        if moment is None or not moment.since <= now < moment.until:
            moment = self._moment = self._from(now)
            if moment is None:
                return None
        if asked.sequence != self._view.sequence:
            if (renewed := self._looked_up(asked.about)) is None:
                return None
            asked = self._asked[beginning] = renewed
        tbs = self._write(
            moment.produced_at,
            asked.about.encoded,
            asked.status + moment.times,
            request[-USUAL_NONCE:],
        )
        return self._signed(tbs, self._sign(tbs))

    def knows(self, request: bytes) -> bool:
        """Whether all but the nonce was asked before."""
        return request[:-USUAL_NONCE] in self._asked

    def learn(self, request: bytes, about: CertId) -> None:
        """`request` was read, has a nonce of the usual length and asks about this alone."""
        beginning = before_usual_nonce(request)
        asked = self._looked_up(about) if beginning is not None else None
        if beginning is None or asked is None:
            return
        if len(self._asked) >= _KEPT:
            self._asked.clear()
        self._asked[beginning] = asked

    def _looked_up(self, about: CertId) -> _Asked | None:
        sequence = self._view.sequence  # first: a change meanwhile makes the status too old
        single = self._known_status(about)
        return None if single is None else _Asked(about, single.status, sequence)

    def _known_until(self, now: datetime) -> datetime | None:
        """How long view and unit need no look at the database; None when one is due now."""
        looked_at = self._view.looked_at
        if looked_at is None or not looked_at <= now or not self.unit.looked_up <= now:
            return None
        until = min(looked_at + GLANCE, self.unit.looked_up + LOOK_AGAIN)
        return until if now < until else None

    def _from(self, now: datetime) -> _Moment | None:
        """The second that `now` is in, as far as it is known."""
        known_until = self._known_until(now)
        if known_until is None:
            return None
        second = now.replace(microsecond=0)
        next_update = min(second + self._lifetime, self.unit.not_after)
        written = self.unit.template.times(second, next_update)
        return _Moment(now, min(second + _SECOND, known_until), *written)
