"""Requests for certificates, and the second person who approves exactly what was asked.

    request = submit_csr(authority, profile="agency-seal", csr=pem, now=now, by="official:0388…")
    approve(authority, request.id, digest=request.digest, now=now, by="official:0389…")
    certificate = complete(authority, request.id, now=now, by="system:enrolment")

A PKCS#10 request comes from anywhere and may be hostile: its size is bounded before anything
parses it, possession of the key is proven, and a name with an attribute no profile knows is
refused instead of silently shortened. The approval is bound to the digest of profile, name and
key: who approves says which digest they saw.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy import select
from sqlalchemy.orm import Session

from ca import identity, issuance, key_policy
from ca.authority import Authority
from ca.errors import UNREADABLE, CaError
from ca.key_policy import PublicKey
from ca.models import CertificateRow, RequestRow, RequestState, serial_text
from ca.names import Subject
from ca.profiles import Profile, profile_named
from records import audit
from records.tags import Tag

LARGEST_CSR = 16 * 1024
"""Octets. An RSA-4096 request with every attribute we know is about 2 KiB."""


@dataclass(frozen=True)
class CertificateRequest:
    """A request as the tables know it; `digest` (hex) is what an approval names."""

    id: str
    profile: str
    subject: Subject
    public_key: PublicKey
    digest: str
    state: RequestState
    requested_by: str
    decided_by: str | None = None
    reason: str | None = None
    serial: int | None = None

    @property
    def needs_approval(self) -> bool:
        return self.state is RequestState.PENDING


def submit(
    authority: Authority,
    *,
    profile: str,
    subject: Subject,
    public_key: PublicKey,
    now: datetime,
    by: str,
    csr: bytes | None = None,
) -> CertificateRequest:
    """Take a request in. Where the profile asks for no second person it is approved at once."""
    kind = profile_named(profile)
    if kind.is_authority:
        raise CaError("profile-by-ceremony-only", name=profile)
    _check_subject(kind, subject)
    key_policy.check(public_key, kind)
    row = RequestRow(
        id=secrets.token_hex(16),
        profile=profile,
        subject=subject.to_json(),
        spki=key_policy.spki(public_key),
        csr=csr,
        digest=request_digest(profile, subject, public_key),
        state=(RequestState.PENDING if kind.second_person else RequestState.APPROVED).value,
        requested_at=now,
        requested_by=by,
    )
    with authority.database.transaction() as session:
        session.add(row)
        _record(session, Tag.CERTIFICATE_REQUESTED, row, now=now, by=by)
    return _request(row)


def submit_csr(
    authority: Authority,
    *,
    profile: str,
    csr: bytes,
    now: datetime,
    by: str,
    subject: Subject | None = None,
) -> CertificateRequest:
    """Take a PKCS#10 request in (RFC 2986), PEM or DER.

    `subject` is the name an officer has established; without it the request's own name counts.
    Extensions in the request are ignored: the profile decides them. Raises `CaError`:
    `request-too-large`, `request-unreadable`, `request-not-proven`, `key-…`, `name-…`.
    """
    parsed, public_key = read_csr(csr)
    named = subject if subject is not None else Subject.from_x509(parsed.subject)
    return submit(
        authority,
        profile=profile,
        subject=named,
        public_key=public_key,
        csr=csr,
        now=now,
        by=by,
    )


def read_csr(csr: bytes) -> tuple[x509.CertificateSigningRequest, PublicKey]:
    """The request and its key, once the requester has proven to hold the private half."""
    if len(csr) > LARGEST_CSR:
        raise CaError("request-too-large", limit=LARGEST_CSR)
    try:
        if csr.lstrip().startswith(b"-----BEGIN"):
            parsed = x509.load_pem_x509_csr(csr)
        else:
            parsed = x509.load_der_x509_csr(csr)
        public_key = key_policy.accepted_type(parsed.public_key())
        proven = parsed.is_signature_valid
        list(parsed.subject)
    except (*UNREADABLE, InvalidSignature) as error:
        raise CaError("request-unreadable") from error
    if not proven:
        raise CaError("request-not-proven")
    return parsed, public_key


def approve(
    authority: Authority, request_id: str, *, digest: str, now: datetime, by: str
) -> CertificateRequest:
    """A second person agrees to exactly this request; nobody approves their own."""
    with authority.database.transaction() as session:
        row = _pending(session, request_id)
        if by == row.requested_by:
            raise CaError("approval-own-request")
        if not hmac.compare_digest(digest.encode(), row.digest.hex().encode()):
            raise CaError("approval-other-request")
        row.state = RequestState.APPROVED.value
        row.decided_at, row.decided_by = now, by
        _record(session, Tag.CERTIFICATE_APPROVED, row, now=now, by=by)
    return _request(row)


def reject(
    authority: Authority, request_id: str, *, reason: str, now: datetime, by: str
) -> CertificateRequest:
    """Turn a request down, saying why."""
    with authority.database.transaction() as session:
        row = _pending(session, request_id)
        row.state, row.reason = RequestState.REJECTED.value, reason
        row.decided_at, row.decided_by = now, by
        _record(session, Tag.CERTIFICATE_REJECTED, row, now=now, by=by)
    return _request(row)


def complete(authority: Authority, request_id: str, *, now: datetime, by: str) -> x509.Certificate:
    """Issue what was approved. Done again, it returns the certificate issued before."""
    with authority.database.reading() as session:
        row = _row(session, request_id)
    if row.serial is not None:
        return authority.certificate(int(row.serial, 16)).certificate
    if row.state != RequestState.APPROVED.value:
        raise CaError("request-not-approved", state=row.state)
    with authority.database.reading() as session:
        identity.require_not_refused(session, request_id)
    subject, public_key = Subject.from_json(row.subject), key_policy.load(row.spki)
    if request_digest(row.profile, subject, public_key) != row.digest:
        raise CaError("approval-other-request")
    certificate = _issued_before(authority, row) or issuance.issue(
        authority,
        profile=row.profile,
        subject=subject,
        public_key=public_key,
        now=now,
        by=by,
    )
    with authority.database.transaction() as session:
        row = _row(session, request_id)
        row.state = RequestState.ISSUED.value
        row.serial = serial_text(certificate.serial_number)
    return certificate


def find(authority: Authority, request_id: str) -> CertificateRequest:
    """The request with this identifier; `request-unknown` when there is none."""
    with authority.database.reading() as session:
        return _request(_row(session, request_id))


def waiting(authority: Authority, *, limit: int = 100) -> list[CertificateRequest]:
    """What waits for a second person, oldest first."""
    with authority.database.reading() as session:
        rows = session.scalars(
            select(RequestRow)
            .where(RequestRow.state == RequestState.PENDING.value)
            .order_by(RequestRow.requested_at)
            .limit(limit)
        )
        return [_request(row) for row in rows]


def request_digest(profile: str, subject: Subject, public_key: PublicKey) -> bytes:
    """What an approval is bound to: profile, name and key, in one canonical text."""
    content = {
        "profile": profile,
        "subject": subject.to_json(),
        "spki": key_policy.spki(public_key).hex(),
    }
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _check_subject(profile: Profile, subject: Subject) -> None:
    present = subject.attributes.keys()
    missing = profile.required - present
    if missing:
        raise CaError("name-incomplete", missing=", ".join(sorted(missing)))
    extra = present - profile.required - profile.permitted
    if extra:
        raise CaError("name-not-permitted", extra=", ".join(sorted(extra)))


def _issued_before(authority: Authority, row: RequestRow) -> x509.Certificate | None:
    """What a completion that was cut short has issued already for this very request."""
    wanted = select(CertificateRow.der).where(
        CertificateRow.spki_sha256 == hashlib.sha256(row.spki).digest(),
        CertificateRow.profile == row.profile,
        CertificateRow.subject == Subject.from_json(row.subject).display(),
        CertificateRow.issued_at >= row.requested_at,
    )
    with authority.database.reading() as session:
        encoded = session.scalars(wanted).first()
    return None if encoded is None else x509.load_der_x509_certificate(encoded)


def _row(session: Session, request_id: str) -> RequestRow:
    row = session.get(RequestRow, request_id)
    if row is None:
        raise CaError("request-unknown")
    return row


def _pending(session: Session, request_id: str) -> RequestRow:
    row = session.scalars(
        select(RequestRow).where(RequestRow.id == request_id).with_for_update()
    ).one_or_none()
    if row is None:
        raise CaError("request-unknown")
    if row.state != RequestState.PENDING.value:
        raise CaError("request-decided", state=row.state)
    return row


def _record(session: Session, tag: Tag, row: RequestRow, *, now: datetime, by: str) -> None:
    audit.record(
        session,
        tag=tag,
        by=by,
        subject=f"certificate-request:{row.id}",
        details={"profile": row.profile, "digest": row.digest},
        now=now,
    )


def _request(row: RequestRow) -> CertificateRequest:
    return CertificateRequest(
        id=row.id,
        profile=row.profile,
        subject=Subject.from_json(row.subject),
        public_key=key_policy.load(row.spki),
        digest=row.digest.hex(),
        state=RequestState(row.state),
        requested_by=row.requested_by,
        decided_by=row.decided_by,
        reason=row.reason,
        serial=None if row.serial is None else int(row.serial, 16),
    )
