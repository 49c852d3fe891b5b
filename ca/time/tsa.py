"""The time-stamp authority: this digest existed at this time (RFC 3161, RFC 5816, EN 319 421/422).

    tsa = TimeStampAuthority(authority, clock=ClockWatch(accuracy=timedelta(seconds=0.5)))
    tsa.respond(request_der, now=now)       # TimeStampResp, for HTTP
    tsa.stamp(digest, now=now)              # TimeStampToken, for signatures made in this process

Both go through one function: same clock rule, same log, same serials. The steps are those of
docs/flows/timestamp.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from sqlalchemy import select

from ca import der
from ca import signature_algorithms as algorithms
from ca.errors import CaError
from ca.models import CertificateRow, CertificateStatus
from ca.profiles import TIMESTAMP_POLICY
from ca.serials import new_serial
from ca.time.clock import ClockDoubtful, ClockWatch
from ca.time.tsa_log import TimeStampLog
from ca.time.tst_encoding import (
    DIGEST_SIZES,
    Failure,
    Imprint,
    RequestRefused,
    StampRequest,
    TokenTemplate,
    granted,
    read_request,
    rejected,
)
from hsm.errors import HsmError
from records import audit
from records.errors import RecordsError
from records.tags import Tag

if TYPE_CHECKING:
    from ca.authority import Authority

_LOOK_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True)
class TsaPolicy:
    """What a token promises.

    `accuracy` is declared in every token (EN 319 421 asks for one second or better). The clock
    may use up half of it; the other half is for the way from the clock to the token.
    `log_rows`, `log_interval` and `log_aside` say when log entries are written, and by whom (see
    `tsa_log`).
    """

    policy: str = TIMESTAMP_POLICY
    accuracy: timedelta = timedelta(seconds=1)
    log_rows: int = 500
    log_interval: timedelta = timedelta(seconds=1)
    log_aside: bool = False


@dataclass(frozen=True)
class _Unit:
    """The time-stamp unit in use: its key and what is constant in its tokens.

    From `since` until `until` nobody has to look whether it is still the one, or still valid.
    """

    sign: Callable[[bytes], bytes]
    template: TokenTemplate
    since: datetime
    until: datetime


class TimeStampAuthority:
    """One per process."""

    def __init__(
        self,
        authority: Authority,
        policy: TsaPolicy | None = None,
        *,
        clock: ClockWatch | None = None,
    ) -> None:
        """Without `clock` this machine's clocks are watched against each other, and nothing else:
        a service passes one with references and `own_time`."""
        self._authority = authority
        self._policy = policy or TsaPolicy()
        self._clock = clock or ClockWatch(accuracy=self._policy.accuracy / 2)
        self._clock_good = True
        self._accepted = der.oid(self._policy.policy)
        self._unit: _Unit | None = None
        self._log = TimeStampLog(
            authority.database,
            "tsa",
            self._policy.log_rows,
            self._policy.log_interval,
            aside=self._policy.log_aside,
        )

    @property
    def certificate(self) -> x509.Certificate:
        """The time-stamp certificate in use."""
        return self._authority.service("tsa").certificate

    @property
    def chain(self) -> Sequence[x509.Certificate]:
        """From its issuing CA up to the root."""
        return self._authority.service("tsa").chain

    def units(self, *, now: datetime) -> list[x509.Certificate]:
        """Every certificate of a time-stamp unit that is within its term and not revoked.

        Older ones too: their tokens are in documents, and renewing those needs their status.
        """
        query = select(CertificateRow.der).where(
            CertificateRow.profile == "tsa",
            CertificateRow.not_after > now,
            CertificateRow.status == CertificateStatus.GOOD.value,
        )
        with self._authority.database.reading() as session:
            return [x509.load_der_x509_certificate(der) for der in session.scalars(query)]

    def respond(self, request: bytes, *, now: datetime) -> bytes:
        """TimeStampResp for a TimeStampReq. Never raises over what the requester sent."""
        try:
            asked = read_request(request)
            if asked.policy not in (None, self._accepted):
                raise RequestRefused(Failure.UNACCEPTED_POLICY, "another policy is followed here")
            return granted(self._token(asked, now))
        except RequestRefused as refused:
            return rejected(refused.failure, refused.why)
        except ClockDoubtful:
            return rejected(Failure.TIME_NOT_AVAILABLE, "the clock cannot be trusted now")
        except (CaError, HsmError, RecordsError):
            return rejected(Failure.SYSTEM_FAILURE, "no time-stamp can be made now")

    def needs_only_the_token(self, now: datetime) -> bool:
        """Whether the next token asks no time reference and touches no table: then `respond` may
        run where nobody may wait for those (the log is written aside)."""
        unit = self._unit
        return (
            unit is not None
            and unit.since <= now < unit.until
            and self._policy.log_aside
            and self._clock_good
            and self._clock.is_undoubted()
        )

    def stamp(self, digest: bytes, algorithm: str = "sha256", *, now: datetime) -> bytes:
        """The TimeStampToken (ContentInfo, DER) over a digest, with the certificates in it.

        Raises CaError: `digest-unsupported`, `digest-length-wrong`, `time-not-available`,
        `time-stamp-certificate-expired`, `time-stamp-log-full`; HsmError when the token fails.
        """
        if algorithm not in DIGEST_SIZES:
            raise CaError("digest-unsupported", algorithm=algorithm)
        if len(digest) != DIGEST_SIZES[algorithm]:
            raise CaError("digest-length-wrong", algorithm=algorithm, length=len(digest))
        imprint = Imprint.of(algorithm, digest)
        return self._token(StampRequest(imprint, certificates_wanted=True), now)

    def flush(self, *, now: datetime) -> int:
        """Write the log entries that still wait; called by the schedule and before the end."""
        return self._log.flush(now=now)

    def _token(self, asked: StampRequest, now: datetime) -> bytes:
        # 1. A clock that cannot be believed stamps nothing (EN 319 421 TIS-7.7.2).
        now = self._believed(now)
        unit = self._in_use(now)
        # 2. What is claimed: this imprint, at this time, under a serial nobody else draws.
        serial = new_serial()
        info = unit.template.tst_info(asked.imprint, serial=serial, gen_time=now, nonce=asked.nonce)
        # 3. Sign.
        attributes = unit.template.signed_attributes(info)
        signature = unit.sign(unit.template.to_be_signed(attributes))
        # 4. Log, then give out.
        self._log.add(serial, asked.imprint, now)
        return unit.template.token(
            info, attributes, signature, with_certificates=asked.certificates_wanted
        )

    def _believed(self, now: datetime) -> datetime:
        try:
            believed = self._clock.believed(now)
        except ClockDoubtful as doubt:
            if self._clock_good:
                self._clock_good = False
                self._record_clock(Tag.CLOCK_LOST, str(doubt.params["reason"]), now)
            raise
        if not self._clock_good:
            self._clock_good = True
            self._record_clock(Tag.CLOCK_REGAINED, "the clock is right again", now)
        return believed

    def _record_clock(self, tag: Tag, reason: str, now: datetime) -> None:
        """Losing the time and finding it again are events for auditors (EN 319 421 TIS-7.12)."""
        with self._authority.database.transaction() as session:
            audit.record(
                session,
                tag=tag,
                by="system:tsa",
                subject="tsa:clock",
                details={"reason": reason},
                now=now,
            )

    def _in_use(self, now: datetime) -> _Unit:
        unit = self._unit
        if unit is None or not unit.since <= now < unit.until:
            service = self._authority.service("tsa")
            certificate = service.certificate
            if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                raise CaError("time-stamp-certificate-expired")
            template = TokenTemplate.of(
                certificate,
                service.chain,
                policy=self._policy.policy,
                accuracy=self._policy.accuracy,
            )
            unit = self._unit = _Unit(
                sign=algorithms.signer(service.key, template.digest),
                template=template,
                since=now,
                until=min(now + _LOOK_AGAIN, certificate.not_valid_after_utc),
            )
        return unit
