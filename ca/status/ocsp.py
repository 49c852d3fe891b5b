"""The OCSP responder: what is the status of this certificate, now (RFC 6960, RFC 5019, RFC 9654).

    responder = Responder(authority)
    reply = responder.reply(request_der, issuer="persons-g1", now=now)   # for HTTP: + cache data
    responder.respond(request_der, issuer="persons-g1", now=now)         # just the DER
    responder.answer(certificate, now=now)                               # for a signature's DSS

A request without a nonce gets an answer that may be repeated until it is overtaken by a status
change or half its life is over (`ocsp_store`); a request with one is signed for itself. The steps
are those of docs/flows/ocsp.md.
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ca import signature_algorithms as algorithms
from ca.der import MalformedDer
from ca.errors import CaError
from ca.models import CertificateRow, IntentionRow, IntentionState, serial_text
from ca.status import crl_encoding, ocsp_store
from ca.status.ocsp_encoding import (
    GOOD,
    UNKNOWN,
    Refusal,
    Single,
    refusal,
    revoked,
)
from ca.status.ocsp_live import LiveAnswers
from ca.status.ocsp_request import MAX_REQUEST, CertId, Request, read_request
from ca.status.ocsp_store import Answer
from ca.status.ocsp_unit import LOOK_AGAIN, OcspUnit, look_up
from ca.status.revoked import GLANCE, IssuerView
from hsm.errors import HsmError
from records.errors import RecordsError

if TYPE_CHECKING:
    from ca.authority import Authority

_KNOWN_ISSUED = 500_000
_KNOWN_ISSUERS = 4_096
_LARGEST_SERIAL = 1 << 160


@dataclass(frozen=True)
class OcspPolicy:
    """How long answers hold. `by_name` names the responder by subject instead of key hash."""

    lifetime: timedelta = timedelta(hours=4)
    by_name: bool = False


class OcspReply(NamedTuple):
    """An answer and how long caches may keep it; `answer` is None for a refusal, and may be for
    an answer that bears the asker's nonce: neither is of use to anybody else."""

    der: bytes
    answer: Answer | None = None

    @property
    def etag(self) -> str | None:
        """Strong validator: the SHA-1 RFC 5019 §6.2 speaks of, in SHA-256."""
        if self.answer is None:
            return None
        return algorithms.hashed(hashes.SHA256(), self.der).hex()

    def max_age(self, now: datetime) -> int:
        """Seconds a cache may keep it: half the rest of its life, 0 for what nobody else asks."""
        if self.answer is None or not self.answer.repeatable:
            return 0
        return max(0, int((self.answer.next_update - now).total_seconds() / 2))


