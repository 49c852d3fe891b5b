"""The lists as published against the rows: exactly the revoked and held, with their reasons."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from sqlalchemy import select

from ca.authority import Authority
from ca.checking.check_report import CheckReport
from ca.errors import UNREADABLE
from ca.issuer import Issuer
from ca.models import CertificateRow, CertificateStatus, serial_text
from ca.status import crl
from ca.status.crl_scope import COMPLETE, DELTA, Scope
from ca.status.status_models import CrlRow

_REVOKED = (CertificateStatus.REVOKED.value, CertificateStatus.HELD.value)


def check(authority: Authority, issuer: Issuer, report: CheckReport, now: datetime) -> None:
    """The complete list, the delta where there is one, and each shard that is named or served."""
    for scope in _scopes(authority, issuer):
        _check_one(authority, issuer, scope, report, now)


def _scopes(authority: Authority, issuer: Issuer) -> list[Scope]:
    named = (
        select(CertificateRow.crl_shard)
        .where(CertificateRow.issuer == issuer.name, CertificateRow.crl_shard.is_not(None))
        .distinct()
    )
    served = select(CrlRow.scope).where(CrlRow.issuer == issuer.name).distinct()
    with authority.database.reading() as session:
        shards = {number for number in session.scalars(named) if number is not None}
        there = set(session.scalars(served))
    prefix = Scope.of_shard(0).name[:-1]
    shards |= {int(one[len(prefix) :]) for one in there if one.startswith(prefix)}
    delta = [DELTA] if DELTA.name in there else []
    return [COMPLETE, *delta, *map(Scope.of_shard, sorted(shards))]


def _check_one(
    authority: Authority, issuer: Issuer, scope: Scope, report: CheckReport, now: datetime
) -> None:
    name = issuer.name if scope == COMPLETE else f"{issuer.name}/{scope.name}"
    encoded = crl.current(authority, issuer.name, scope)
    if encoded is None:
        report.add("crl-missing", name)
        return
    report.crls += 1
    try:
        listed = x509.load_der_x509_crl(encoded)
        if not listed.is_signature_valid(issuer.public_key):
            report.add("crl-not-by-issuer", name)
        if listed.next_update_utc is None or listed.next_update_utc <= now:
            report.add("crl-expired", name)
        if scope != DELTA:  # what a delta leaves out is said by its base
            _check_entries(authority, issuer, scope, name, listed, report, now)
    except UNREADABLE as error:
        report.add("crl-not-by-issuer", name, type(error).__name__)


def _check_entries(
    authority: Authority,
    issuer: Issuer,
    scope: Scope,
    name: str,
    listed: x509.CertificateRevocationList,
    report: CheckReport,
    now: datetime,
) -> None:
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
