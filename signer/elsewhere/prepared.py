"""Prepare a signature here, have it made with a key elsewhere, complete it here.

    waiting = prepare(desk, [file], SignatureRequest(level=Level.B_LTA), certificate=…,
                      client=…, now=now, by=by)
    waiting.to_sign                       # goes to the citizen's token, or to another provider
    done = complete(desk, waiting.id, [file], Answer(value=…), client=…, now=now, by=by)
    done.data, done.verdict

The key never comes here, so nobody's sole control is touched; what is checked is whose it is,
whether the value fits, and that the result is what was asked for. docs/flows/prepared.md has the
same numbers.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from records import audit
from records.errors import DomainError
from records.tags import Tag
from signer.cms import CmsTemplate
from signer.cms_parts import CmsParts
from signer.elsewhere import drafts, foreign_values, prepared_rows
from signer.elsewhere.prepared_models import PreparedRow
from signer.elsewhere.prepared_rows import Waiting
from signer.errors import DocumentRefused, PreparationRefused
from signer.files import cades, file_signing, xades
from signer.files.formats import FileRequest, SourceFile
from signer.signature import SignatureRequest
from signer.trust.certificates import read_certificate
from signer.trust.standing import Standing, standing
from signer.verdicts.validation import validate
from signer.verdicts.verdict import SubIndication

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.verdicts.report import SignatureVerdict

LONGEST_MINUTES = 60
MOST_CERTIFICATES = 20
MOST_STATEMENTS = 50


@dataclass(frozen=True)
class Answer:
    """What the other side gives: the raw `value` over `to_sign`, or a whole `cms`.

    `certificates` and `revocation` (CRLs, OCSP answers) are DER that help to judge the signer.
    """

    value: bytes | None = None
    cms: bytes | None = None
    certificates: tuple[bytes, ...] = ()
    revocation: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Completed:
    """The signed file, and what validation says of the signature in it."""

    data: bytes = field(repr=False)
    name: str
    media_type: str
    verdict: SignatureVerdict


def prepare(
    desk: Desk,
    files: Sequence[SourceFile],
    request: SignatureRequest | FileRequest,
    *,
    certificate: bytes | None,
    others: Sequence[bytes] = (),
    sources: Sequence[str] = (),
    client: str,
    minutes: int = 10,
    now: datetime,
    by: str,
) -> Waiting:
    """What is to be signed. Refusals are SignerError; each is audited.

    Without a `certificate` only a whole CMS can come back, of whoever signs. `sources` say where
    the caller keeps the files, for the caller.
    """
    made = now.replace(microsecond=0)
    identifier = f"prp_{secrets.token_hex(16)}"
    try:
        # 1. Inspect the files, as for any signature.
        _require_fitting(desk, files, request, minutes)
        # 2. The certificate must be one that may sign, and lead to an anchor.
        template, found = None, None
        if certificate is not None:
            found = _standing(desk, certificate, Answer(certificates=tuple(others)), now=now)
            template = _template(found, request)
        # 3. Lay the signature out.
        draft = drafts.begin(
            desk, files, request, template, signer=_name(found), now=made, seed=identifier[4:]
        )
    except DomainError as refusal:
        _record(desk, Tag.PREPARATION_REFUSED, identifier, {"code": refusal.code}, now=now, by=by)
        raise
    # 4. Remember it, until it is completed or its time is over.
    row = PreparedRow(
        id=identifier,
        client=client,
        format=prepared_rows.format_name(request),
        level=request.level.value,
        request=prepared_rows.packed(request),
        files=[[one.name, one.media_type, one.digest.hex()] for one in files],
        sources=list(sources),
        certificate=certificate,
        chain=[_text(one) for one in found.chain] if found else [],
        to_sign=draft.to_sign,
        before=draft.hole.before if draft.hole else None,
        after=draft.hole.after if draft.hole else None,
        reserve=draft.hole.reserve if draft.hole else None,
        field=draft.field_name,
        state="open",
        tries=0,
        created_at=made,
        created_by=by,
        expires_at=now + timedelta(minutes=minutes),
    )
    return prepared_rows.add(
        desk, row, digest=draft.digest, scheme=template.scheme if template else None,
        digest_name=template.digest_name if template else "sha256",
        proven=found.proven if found else None, now=now, by=by,
    )  # fmt: skip


def complete(
    desk: Desk,
    identifier: str,
    files: Sequence[SourceFile],
    answer: Answer,
    *,
    client: str,
    now: datetime,
    by: str,
    keep: Callable[[Completed], object] | None = None,
) -> Completed:
    """Once: the signed file at the level asked for. Refusals are SignerError; each is audited.

    A value that does not fit may be sent again, five times in all. `keep` stores the result before
    its outcome is recorded.
    """
    # 5. Take it in hand: it is this client's, open, not over, and nobody else completes it.
    row = prepared_rows.take(desk, identifier, client=client, now=now, by=by)
    try:
        request = prepared_rows.unpacked(row)
        _require_same(row, files)
        # 6. The value or the CMS fits the files and the key, 7. and the signer may sign now.
        data, leaf = _signed(desk, row, files, request, answer, now=now)
        # 10. Counter-check, as any recipient would: intact, of this signer, at this level.
        verdict = _counter_check(desk, row, files, request, data, leaf, answer, now=now)
        done = Completed(data, _result_name(files, request), _media_type(request), verdict)
        if keep is not None:
            keep(done)
    except BaseException as failure:
        prepared_rows.give_back(desk, row, failure, now=now, by=by)
        raise
    # 11. Commit the outcome; the preparation is used for good.
    prepared_rows.settle(
        desk, row, result=hashlib.sha256(data).hexdigest(), signer=leaf, now=now, by=by
    )
    return done


def _signed(
    desk: Desk,
    row: PreparedRow,
    files: Sequence[SourceFile],
    request: SignatureRequest | FileRequest,
    answer: Answer,
    *,
    now: datetime,
) -> tuple[bytes, bytes]:
    """Steps 6 to 9; the file and the signer's certificate."""
    if (answer.value is None) == (answer.cms is None):
        raise PreparationRefused("value-or-cms")
    if answer.cms is not None:
        return _signed_by_cms(desk, row, files, request, answer, answer.cms, now=now)
    assert answer.value is not None
    if row.certificate is None or row.to_sign is None:
        raise PreparationRefused("cms-needed")
    template = CmsTemplate(
        x509.load_der_x509_certificate(row.certificate),
        [one for one in map(_certificate, row.chain) if one.subject != one.issuer],
        scheme=request.scheme,
    )
    value = foreign_values.checked_value(template, answer.value, row.to_sign)
    found = _standing(desk, row.certificate, _with(answer, row), now=now)
    _require_proven(found, request)
    # 8. Put it in its place and 9. raise the level with our time-stamps.
    if isinstance(request, FileRequest) and request.format.uses_xml:
        data = drafts.finish_xades(
            desk, files, value, template, request, found.material,
            made=row.created_at, to_sign=row.to_sign, seed=row.id[4:], now=now,
        )  # fmt: skip
        return data, row.certificate
    parts = cades.assembled(template, row.to_sign, value, None)
    return _finished(desk, row, files, request, parts, found, now=now), row.certificate


