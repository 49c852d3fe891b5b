"""What the roots have signed against the ceremonies' logs.

A root's certificates have no intention in the tables: the root's side is another process with
another token. What stands for it is the log of each ceremony, signed by the audit key and kept.
"""

from __future__ import annotations

import hashlib
import json

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy import select

from ca.authority import Authority
from ca.ceremonies.ceremony import verify_log
from ca.checking.check_report import CheckReport
from ca.models import CeremonyRow, CertificateRow
from ca.status.crl import current
from records.errors import DomainError


def check(authority: Authority, report: CheckReport) -> None:
    """Every certificate of a root is in a signed log, and everything logged is still here."""
    with authority.database.reading() as session:
        ceremonies = session.scalars(select(CeremonyRow).order_by(CeremonyRow.id)).all()
        rows = session.execute(
            select(CertificateRow.issuer, CertificateRow.serial, CertificateRow.der)
        )
        stored = {hashlib.sha256(der).hexdigest(): (issuer, serial) for issuer, serial, der in rows}
    roots = {issuer.name for issuer in authority.issuers() if issuer.key_id is None}
    logged: dict[str, str] = {}
    lists: set[str] = set()
    for ceremony in ceremonies:
        subject = f"ceremony:{ceremony.id}"
        try:
            verify_log(authority, ceremony)
            content = json.loads(ceremony.log)
            logged |= {digest: name for name, digest in content["certificates"].items()}
            lists.update(content["crls"].values())
        except (InvalidSignature, DomainError, ValueError, KeyError, AttributeError) as error:
            report.add("ceremony-log-not-signed", subject, type(error).__name__)
    for digest, (issuer, serial) in stored.items():
        if issuer in roots and digest not in logged:
            report.add("certificate-not-in-ceremony-log", serial, issuer)
    for digest, name in logged.items():
        if digest not in stored:
            report.add("certificate-of-ceremony-missing", name, digest)
    for name in sorted(roots):
        encoded = current(authority, name)
        if encoded is not None and hashlib.sha256(encoded).hexdigest() not in lists:
            number = x509.load_der_x509_crl(encoded).extensions.get_extension_for_class(
                x509.CRLNumber
            )
            report.add("crl-not-in-ceremony-log", name, str(number.value.crl_number))
