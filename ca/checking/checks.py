"""A second look at everything the authority has done, by code that does not trust it.

    report = check_everything(authority, now)
    for problem in report.problems: print(problem.code, problem.subject, problem.text)

Each certificate is read from its bytes, linted anew and checked against its issuer's key; the rows
are compared with the bytes, with the intentions, with the CRL as published, with what OCSP answers
and with the audit log. Nothing here writes. A problem is reported, never repaired: what to do about
it is a person's decision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID
from sqlalchemy import select
from sqlalchemy.orm import Session

from ca import lint
from ca.authority import Authority
from ca.checking import check_answers, check_ceremonies, check_lists, lint_again
from ca.checking.check_report import CheckReport
from ca.checking.lint_again import Asked
from ca.errors import UNREADABLE
from ca.issuer import Issuer
from ca.key_policy import accepted_type
from ca.lint import Finding
from ca.models import CertificateRow, CertificateStatus, IntentionRow, IntentionState, serial_text
from ca.names import Subject, display_name
from ca.profiles import PROFILES, Profile
from ca.status.ocsp import Responder
from records import audit
from records.errors import DomainError
from records.models import AuditEntry
from records.tags import Tag

GRACE = timedelta(minutes=25)
"""How old an open intention may be before it needs an explanation: recovery voids it sooner."""
_PAGE = 500
_REVOKED = (CertificateStatus.REVOKED.value, CertificateStatus.HELD.value)


def check_everything(
    authority: Authority, now: datetime, *, told: Callable[[int], object] = lambda _: None
) -> CheckReport:
    """All checks; minutes for a province, as each certificate goes through pkilint again.

    `told` hears how many certificates have been looked at, from time to time.
    """
    report = CheckReport()
    issuers = {issuer.name: issuer for issuer in authority.issuers()}
    judged = lint_again.findings(
        _check_certificates(authority, issuers, report, now), processes=lint_again.cores()
    )
    for count, (serial, findings) in enumerate(judged, start=1):
        _report_lint(serial, findings, report)
        if count % _PAGE == 0:
            told(count)
    for issuer in issuers.values():
        check_lists.check(authority, issuer, report, now)
    check_ceremonies.check(authority, report)
    with authority.database.reading() as session:
        check_answers.check(authority, session, report, now)
        _check_intentions(session, issuers, report, now)
        _check_audit(session, report)
    log = audit.verify(authority.database)
    for problem in log.problems:
        report.add("audit-log", "audit", str(problem))
    return report


def _check_certificates(
    authority: Authority, issuers: dict[str, Issuer], report: CheckReport, now: datetime
) -> Iterator[Asked]:
    """What is checked here of each certificate, and what pkilint is to be asked about."""
    responder = Responder(authority)
    seen: dict[int, str] = {}
    for row in _certificates(authority):
        report.certificates += 1
        certificate = _check_bytes(row, issuers, seen, report)
        if certificate is None:
            continue
        _check_answer(row, certificate, responder, report, now)
        profile = PROFILES.get(row.profile)
        if profile is None:
            report.add("profile-unknown", row.serial, row.profile)
            continue
        base_url = _base_url(certificate)
        if row.profile != "cross":
            _check_own_rules(row, certificate, profile, issuers, base_url, report)
        yield Asked(row.serial, row.der, profile.kind, lint.is_local(base_url))


def _certificates(authority: Authority) -> Iterator[CertificateRow]:
    """Every row, a page at a time, so that memory stays flat."""
    after = ""
    while True:
        with authority.database.reading() as session:
            page = session.scalars(
                select(CertificateRow)
                .where(CertificateRow.serial > after)
                .order_by(CertificateRow.serial)
                .limit(_PAGE)
            ).all()
        if not page:
            return
        yield from page
        after = page[-1].serial


def _check_bytes(
    row: CertificateRow,
    issuers: dict[str, Issuer],
    seen: dict[int, str],
    report: CheckReport,
) -> x509.Certificate | None:
    """The row says what the certificate says, and the issuer named really signed it."""
    try:
        certificate = x509.load_der_x509_certificate(row.der)
        certificate.verify_directly_issued_by(issuers[row.issuer].certificate)
    except (*UNREADABLE, KeyError, InvalidSignature) as error:
        report.add("certificate-not-by-issuer", row.serial, type(error).__name__)
        return None
    serial = certificate.serial_number
    if serial in seen:
        report.add("serial-used-twice", row.serial, seen[serial])
    seen[serial] = row.serial
    facts = (
        (serial_text(serial), row.serial),
        (certificate.not_valid_before_utc, row.not_before),
        (certificate.not_valid_after_utc, row.not_after),
        (hashlib.sha256(lint.spki_of(certificate)).digest(), row.spki_sha256),
        (display_name(certificate.subject), row.subject),
    )
    if any(actual != written for actual, written in facts):
        report.add("row-differs-from-certificate", row.serial)
    return certificate


def _check_own_rules(
    row: CertificateRow,
    certificate: x509.Certificate,
    profile: Profile,
    issuers: dict[str, Issuer],
    base_url: str,
    report: CheckReport,
) -> None:
    issuer = (
        None if row.profile == "root" else _as_then(issuers[row.issuer], base_url, row.crl_shard)
    )
    try:
        subject = Subject.from_x509(certificate.subject)
    except DomainError as error:
        report.add("subject-unknown-form", row.serial, str(error))
        return
    public_key = accepted_type(certificate.public_key())
    findings = lint.own_findings(
        certificate, profile=profile, issuer=issuer, subject=subject, public_key=public_key
    )
    _report_lint(row.serial, findings, report)


def _report_lint(serial: str, findings: list[Finding], report: CheckReport) -> None:
    for finding in findings:
        if finding.stops:
            report.add("lint", serial, f"{finding.rule}: {finding.text}")


def _check_answer(
    row: CertificateRow,
    certificate: x509.Certificate,
    responder: Responder,
    report: CheckReport,
    now: datetime,
) -> None:
    """OCSP says of a living certificate what the row says."""
    if row.not_after <= now or row.profile in ("root", "ocsp"):
        return
    report.answers += 1
    try:
        answer = ocsp.load_der_ocsp_response(responder.answer(certificate, now=now))
        status = answer.certificate_status
    except (DomainError, ValueError) as error:
        report.add("ocsp-no-answer", row.serial, str(error))
        return
    wanted = ocsp.OCSPCertStatus.REVOKED if row.status in _REVOKED else ocsp.OCSPCertStatus.GOOD
    if status is not wanted:
        report.add("ocsp-differs", row.serial, f"{status.name}, row says {row.status}")


def _check_intentions(
    session: Session, issuers: dict[str, Issuer], report: CheckReport, now: datetime
) -> None:
    """Every certificate was intended as it is; nothing intended is left in the air."""
    open_ones = select(IntentionRow.serial, IntentionRow.made_at).where(
        IntentionRow.state == IntentionState.OPEN.value
    )
    for serial, made_at in session.execute(open_ones):
        if made_at < now - GRACE:
            report.add("intention-open", serial, made_at.isoformat())
    both = (
        select(CertificateRow, IntentionRow)
        .join(IntentionRow, IntentionRow.serial == CertificateRow.serial, isouter=True)
        .execution_options(yield_per=_PAGE)
    )
    for row, intention in session.execute(both):
        if issuers[row.issuer].key_id is None:
            continue  # a root's certificates are accounted for in `check_ceremonies`
        if intention is None:
            report.add("certificate-not-intended", row.serial)
        elif intention.state != IntentionState.ISSUED.value:
            report.add("certificate-of-void-intention", row.serial, intention.state)
        elif _tbs_sha256(row.der) not in (intention.tbs_sha256, None):
            report.add("certificate-other-than-intended", row.serial)
    lost = (
        select(IntentionRow.serial)
        .join(CertificateRow, CertificateRow.serial == IntentionRow.serial, isouter=True)
        .where(IntentionRow.state == IntentionState.ISSUED.value, CertificateRow.serial.is_(None))
    )
    for serial in session.scalars(lost):
        report.add("certificate-missing", serial)


def _tbs_sha256(encoded: bytes) -> bytes | None:
    """None for bytes that are no certificate: that has been reported already."""
    try:
        tbs = x509.load_der_x509_certificate(encoded).tbs_certificate_bytes
    except UNREADABLE:
        return None
    return hashlib.sha256(tbs).digest()


def _check_audit(session: Session, report: CheckReport) -> None:
    """Each issuing and each revocation left its entry."""
    for tag, status in (
        (Tag.CERTIFICATE_ISSUED, None),
        (Tag.CERTIFICATE_REVOKED, CertificateStatus.REVOKED),
        (Tag.CERTIFICATE_SUSPENDED, CertificateStatus.HELD),
    ):
        noted = select(AuditEntry.subject).where(AuditEntry.tag == tag.value)
        wanted = select(CertificateRow.serial).where(
            ("certificate:" + CertificateRow.serial).not_in(noted)
        )
        if status is not None:
            wanted = wanted.where(CertificateRow.status == status.value)
        for serial in session.scalars(wanted):
            report.add("audit-entry-missing", serial, tag.value)
    _check_what_was_noted(session, report)


def _check_what_was_noted(session: Session, report: CheckReport) -> None:
    """What the log says was issued is there, and what it says was revoked still is: final, unlike
    a suspension."""
    there = select("certificate:" + CertificateRow.serial)
    revoked = there.where(CertificateRow.status == CertificateStatus.REVOKED.value)
    for tag, rows, code in (
        (Tag.CERTIFICATE_ISSUED, there, "certificate-missing"),
        (Tag.CERTIFICATE_REVOKED, revoked, "revocation-undone"),
    ):
        noted = select(AuditEntry.subject).where(
            AuditEntry.tag == tag.value,
            AuditEntry.subject.startswith("certificate:"),
            AuditEntry.subject.not_in(rows),
        )
        for subject in session.scalars(noted):
            report.add(code, subject.removeprefix("certificate:"), tag.value)


def _base_url(certificate: x509.Certificate) -> str:
    """The public address the certificate was made with."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except x509.ExtensionNotFound:
        return ""
    for one in access.value:
        if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS:
            return str(one.access_location.value).partition("/pki/")[0]
    return ""


def _as_then(issuer: Issuer, base_url: str, shard: int | None) -> Issuer:
    return replace(issuer, base_url=base_url, shard=shard)