def _signed_by_cms(
    desk: Desk,
    row: PreparedRow,
    files: Sequence[SourceFile],
    request: SignatureRequest | FileRequest,
    answer: Answer,
    cms: bytes,
    *,
    now: datetime,
) -> tuple[bytes, bytes]:
    if isinstance(request, FileRequest) and request.format.uses_xml:
        raise PreparationRefused("value-needed")
    digest_of = drafts.content_digest(files, request, prepared_rows.hole_of(row))
    # Some programs put the file into a CMS that should be detached; it is taken out again.
    content = files[0].data if isinstance(request, FileRequest) else None
    found = foreign_values.checked_cms(cms, digest_of, wanted=row.certificate, content=content)
    leaf = found.certificate.public_bytes(Encoding.DER)
    helped = replace(
        _with(answer, row),
        certificates=(*answer.certificates, *found.others),
        revocation=(*answer.revocation, *found.revocation),
    )
    stands = _standing(desk, leaf, helped, now=now)
    _require_proven(stands, request)
    return _finished(desk, row, files, request, found.parts, stands, now=now), leaf


def _finished(
    desk: Desk,
    row: PreparedRow,
    files: Sequence[SourceFile],
    request: SignatureRequest | FileRequest,
    parts: CmsParts,
    found: Standing,
    *,
    now: datetime,
) -> bytes:
    if isinstance(request, FileRequest):
        return drafts.finish_cades(desk, files, parts, request, found.material, now=now)
    hole = prepared_rows.hole_of(row)
    assert hole is not None
    return drafts.finish_pdf(desk, files[0], hole, parts, request, found.material, now=now)


