"""The lists as published against the rows: exactly the revoked and held, with their reasons."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from sqlalchemy import select

from ca.authority import Authority
from ca.checking.check_report import CheckReport
from ca.issuer import Issuer
from ca.models import CertificateRow, CertificateStatus, serial_text
from ca.status import crl
from ca.status.crl_scope import COMPLETE, Scope

_REVOKED = (CertificateStatus.REVOKED.value, CertificateStatus.HELD.value)


def check(authority: Authority, issuer: Issuer, report: CheckReport, now: datetime) -> None:
    """The complete list, and each shard that certificates name."""
    with authority.database.reading() as session:
        shards = session.scalars(
            select(CertificateRow.crl_shard)
            .where(CertificateRow.issuer == issuer.name, CertificateRow.crl_shard.is_not(None))
            .distinct()
            .order_by(CertificateRow.crl_shard)
        ).all()
    for scope in (COMPLETE, *(Scope.of_shard(number) for number in shards if number is not None)):
        _check_one(authority, issuer, scope, report, now)


def _check_one(
    authority: Authority, issuer: Issuer, scope: Scope, report: CheckReport, now: datetime
) -> None:
    name = issuer.name if scope == COMPLETE else f"{issuer.name}/{scope.name}"
    encoded = crl.current(authority, issuer.name, scope)
    if encoded is None:
        report.add("crl-missing", name)
        return
    report.crls += 1
    listed = x509.load_der_x509_crl(encoded)
    if not listed.is_signature_valid(issuer.public_key):
        report.add("crl-not-by-issuer", name)
    if listed.next_update_utc is None or listed.next_update_utc <= now:
        report.add("crl-expired", name)
    on_list = {serial_text(entry.serial_number): _reason(entry) for entry in listed}
    wanted = select(CertificateRow.serial, CertificateRow.reason, CertificateRow.not_after).where(
        CertificateRow.issuer == issuer.name, CertificateRow.status.in_(_REVOKED)
    )
    if scope.shard is not None:
        wanted = wanted.where(CertificateRow.crl_shard == scope.shard)
    with authority.database.reading() as session:
        rows = session.execute(wanted).all()
    for serial, reason, not_after in rows:
        said = on_list.pop(serial, None)
        if said is None and not_after > now:
            report.add("crl-lacks-certificate", serial, name)
        elif said is not None and said != (reason or "unspecified"):
            report.add("crl-other-reason", serial, f"{said}, row says {reason}")
    for serial in on_list:
        report.add("crl-names-good-certificate", serial, name)


def _reason(entry: x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return "unspecified"
