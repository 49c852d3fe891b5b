"""The order decree 30/2020 prescribes: the authorised person signs, then the agency seals.

A seal is put only on a document that carries a valid signature of a person entitled to sign it;
whoever asks for a seal on anything else is refused, whatever PIN or mandate they hold.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from sqlalchemy import select

from records import audit
from records.tags import Tag
from signer import signing
from signer.errors import OrderRefused
from signer.keys import credentials
from signer.models import SignatureRow
from signer.signing import SignatureRequest, SignedDocument, document_digest
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Indication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from signer.desk import Desk
    from signer.keys.activation import Authorization

    Authorizer = Callable[[Sequence[bytes]], Authorization]


@dataclass(frozen=True)
class SealedDocument:
    """Both acts; `seal.data` is the document to hand out."""

    person: SignedDocument
    seal: SignedDocument

    @property
    def data(self) -> bytes:
        return self.seal.data


def sign_then_seal(
    desk: Desk,
    document: bytes,
    *,
    person: Authorizer,
    person_request: SignatureRequest,
    seal: Authorizer,
    seal_request: SignatureRequest,
    now: datetime,
    by: str,
    seal_by: str | None = None,
) -> SealedDocument:
    """The person's signature, then the agency's seal over it.

    `person` and `seal` give an authorisation for the digests they are called with: the seal's
    digest is that of the file with the person's signature, which exists only then.
    """
    # 1. The authorised person signs what was shown.
    by_person = person([document_digest(document)])
    signed = signing.sign_pdf(
        desk, document, person_request, authorization=by_person, now=now, by=by
    )
    signer = credentials.find(desk, by_person.credential_id)
    # 2. The clerk, or a client under a mandate, seals exactly that file.
    sealed = seal_pdf(
        desk,
        signed.data,
        seal_request,
        authorize=seal,
        entitled={signer.certificate.serial_number},
        now=now,
        by=seal_by or by,
    )
    return SealedDocument(signed, sealed)


def seal_pdf(
    desk: Desk,
    document: bytes,
    request: SignatureRequest,
    *,
    authorize: Authorizer,
    entitled: Collection[int],
    now: datetime,
    by: str,
) -> SignedDocument:
    """A seal over a valid signature made with one of the `entitled` certificates (serial numbers).

    Raises OrderRefused `seal-before-signature`, `signature-not-valid`.
    """
    # 1. Validate what is there, as any recipient would.
    try:
        _require_person(desk, document, entitled, now=now)
    except OrderRefused as refusal:
        with desk.database.transaction() as session:
            audit.record(
                session,
                tag=Tag.SIGNATURE_REFUSED,
                by=by,
                subject=f"document:{document_digest(document).hex()}",
                details={"code": refusal.code, "act": "seal"},
                now=now,
            )
        raise
    # 2. Authorise this digest and sign with the agency's key.
    authorization = authorize([document_digest(document)])
    return signing.sign_pdf(desk, document, request, authorization=authorization, now=now, by=by)


def _require_person(
    desk: Desk, document: bytes, entitled: Collection[int], *, now: datetime
) -> None:
    if _made_here(desk, document, entitled, now=now):
        return
    report = validate(document, trust=desk.trust, now=now)
    verdicts = [one for one in report.signatures if _serial(one.signer_certificate) in entitled]
    if not verdicts:
        broken = [one for one in report.signatures if one.indication is Indication.TOTAL_FAILED]
        if broken:  # whose it was cannot be told of a signature that is broken
            raise OrderRefused("signature-not-valid", reason=broken[0].sub_indication or "")
        raise OrderRefused("seal-before-signature")
    if not any(one.indication is Indication.TOTAL_PASSED for one in verdicts):
        raise OrderRefused("signature-not-valid", reason=verdicts[-1].sub_indication or "")


def _made_here(desk: Desk, document: bytes, entitled: Collection[int], *, now: datetime) -> bool:
    """Whether these very bytes left this desk, signed by one of the entitled who still may sign.

    The record of the outcome names the digest of the file; nothing needs to be parsed again.
    """
    made = select(SignatureRow.credential_id).where(
        SignatureRow.result == document_digest(document).hex(), SignatureRow.state == "made"
    )
    with desk.database.reading() as session:
        holders = [credentials.find_in(session, one) for one in session.scalars(made)]
    for holder in holders:
        if holder.certificate.serial_number in entitled:
            credentials.require_usable(desk, holder, now=now)
            return True
    return False


def _serial(certificate: bytes | None) -> int | None:
    if certificate is None:
        return None
    return x509.load_der_x509_certificate(certificate).serial_number