def _counter_check(
    desk: Desk,
    row: PreparedRow,
    files: Sequence[SourceFile],
    request: SignatureRequest | FileRequest,
    data: bytes,
    leaf: bytes,
    answer: Answer,
    *,
    now: datetime,
) -> SignatureVerdict:
    """What is handed out has been read back; raises PreparationRefused `result-not-as-asked`."""
    detached = isinstance(request, FileRequest) and request.format.detached
    report = validate(
        data,
        trust=desk.trust,
        now=now,
        revocation=answer.revocation,
        content=files[0].data if detached else None,
    )
    mine = [one for one in report.signatures if one.signer_certificate == leaf]
    if row.field is not None:
        mine = [one for one in mine if one.field == row.field]
    if not mine:
        reason = report.sub_indication or SubIndication.NO_SIGNATURE_FOUND
        raise PreparationRefused("result-not-as-asked", reason=reason.value)
    verdict = mine[-1]
    wanted = f"{prepared_rows.family(request)}-BASELINE-{request.level.value[2:]}"
    allowed = {None} if request.level.long_term else {None, SubIndication.TRY_LATER}
    if verdict.level != wanted or verdict.sub_indication not in allowed:
        found = verdict.sub_indication.value if verdict.sub_indication else verdict.level
        raise PreparationRefused("result-not-as-asked", reason=found or "")
    return verdict


def _require_fitting(
    desk: Desk,
    files: Sequence[SourceFile],
    request: SignatureRequest | FileRequest,
    minutes: int,
) -> None:
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise PreparationRefused("preparation-too-long", limit=LONGEST_MINUTES)
    if isinstance(request, FileRequest):
        file_signing.require_fitting(desk, files, request)
        if request.format.is_xml:
            xades.require_signable(files[0].data, request)
    elif len(files) != 1:
        raise PreparationRefused("format-takes-one-file", format="pades")


def _require_same(row: PreparedRow, files: Sequence[SourceFile]) -> None:
    """What is completed is what was prepared, to the byte."""
    given = [[one.name, one.media_type, one.digest.hex()] for one in files]
    if given != row.files:
        raise DocumentRefused("prepared-differs")


def _require_proven(found: Standing, request: SignatureRequest | FileRequest) -> None:
    """B-LT keeps the proof that the signer's certificate was good: there must be one."""
    if request.level.long_term and not found.proven:
        raise PreparationRefused("signer-status-unproven")


def _standing(desk: Desk, certificate: bytes, helped: Answer, *, now: datetime) -> Standing:
    if len(helped.certificates) > MOST_CERTIFICATES or len(helped.revocation) > MOST_STATEMENTS:
        raise PreparationRefused("too-much-at-hand", limit=MOST_CERTIFICATES)
    read = read_certificate(certificate)
    if read is None:
        raise PreparationRefused("signer-certificate-unreadable")
    return standing(
        desk, read.x509, others=helped.certificates, revocation=helped.revocation, now=now
    )


def _with(answer: Answer, row: PreparedRow) -> Answer:
    """The certificates of the preparation help at completion too."""
    known = [base64.b64decode(one) for one in row.chain]
    return replace(answer, certificates=(*answer.certificates, *known))


def _template(found: Standing, request: SignatureRequest | FileRequest) -> CmsTemplate:
    # Without the root: a validator that trusts it has it (EN 319 142-1 §6.3 k).
    above = [one for one in found.chain if one.subject != one.issuer]
    return CmsTemplate(found.path[0], above, scheme=request.scheme)


def _name(found: Standing | None) -> str:
    """Who the dictionary of a PDF says has signed."""
    if found is None:
        return ""
    read = read_certificate(found.path[0].public_bytes(Encoding.DER))
    return read.common_name() if read is not None else ""


def _result_name(files: Sequence[SourceFile], request: SignatureRequest | FileRequest) -> str:
    if isinstance(request, FileRequest):
        return file_signing.result_name(files, request.format)
    return files[0].name


def _media_type(request: SignatureRequest | FileRequest) -> str:
    if isinstance(request, FileRequest):
        return request.format.media_type
    return "application/pdf"


def _text(certificate: x509.Certificate) -> str:
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def _certificate(text: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(base64.b64decode(text))


def _record(
    desk: Desk, tag: Tag, identifier: str, details: dict[str, object], *, now: datetime, by: str
) -> None:
    with desk.database.transaction() as session:
        audit.record(
            session, tag=tag, by=by, subject=f"prepared:{identifier}", details=details, now=now
        )