class Responder:
    """One per process. Keeps what it has signed, what it knows to be issued, and nothing else."""

    def __init__(self, authority: Authority, policy: OcspPolicy | None = None) -> None:
        self._authority = authority
        self._policy = policy or OcspPolicy()
        self._units: dict[str, OcspUnit] = {}
        self._live: dict[str, LiveAnswers] = {}
        self._issued: set[tuple[str, int]] = set()
        self._issuers: OrderedDict[x509.Certificate, str] = OrderedDict()
        self._store = ocsp_store.AnswerStore(authority.database)

    def respond(self, request: bytes, *, issuer: str, now: datetime) -> bytes:
        """OCSPResponse for an OCSPRequest. Never raises over what the requester sent."""
        return self.reply(request, issuer=issuer, now=now).der

    def reply_get(self, encoded: str, *, issuer: str, now: datetime) -> OcspReply:
        """The same for the last part of a GET path: base64, perhaps still percent-encoded."""
        try:
            request = decode_get(encoded)
        except MalformedDer:
            return OcspReply(refusal(Refusal.MALFORMED_REQUEST))
        return self.reply(request, issuer=issuer, now=now)

    def reply(self, request: bytes, *, issuer: str, now: datetime) -> OcspReply:
        """`respond`, with what a cache needs to know."""
        try:
            return self._reply(request, issuer, now)
        except MalformedDer:
            return OcspReply(refusal(Refusal.MALFORMED_REQUEST))
        except (HsmError, RecordsError):
            return OcspReply(refusal(Refusal.TRY_LATER))
        except CaError:
            return OcspReply(refusal(Refusal.INTERNAL_ERROR))

    def remembered(self, request: bytes, *, issuer: str, now: datetime) -> OcspReply | None:
        """The answer kept in memory for these very octets, or None: then ask `reply`.

        Touches neither database nor token, so an event loop may call it. None as well when the
        view of revocations is due for a look at the database (`revoked.GLANCE`).
        """
        view = self._authority.revoked.recent(issuer, now=now)
        if view is None:
            return None
        known = self._store.in_memory(issuer.encode() + request, view, now)
        return OcspReply(known.der, known) if known is not None else None

    def knows(self, request: bytes, *, issuer: str) -> bool:
        """Whether this was asked before but for its nonce: then `signed` may have the answer."""
        live = self._live.get(issuer)
        return live is not None and live.knows(request)

    def signed(self, request: bytes, *, issuer: str, now: datetime) -> OcspReply | None:
        """The answer to a request with a nonce if the token is all it takes, or None: then ask
        `reply`. Touches no database."""
        live = self._live.get(issuer)
        try:
            answer = live.answer(request, now) if live is not None else None
        except HsmError:
            return OcspReply(refusal(Refusal.TRY_LATER))
        return None if answer is None else OcspReply(answer)

    def answer(self, certificate: x509.Certificate, *, now: datetime) -> bytes:
        """OCSPResponse about one of our certificates, as of `now`, for a DSS.

        Looks at the database itself, not at a view up to a second old; two questions within one
        second of thisUpdate get the same answer. Raises `certificate-foreign` for a stranger's.
        """
        name = self._issuer_of(certificate)
        ours = self._ours(name, now)
        view = self._view(name, now, within=timedelta(0))
        serial = certificate.serial_number
        cert_id = ours.names.cert_id(serial)
        known = self._store.in_memory(b"dss" + cert_id.encoded, view, now)
        if known is not None and known.this_update == now.replace(microsecond=0):
            return known.der
        made = self._sign(ours, Request((cert_id,), None), view, now)
        self._store.remember(b"dss" + cert_id.encoded, made)
        return made.der

    def refresh(self, *, now: datetime) -> int:
        """Sign the stored answers anew whose life is half over; the schedule calls this."""
        renewed = 0
        for stored in self._store.due(now, self._policy.lifetime / 2):
            ours = self._ours(stored.issuer, now)
            cert_id = ocsp_store.cert_id_of(stored)
            view = self._view(stored.issuer, now)
            made = self._sign(ours, Request((cert_id,), None), view, now)
            renewed += self._store.replace(stored.issuer, cert_id, made)
        return renewed

    def presign(self, issuer: str, serials: Sequence[int], *, now: datetime) -> int:
        """Store answers ahead for certificates known to be asked about; returns how many."""
        ours = self._ours(issuer, now)
        view = self._view(issuer, now)
        made = [
            (cert_id, self._sign(ours, Request((cert_id,), None), view, now))
            for cert_id in map(ours.names.cert_id, serials)
        ]
        return self._store.keep(issuer, made)

    def _reply(self, request: bytes, issuer: str, now: datetime) -> OcspReply:
        # 1. The same octets up to a nonce: filled in and signed. The same octets altogether, not
        #    overtaken since: the same answer.
        live = self._live.get(issuer)
        if live is not None and (answer := live.answer(request, now)) is not None:
            return OcspReply(answer)
        view = self._view(issuer, now)
        known = self._store.in_memory(issuer.encode() + request, view, now)
        if known is not None:
            return OcspReply(known.der, known)

        # 2. Read the request; refuse what is malformed or about strangers (RFC 6960 §2.3).
        asked = read_request(request)
        ours = self._ours(issuer, now)
        named = list(map(ours.names.named_by, asked.certificates))
        if True not in named:
            return OcspReply(refusal(Refusal.UNAUTHORIZED))

        # 3. One certificate and no nonce: an answer signed ahead will do.
        repeatable = asked.nonce is None and len(asked.certificates) == 1
        if repeatable:
            stored = self._store.on_disk(issuer, asked.certificates[0].encoded, view, now)
            if stored is not None:
                self._store.remember(issuer.encode() + request, stored)
                return OcspReply(stored.der, stored)

        # 4. Look the status up, 5. sign, 6. keep what may be repeated.
        made = self._sign(ours, asked, view, now, named)
        if made.repeatable:
            self._store.remember(issuer.encode() + request, made)
            self._store.count(issuer, asked.certificates[0], made)
        elif asked.nonce is not None and named == [True]:
            self._live_answers(ours, view).learn(request, asked.certificates[0])
        return OcspReply(made.der, made)

    def _sign(
        self,
        ours: OcspUnit,
        asked: Request,
        view: IssuerView,
        now: datetime,
        named: Sequence[bool] = (True,),
    ) -> Answer:
        """`named` says of each certificate asked about whether its issuer is ours."""
        sequence = view.sequence
        answers = [
            self._single(ours, one, view) if ours_too else Single(one.encoded, UNKNOWN)
            for one, ours_too in zip(asked.certificates, named, strict=True)
        ]
        now = now.replace(microsecond=0)
        next_update = min(now + self._policy.lifetime, ours.not_after)
        tbs = ours.template.tbs(
            answers, produced_at=now, next_update=next_update, nonce=asked.nonce
        )
        signature = algorithms.sign(ours.key, tbs, ours.digest)
        return Answer(
            der=ours.template.signed(tbs, signature),
            this_update=now,
            next_update=next_update,
            serial=asked.certificates[0].serial,
            sequence=sequence,
            # An answer about a serial that does not exist yet must not outlive its issuing.
            repeatable=asked.nonce is None
            and len(answers) == 1
            and not answers[0].extended
            and answers[0].status != UNKNOWN,
        )

    def _live_answers(self, ours: OcspUnit, view: IssuerView) -> LiveAnswers:
        """What is prepared for the next request like this one; anew for each look at the unit."""
        live = self._live.get(ours.issuer.name)
        if live is None or live.unit is not ours:
            live = self._live[ours.issuer.name] = LiveAnswers(
                ours, view, partial(self._in_memory, ours, view=view), self._policy.lifetime
            )
        return live

    def _in_memory(self, ours: OcspUnit, asked: CertId, view: IssuerView) -> Single | None:
        """The answer about what is revoked, or known to be issued."""
        entry = view.entry_of(asked.serial)
        if entry is not None:
            return Single(asked.encoded, revoked(*crl_encoding.read_entry(entry)))
        if (ours.issuer.name, asked.serial) in self._issued:
            return Single(asked.encoded, GOOD)
        return None

    def _single(self, ours: OcspUnit, asked: CertId, view: IssuerView) -> Single:
        """Good only for what is known to be issued; never by default."""
        known = self._in_memory(ours, asked, view)
        if known is not None:
            return known
        if not 0 < asked.serial < _LARGEST_SERIAL:
            return Single.never_issued(asked.encoded)
        with self._authority.database.reading() as session:
            row = session.get(CertificateRow, serial_text(asked.serial))
            if row is not None and row.issuer == ours.issuer.name:
                # Issued once is issued for ever, so this may be remembered.
                if len(self._issued) >= _KNOWN_ISSUED:
                    self._issued.clear()
                self._issued.add((ours.issuer.name, asked.serial))
                return Single(asked.encoded, GOOD)
            intention = session.get(IntentionRow, serial_text(asked.serial))
        if intention is not None and intention.state == IntentionState.OPEN.value:
            return Single(asked.encoded, UNKNOWN)  # perhaps being signed this moment
        # RFC 6960 §2.2: a responder that has no record of the certificate MAY say *revoked*; with
        # a forged certificate in hand that is the answer that protects (docs/flows/ocsp.md).
        return Single.never_issued(asked.encoded)

    def _view(self, issuer: str, now: datetime, *, within: timedelta = GLANCE) -> IssuerView:
        authority = self._authority
        return authority.revoked.view(authority.database, issuer, now=now, within=within)

    def _issuer_of(self, certificate: x509.Certificate) -> str:
        name = self._issuers.get(certificate)
        if name is None:
            issuer = self._authority.issuer_of(certificate)
            if issuer is None:
                raise CaError("certificate-foreign", subject=certificate.subject.rfc4514_string())
            name = issuer.name
            self._issuers[certificate] = name
            if len(self._issuers) > _KNOWN_ISSUERS:
                self._issuers.popitem(last=False)
        return name

    def _ours(self, issuer: str, now: datetime) -> OcspUnit:
        known = self._units.get(issuer)
        if known is None or not timedelta(0) <= now - known.looked_up < LOOK_AGAIN:
            known = self._units[issuer] = look_up(
                self._authority, issuer, by_name=self._policy.by_name, now=now
            )
        return known


def decode_get(encoded: str) -> bytes:
    """The request in a GET path (RFC 6960 appendix A.1). Raises `MalformedDer`."""
    # The slash before the request goes, one at its end is base64.
    text = unquote_to_bytes(encoded.lstrip("/")[: 4 * MAX_REQUEST]).replace(b" ", b"+")
    try:
        # Some clients leave the padding out, and a path carries it in vain.
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedDer("a path that is not base64") from error
