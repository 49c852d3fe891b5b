"""Is this instance fit for work? Each check says what it found and, when it is not, what to do.

Used by `dauso doctor`. A check that cannot run because an earlier one failed says so by its own
error; none of them changes anything, except that the token is asked for a signature.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from api.house import LEAST_FREE_BYTES, House
from api.local_time import shown
from api.time_references import references
from records.errors import DomainError
from records.errors import text as catalogue_text

if TYPE_CHECKING:
    from cryptography import x509

_LOW_DISK = 16 * LEAST_FREE_BYTES
_EXPIRES_SOON = timedelta(days=60)


@dataclass(frozen=True)
class Finding:
    """`state` is ok, warning or failed; the words come from the catalogue."""

    check: str
    state: str
    code: str
    params: dict[str, object] = field(default_factory=dict)

    def title(self, language: str) -> str:
        return catalogue_text(f"health-{self.check}", {}, language)

    def text(self, language: str) -> str:
        return catalogue_text(self.code, self.params, language)

    def to_json(self) -> dict[str, object]:
        return {
            "check": self.check,
            "state": self.state,
            "code": self.code,
            "vi": self.text("vi"),
            "en": self.text("en"),
        }


def examine(house: House, *, now: datetime) -> list[Finding]:
    """Every check, in the order in which one would mend things."""
    checks: list[tuple[str, Callable[[House, datetime], list[Finding]]]] = [
        ("home", _home),
        ("disk", _disk),
        ("secrets", _secrets),
        ("database", _database),
        ("clock", _clock),
        ("token", _token),
        ("chain", examine_chain),
        ("crl", _lists),
    ]
    found: list[Finding] = []
    for name, check in checks:
        try:
            found += check(house, now)
        except DomainError as error:
            found.append(Finding(name, "failed", error.code, error.params))
            if name == "home":  # nothing is there: the rest would only repeat it
                break
    return found


def _home(house: House, now: datetime) -> list[Finding]:
    del now
    house.check_home()
    home = house.settings.home
    strangers = [
        path
        for path in home.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    ]
    # Below an owner-only directory they are out of reach, but a copy would take the modes along.
    if strangers:
        facts: dict[str, object] = {"path": strangers[0], "count": len(strangers)}
        return [Finding("home", "warning", "health-files-open", facts)]
    return [Finding("home", "ok", "health-home-ok", {"home": home})]


def _disk(house: House, now: datetime) -> list[Finding]:
    del now
    free = shutil.disk_usage(house.settings.home).free
    facts: dict[str, object] = {"free": f"{free / 1024**3:.1f}"}
    if free < _LOW_DISK:
        return [Finding("disk", "warning", "health-disk-low", facts)]
    return [Finding("disk", "ok", "health-disk-ok", facts)]


def _secrets(house: House, now: datetime) -> list[Finding]:
    from api.settings import read_secret

    del now
    names = ["token.pin", "access-token.pem"]
    if house.settings.embedded:
        names.append("token.so-pin")
    for name in names:
        read_secret(house.settings.secrets / name)
    found = [Finding("secrets", "ok", "health-secrets-ok", {"count": len(names)})]
    if any(house.settings.secrets.glob("witness-*.passphrase")):
        found.append(Finding("secrets", "warning", "health-witnesses-here"))
    return found


def _database(house: House, now: datetime) -> list[Finding]:
    from records.models import AuditEntry

    del now
    with house.database.reading() as session:
        entries = session.scalar(select(func.count()).select_from(AuditEntry)) or 0
    facts: dict[str, object] = {"kind": house.database.dialect, "entries": entries}
    return [Finding("database", "ok", "health-database-ok", facts)]


def _clock(house: House, now: datetime) -> list[Finding]:
    from records.models import AuditEntry

    with house.database.reading() as session:
        last = session.scalar(select(func.max(AuditEntry.at)))
    if last is not None and last > now + timedelta(seconds=2):
        facts: dict[str, object] = {"now": shown(now), "last": shown(last)}
        return [Finding("clock", "failed", "clock-behind", facts)]
    if not references(house.settings.clock_references):
        return [Finding("clock", "warning", "clock-unreferenced")]
    return [Finding("clock", "ok", "health-clock-ok", {"now": shown(now)})]


def _token(house: House, now: datetime) -> list[Finding]:
    del now
    house.token.check()
    facts: dict[str, object] = {"label": house.settings.token_label}
    return [Finding("token", "ok", "health-token-ok", facts)]


def examine_chain(house: House, now: datetime) -> list[Finding]:
    """The issuers are valid, and name the address that this instance serves."""
    issuers = house.authority.issuers()
    if not issuers:
        return [Finding("chain", "failed", "hierarchy-missing")]
    found: list[Finding] = []
    for issuer in issuers:
        found += _validity(issuer.name, issuer.certificate, now)
        named = _named_base_url(issuer.certificate)
        if named is not None and named != house.settings.base_url:
            facts: dict[str, object] = {"old": named, "new": house.settings.base_url}
            return [*found, Finding("chain", "failed", "setting-base-url-changed", facts)]
    for name, until in _responders_of_roots(house):
        if until <= now + _EXPIRES_SOON:
            facts = {"name": name, "until": shown(until)}
            found.append(Finding("chain", "warning", "health-ceremony-due", facts))
    return found or [Finding("chain", "ok", "health-chain-ok", {"count": len(issuers)})]


def _responders_of_roots(house: House) -> list[tuple[str, datetime]]:
    """The newest OCSP responder of each root: it is renewed in a ceremony, not by the schedule."""
    from cryptography import x509

    from ca.models import ServiceKeyRow

    roots = [one.name for one in house.authority.issuers() if one.key_id is None]
    wanted = (
        select(ServiceKeyRow)
        .where(ServiceKeyRow.profile == "ocsp", ServiceKeyRow.issuer.in_(roots))
        .order_by(ServiceKeyRow.created_at)
    )
    with house.database.reading() as session:
        newest = {row.issuer: row for row in session.scalars(wanted)}
    ends = [(row.name, x509.load_der_x509_certificate(row.certificate)) for row in newest.values()]
    return [(name, certificate.not_valid_after_utc) for name, certificate in ends]


def _validity(name: str, certificate: x509.Certificate, now: datetime) -> list[Finding]:
    until = certificate.not_valid_after_utc
    facts: dict[str, object] = {"name": name, "until": shown(until)}
    if now >= until:
        return [Finding("chain", "failed", "health-certificate-expired", facts)]
    if now + _EXPIRES_SOON >= until:
        return [Finding("chain", "warning", "health-certificate-expires", facts)]
    return []


def _named_base_url(certificate: x509.Certificate) -> str | None:
    """Where the certificate says that its issuer's CRL is; None for a root."""
    from cryptography import x509

    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return None
    for point in points:
        for name in point.full_name or ():
            return str(name.value).partition("/pki/")[0]
    return None


def _lists(house: House, now: datetime) -> list[Finding]:
    from cryptography import x509

    from ca.status import crl

    found: list[Finding] = []
    for issuer in house.authority.issuers():
        der = crl.current(house.authority, issuer.name)
        due = x509.load_der_x509_crl(der).next_update_utc if der else None
        facts: dict[str, object] = {"name": issuer.name, "until": shown(due) if due else "-"}
        if due is None or due <= now:
            code = "health-crl-stale-root" if issuer.key_id is None else "health-crl-stale"
            found.append(Finding("crl", "failed", code, facts))
        elif issuer.key_id is None and due <= now + _EXPIRES_SOON:
            found.append(Finding("crl", "warning", "health-ceremony-due", facts))
    return found or [Finding("crl", "ok", "health-crl-ok")]
