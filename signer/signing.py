"""Sign a PDF as a holder who has authorised exactly this document.

    authorization = activation.authorize(desk, credential_id=…, pin=…, client=…,
                                         digests=[document_digest(data)], now=now, by=by)
    signed = sign_pdf(desk, data, SignatureRequest(level=Level.B_LTA, appearance=…),
                      authorization=authorization, now=now, by=by)
    signed.data, signed.digest, signed.level, signed.field

The flow is intention → act → outcome (DESIGN.md §3.3); docs/flows/sign.md has the same numbers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.cms import CmsTemplate, Scheme
from signer.errors import ActivationRefused
from signer.keys import activation, credentials
from signer.levels import Level
from signer.long_life import augmentation
from signer.looks import appearance
from signer.models import SignatureRow
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender
from signer.signature import Pen, SignatureRequest, place_signature

if TYPE_CHECKING:
    from hsm.private_key import PrivateKey
    from signer.desk import Desk
    from signer.keys.activation import Authorization
    from signer.keys.credentials import Credential
    from signer.looks.drawing import Placed

__all__ = [
    "SignatureRequest",
    "SignedDocument",
    "document_digest",
    "recover",
    "sign_pdf",
    "write_signature",
]

_TEMPLATES = 512


@dataclass(frozen=True)
class SignedDocument:
    """A signed file: what was there and what was appended, kept apart until they are needed."""

    original: Original = field(repr=False)
    revisions: tuple[bytes, ...] = field(repr=False)
    digest: str
    level: Level
    field: str
    signature_id: str

    @property
    def data(self) -> bytes:
        return b"".join((self.original.data, *self.revisions))

    def chunks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """The file piece by piece, for one that is too big to hold twice."""
        if self.original.path is not None:
            with self.original.path.open("rb") as file:
                while piece := file.read(size):
                    yield piece
            yield from self.revisions
            return
        with memoryview(self.original.data) as view:
            for start in range(0, len(view), size):
                yield bytes(view[start : start + size])
        yield from self.revisions


def document_digest(data: bytes) -> bytes:
    """What an authorisation is bound to: the SHA-256 of the file exactly as it was shown."""
    return hashlib.sha256(data).digest()


def sign_pdf(
    desk: Desk,
    document: bytes | Original,
    request: SignatureRequest,
    *,
    authorization: Authorization,
    now: datetime,
    by: str,
    keep: Callable[[SignedDocument], object] | None = None,
) -> SignedDocument:
    """One signature on one document. Refusals are SignerError and HsmError; each is audited.

    `keep` is called with the finished document before its outcome is recorded: whoever stores the
    result there loses nothing when the process ends between the two.
    """
    original = document if isinstance(document, Original) else Original.of(document)
    try:
        # 1. Inspect: nothing is touched that is damaged, encrypted, too big or closed to signing.
        with Document.open(original, desk.limits) as opened:
            opened.require_signable()
            # 2. The credential and its certificate must be good at this moment.
            credential = credentials.find(desk, authorization.credential_id)
            credentials.require_usable(desk, credential, now=now)
            template = template_for(desk, credential, request.scheme)
            stamp = appearance.prepare(desk, opened, request, credential)
            # 3. Reserve the authorised digest and 4. commit the intention, together.
            intention = _intend(desk, original, request, authorization, now=now, by=by)
            try:
                # 5. Build the revision, 6. sign in the token, 7. check with the public key,
                # 8. add what the level asks for.
                pen = _pen(desk, credential, template, authorization, now=now)
                appender, name = write_signature(
                    desk, opened, request, credential, pen, stamp, now=now
                )
                signed = SignedDocument(
                    original=original,
                    revisions=tuple(appender.revisions),
                    digest=appender.state().hexdigest(),
                    level=request.level,
                    field=name,
                    signature_id=intention.id,
                )
                if keep is not None:
                    keep(signed)
            except Exception as failure:
                _void(desk, intention, failure, now=now, by=by)
                raise
    except DomainError as refusal:
        _record_refusal(desk, original, authorization, refusal, now=now, by=by)
        raise
    # 9. Commit the outcome: digest, field and audit entry, and the digest is used for good.
    _record_outcome(desk, intention, signed, now=now, by=by)
    # 10. Only now does the signature exist for anybody.
    return signed


def write_signature(
    desk: Desk,
    document: Document,
    request: SignatureRequest,
    credential: Credential,
    pen: Pen,
    stamp: Placed | None,
    *,
    now: datetime,
) -> tuple[Appender, str]:
    """Steps 5 to 8 alone, for whoever has reserved and will record many documents at once."""
    appender = Appender(document)
    name = place_signature(appender, pen, request, stamp=stamp, time_stamper=desk.tsa, now=now)
    if request.level.long_term:
        path = (credential.certificate, *credential.chain)
        augmentation.long_term(desk, appender, path, now=now)
    if request.level.archived:
        augmentation.archive(desk, appender, now=now)
    return appender, name


def recover(
    desk: Desk,
    *,
    now: datetime,
    by: str,
    older_than: timedelta = timedelta(minutes=10),
    authorization_id: str | None = None,
) -> int:
    """Void the intentions an interruption left open; their digests may be signed again.

    A signature whose outcome was not committed was never delivered. Returns how many. With
    `authorization_id` only its own, for the one worker that holds it.
    """
    wanted = select(SignatureRow.id, SignatureRow.authorization_id, SignatureRow.position).where(
        SignatureRow.state == "intended", SignatureRow.intended_at <= now - older_than
    )
    if authorization_id is not None:
        wanted = wanted.where(SignatureRow.authorization_id == authorization_id)
    with desk.database.reading() as session:
        left = [_Intention(*row) for row in session.execute(wanted)]
    for intention in left:
        _void(desk, intention, None, now=now, by=by)
    return len(left)


@dataclass(frozen=True)
class _Intention:
    id: str
    authorization_id: str
    position: int


def _intend(
    desk: Desk,
    original: Original,
    request: SignatureRequest,
    authorization: Authorization,
    *,
    now: datetime,
    by: str,
) -> _Intention:
    digest = original.sha256
    with desk.database.transaction() as session:
        (position,) = activation.reserve(session, authorization, [digest], now=now)
        intention = _Intention(secrets.token_hex(16), authorization.id, position)
        session.add(
            SignatureRow(
                id=intention.id,
                authorization_id=authorization.id,
                position=position,
                credential_id=authorization.credential_id,
                document=digest.hex(),
                level=request.level.value,
                details={"reason": request.reason or "", "location": request.location or ""},
                state="intended",
                intended_at=now,
                intended_by=by,
            )
        )
        audit.record(
            session,
            tag=Tag.SIGNATURE_INTENDED,
            by=by,
            subject=f"document:{digest.hex()}",
            details={
                "signature": intention.id,
                "credential": authorization.credential_id,
                "authorization": authorization.id,
                "client": authorization.client,
                "level": request.level.value,
            },
            now=now,
        )
    return intention


def _pen(
    desk: Desk,
    credential: Credential,
    template: CmsTemplate,
    authorization: Authorization,
    *,
    now: datetime,
) -> Pen:
    def key() -> AbstractContextManager[PrivateKey]:
        wrapped = activation.opened_key(desk, authorization, now=now)
        until = authorization.expires_at
        return nullcontext(
            desk.custody.kept(wrapped, handle=authorization.id, until=until, now=now)
        )

    return Pen(template, key, credential.name)


def template_for(desk: Desk, credential: Credential, scheme: Scheme | None = None) -> CmsTemplate:
    """The credential's CMS template, made once per process."""
    name = f"{credential.id}/{scheme or ''}"
    known = desk.templates.get(name)
    if known is not None and known.certificate == credential.certificate:
        return known
    # Without the root: a validator that trusts it has it (EN 319 142-1 §6.3 k).
    intermediates = [one for one in credential.chain if one.subject != one.issuer]
    made = CmsTemplate(credential.certificate, intermediates, scheme=scheme)
    desk.templates[name] = made
    while len(desk.templates) > _TEMPLATES:
        desk.templates.popitem(last=False)
    return made


