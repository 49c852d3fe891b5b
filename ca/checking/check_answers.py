"""The OCSP answers that are kept to be given out again: each says what the row says.

A live answer is made from the row, so it cannot differ; one that was signed beforehand can.
"""

from __future__ import annotations

from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from sqlalchemy import select
from sqlalchemy.orm import Session

from ca.authority import Authority
from ca.checking.check_report import CheckReport
from ca.errors import UNREADABLE
from ca.models import CertificateRow, CertificateStatus, serial_text
from ca.status.status_models import OcspAnswerRow

_PAGE = 500


def check(authority: Authority, session: Session, report: CheckReport, now: datetime) -> None:
    """Every answer that may still be served."""
    wanted = (
        select(OcspAnswerRow, CertificateRow.status)
        .join(CertificateRow, CertificateRow.serial == OcspAnswerRow.serial, isouter=True)
        .where(OcspAnswerRow.next_update > now)
        .execution_options(yield_per=_PAGE)
    )
    for row, status in session.execute(wanted):
        report.answers += 1
        try:
            answer = ocsp.load_der_ocsp_response(row.der)
            _verify(answer, authority.service(f"ocsp-{row.issuer}").certificate.public_key())
            said, serial = answer.certificate_status, serial_text(answer.serial_number)
        except (*UNREADABLE, InvalidSignature) as error:
            report.add("ocsp-not-by-responder", row.serial, type(error).__name__)
            continue
        good = status == CertificateStatus.GOOD.value
        if serial != row.serial or (said is ocsp.OCSPCertStatus.GOOD) != good:
            report.add("ocsp-differs", row.serial, f"kept: {said.name}, row says {status}")


def _verify(answer: ocsp.OCSPResponse, key: object) -> None:
    algorithm = answer.signature_hash_algorithm
    assert algorithm is not None
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), algorithm)
