"""Raise a signature's level: time-stamp, revocation data, archive time-stamp, each a new revision.

EN 319 142-1 §5.4 and §6.3. `sign_pdf` calls `long_term` and `archive` right after signing;
`augment` does the same later, to a file that comes back, so that it outlives certificates and
algorithms.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pikepdf
from asn1crypto import cms
from cryptography import x509
from cryptography.x509 import ocsp

from ca import der
from ca.errors import CaError
from records import audit
from records.tags import Tag
from signer.errors import CredentialUnusable, DocumentRefused, SignerError
from signer.levels import Level
from signer.pdf import dss
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender
from signer.signature import place_document_time_stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from signer.desk import Desk

_TIME_STAMP_ATTRIBUTE = "signature_time_stamp_token"


def long_term(
    desk: Desk, appender: Appender, path: Sequence[x509.Certificate], *, now: datetime
) -> None:
    """A DSS with the signer's path and the TSA's (level LT), in a revision of its own.

    Its own revision, because validators look for the store in the revision that the next
    time-stamp covers. The signer's status is asked after signing and must still be good.
    """
    if dss.write(appender, evidence(desk, path, now=now)):
        appender.commit_plain()


def evidence(desk: Desk, path: Sequence[x509.Certificate], *, now: datetime) -> dss.Material:
    """Certificates and status of a signer's path and of the TSA's; the signer must be good now."""
    material = dss.gather(
        path,
        responder=desk.responder,
        shelf=desk.revocation,
        fresh=True,
        now=now,
    )
    _require_good(material.ocsp[0], path[0])
    return material + tsa_material(desk, now)


def archive(desk: Desk, appender: Appender, *, now: datetime) -> str:
    """A document time-stamp over everything so far (level LTA)."""
    return place_document_time_stamp(appender, desk.tsa, now=now)


def augment(
    desk: Desk,
    data: bytes,
    *,
    to: Level,
    now: datetime,
    by: str,
    check: Callable[[bytes], object] | None = None,
) -> bytes:
    """The file with what its signatures lack for level `to`; B-LTA again renews the archive.

    `check` sees the result before anything is written down about it, and refuses by raising.

    Raises DocumentRefused `not-signed`, SignerError `signer-foreign` when a signature's issuer is
    not ours, so that no revocation data can be had here.
    """
    original = Original.of(data)
    # 1. Inspect; there must be a signature to raise.
    with Document.open(original, desk.limits) as document:
        signatures = [one for one in document.signatures if one.sub_filter != "ETSI.RFC3161"]
        if not signatures:
            raise DocumentRefused("not-signed")
        appender = Appender(document)
        # 2. A time-stamp, when the newest signature has none in it and none after it.
        if to.time_stamped and not _stamped(document):
            place_document_time_stamp(appender, desk.tsa, now=now)
        # 3. Certificates and revocation data of every signature and time-stamp.
        if to.long_term:
            material = tsa_material(desk, now)
            for certificate in _signers(document):
                if certificate.not_valid_after_utc < now and _archived(document):
                    # Nobody answers for it any more; the archive holds what was said in its time.
                    continue
                material += _material_about(desk, certificate, now)
            if dss.write(appender, material):
                appender.commit_plain()
        # 4. The archive time-stamp over all of it.
        if to.archived:
            archive(desk, appender, now=now)
        result = appender.whole()
        digest = bytes(appender.state().digest())
    if check is not None:
        check(result)
    # 5. Write down what was added, and to which file.
    with desk.database.transaction() as session:
        audit.record(
            session,
            tag=Tag.SIGNATURE_AUGMENTED,
            by=by,
            subject=f"document:{original.sha256.hex()}",
            details={"level": to.value, "result": digest},
            now=now,
        )
    return result


def tsa_material(desk: Desk, now: datetime) -> dss.Material:
    """Certificates and status of our time-stamp authority's path."""
    return dss.gather(
        (desk.tsa.certificate, *desk.tsa.chain),
        responder=desk.responder,
        shelf=desk.revocation,
        fresh=False,
        now=now,
    )


def _material_about(desk: Desk, certificate: x509.Certificate, now: datetime) -> dss.Material:
    try:
        path = (certificate, *desk.authority.chain(certificate))
    except CaError:
        raise SignerError("signer-foreign", signer=certificate.subject.rfc4514_string()) from None
    return dss.gather(
        path,
        responder=desk.responder,
        shelf=desk.revocation,
        fresh=True,
        now=now,
    )


def _require_good(answer: bytes, certificate: x509.Certificate) -> None:
    """Revoked between the check and the signature: nothing is delivered."""
    if ocsp.load_der_ocsp_response(answer).certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise CredentialUnusable("certificate-revoked", holder=certificate.subject.rfc4514_string())


def _signers(document: Document) -> Iterator[x509.Certificate]:
    """The certificates that made the signatures and time-stamps of a file, each once."""
    seen: set[bytes] = set()
    for signed in _signed_data(document):
        for certificate in _signers_in(signed):
            if certificate not in seen:
                seen.add(certificate)
                yield x509.load_der_x509_certificate(certificate)


def _signers_in(signed: cms.SignedData) -> Iterator[bytes]:
    for info in signed["signer_infos"]:
        wanted = info["sid"].chosen
        for one in signed["certificates"]:
            certificate = one.chosen
            if (
                info["sid"].name == "issuer_and_serial_number"
                and certificate.serial_number == wanted["serial_number"].native
                and certificate.issuer == wanted["issuer"]
            ):
                yield certificate.dump()
        for attribute in info["unsigned_attrs"] or ():
            if attribute["type"].native == _TIME_STAMP_ATTRIBUTE:
                for token in attribute["values"]:
                    yield from _signers_in(token["content"])


def _signed_data(document: Document) -> Iterator[cms.SignedData]:
    for field in document.signatures:
        contents = bytes(field.object["/V"].get("/Contents", pikepdf.String("")))
        try:
            whole = der.Reader(contents).raw(der.SEQUENCE)
            yield cms.ContentInfo.load(whole)["content"]
        except (der.MalformedDer, ValueError, TypeError, KeyError):
            raise DocumentRefused("signature-unreadable", field=field.name) from None


def _stamped(document: Document) -> bool:
    """Whether the newest signature carries a time-stamp or lies under a document time-stamp."""
    newest = max(document.signatures, key=lambda one: _covered(one.object["/V"]))
    if newest.sub_filter == "ETSI.RFC3161":
        return True
    signed = list(_signed_data(document))[document.signatures.index(newest)]
    return any(
        attribute["type"].native == _TIME_STAMP_ATTRIBUTE
        for info in signed["signer_infos"]
        for attribute in info["unsigned_attrs"] or ()
    )


def _archived(document: Document) -> bool:
    """Whether a document time-stamp covers everything signed before it."""
    newest = max(document.signatures, key=lambda one: _covered(one.object["/V"]))
    return newest.sub_filter == "ETSI.RFC3161"


def _covered(value: pikepdf.Object) -> int:
    span = [int(one) for one in value.get("/ByteRange", pikepdf.Array([0, 0, 0, 0]))]
    return span[2] + span[3]