def _record_outcome(
    desk: Desk, intention: _Intention, signed: SignedDocument, *, now: datetime, by: str
) -> None:
    with desk.database.transaction() as session:
        row = session.get_one(SignatureRow, intention.id, with_for_update=True)
        if row.state != "intended":
            # Recovery voided it while this process was thought dead: its digest may be signed
            # again, so this result must never be seen.
            raise ActivationRefused("intention-lost")
        row.state, row.finished_at = "made", now
        row.field, row.result = signed.field, signed.digest
        ended = activation.settle(
            session, intention.authorization_id, intention.position, used=True
        )
        audit.record(
            session,
            tag=Tag.SIGNATURE_MADE,
            by=by,
            subject=f"document:{row.document}",
            details={
                "signature": row.id,
                "credential": row.credential_id,
                "field": signed.field,
                "level": row.level,
                "result": signed.digest,
            },
            now=now,
        )
    if ended:
        activation.forget(desk, intention.authorization_id)


def _void(
    desk: Desk, intention: _Intention, failure: Exception | None, *, now: datetime, by: str
) -> None:
    code = failure.code if isinstance(failure, DomainError) else type(failure).__name__
    reason = code if failure is not None else "interrupted"
    with desk.database.transaction() as session:
        row = session.get_one(SignatureRow, intention.id, with_for_update=True)
        if row.state != "intended":
            return
        row.state, row.finished_at, row.failure = "void", now, reason
        activation.settle(session, intention.authorization_id, intention.position, used=False)
        audit.record(
            session,
            tag=Tag.SIGNATURE_VOIDED,
            by=by,
            subject=f"document:{row.document}",
            details={"signature": row.id, "failure": reason},
            now=now,
        )


def _record_refusal(
    desk: Desk,
    original: Original,
    authorization: Authorization,
    refusal: DomainError,
    *,
    now: datetime,
    by: str,
) -> None:
    with desk.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.SIGNATURE_REFUSED,
            by=by,
            subject=f"document:{original.sha256.hex()}",
            details={
                "code": refusal.code,
                "credential": authorization.credential_id,
                "client": authorization.client,
            },
            now=now,
        )
