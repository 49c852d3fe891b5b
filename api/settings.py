"""How one instance is configured: the only reader of the environment.

    settings = Settings.from_environment(os.environ)

Secrets are never in the environment: they are files under ``{home}/secrets`` that only their
owner may read. Contradictory settings refuse to start, in plain words.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from api.time_references import readable
from records.errors import DomainError

DEFAULT_PORT = 8000
CSC_SPECS = ("2.0.0.2", "2.2.0.0")
KNOWN = frozenset(
    {
        "DAUSO_HOME",
        "DAUSO_DATABASE_URL",
        "DAUSO_BLOBS",
        "DAUSO_BASE_URL",
        "DAUSO_HOST",
        "DAUSO_PORT",
        "DAUSO_PKCS11_MODULE",
        "DAUSO_TOKEN_LABEL",
        "DAUSO_MAX_UPLOAD_MB",
        "DAUSO_RATE_PER_MINUTE",
        "DAUSO_CLOCK_REFERENCES",
        "DAUSO_CRL_SHARD_SIZE",
        "DAUSO_COPY_CAPTURE_DATA",
        "DAUSO_EST_CERTIFICATE_HEADER",
        "DAUSO_LOG_LEVEL",
        "DAUSO_CSC_SPECS",
        "DAUSO_REGISTRY_URL",
        "DAUSO_NOTICE_URL",
        "DAUSO_SSO_ISSUER",
        "DAUSO_SSO_CLIENT_ID",
        "DAUSO_SSO_NAME",
        "DAUSO_SSO_NUMBER_CLAIM",
        "DAUSO_NATIONAL_STORE_URL",
        "DAUSO_TRUST",
        "DAUSO_FETCH",
        "DAUSO_SMTP_URL",
        "DAUSO_MAIL_FROM",
        "DAUSO_PYTHON",  # the launcher's own
    }
)
OUTSIDE = (
    "DAUSO_REGISTRY_URL",
    "DAUSO_NOTICE_URL",
    "DAUSO_SSO_ISSUER",
    "DAUSO_NATIONAL_STORE_URL",
)
"""Addresses of other systems: https, or on this machine."""


class SettingsError(DomainError):
    """The settings contradict each other or name something that is not there."""


@dataclass(frozen=True)
class Settings:
    """One instance. ``pkcs11_module=None`` means the embedded SoftHSM token under ``home``."""

    home: Path
    database_url: str = field(repr=False)
    blobs: str
    base_url: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    pkcs11_module: Path | None = None
    token_label: str = "dauso"  # noqa: S105 – a label, not a secret
    max_upload_bytes: int = 100 * 1024 * 1024
    rate_per_minute: int = 6000
    log_level: str = "INFO"
    clock_references: tuple[str, ...] = ("auto",)
    # How many certificates share one list; 0 keeps one list per issuer.
    crl_shard_size: int = 10_000
    # Certified copies are PDF/A-3b with their capture's record attached, instead of PDF/A-2b.
    copy_capture_data: bool = False
    # How long the authority keeps the scans of a closed case; the copy itself is the citizen's.
    images_days: int = 365
    # The header in which a TLS proxy passes on the client's certificate; none when absent.
    est_certificate_header: str | None = None
    # What `info` of /csc/v2 announces: 2.0.0.2, or 2.2.0.0 with the fields of that version.
    csc_specs: str = "2.0.0.2"

    # The population registry that identities are checked with; none means they are not.
    registry_url: str | None = None
    # Anchors, intermediates and trusted lists believed beside our own (`ca.trust_file`).
    trust_file: Path | None = None
    # Whether AIA, OCSP and CRL addresses in certificates of others are asked (`guarded_fetch`).
    fetch: bool = False
    # Where notices go besides the mail spool (secrets/notice-webhook.secret signs them).
    notice_url: str | None = None
    # People may sign in through this OpenID Connect provider (secrets/sso-client.secret).
    sso_issuer: str | None = None
    sso_client_id: str = "dauso"
    sso_name: str = ""
    # The claim that holds the citizen number.
    sso_number_claim: str = "citizen_id"
    # The national store that new copies are passed on to (secrets/national-store.token).
    national_store_url: str | None = None
    # smtp://user@host:587 or smtps://…; without it mail waits in the spool (secrets/smtp.password).
    smtp_url: str | None = None
    mail_from: str = "Dấu Số <khong-tra-loi@dauso.invalid>"

    @property
    def embedded(self) -> bool:
        """Whether everything lives under ``home``: then a first run may create all of it."""
        return self.pkcs11_module is None

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read ``DAUSO_*``; raise SettingsError in words a person can act on."""
        given = os.environ if environment is None else environment
        values = {k: v.strip() for k, v in given.items() if k.startswith("DAUSO_") and v.strip()}
        home = Path(values.get("DAUSO_HOME", "var")).expanduser().absolute()
        host = values.get("DAUSO_HOST", "127.0.0.1")
        port = _number(values, "DAUSO_PORT", DEFAULT_PORT, 1, 65535)
        module = values.get("DAUSO_PKCS11_MODULE")
        return cls(
            home=home,
            database_url=values.get("DAUSO_DATABASE_URL", f"sqlite:///{home / 'dauso.sqlite'}"),
            blobs=values.get("DAUSO_BLOBS", str(home / "blobs")),
            base_url=values.get("DAUSO_BASE_URL", f"http://{_bracketed(host)}:{port}").rstrip("/"),
            host=host,
            port=port,
            pkcs11_module=Path(module) if module else None,
            token_label=values.get("DAUSO_TOKEN_LABEL", "dauso"),
            max_upload_bytes=_number(values, "DAUSO_MAX_UPLOAD_MB", 100, 1, 1024) * 1024 * 1024,
            rate_per_minute=_number(values, "DAUSO_RATE_PER_MINUTE", 6000, 1, 10_000_000),
            log_level=values.get("DAUSO_LOG_LEVEL", "INFO").upper(),
            clock_references=_listed(values.get("DAUSO_CLOCK_REFERENCES", "auto")),
            crl_shard_size=_number(values, "DAUSO_CRL_SHARD_SIZE", 10_000, 0, 1_000_000),
            images_days=_number(values, "DAUSO_IMAGES_DAYS", 365, 1, 36_500),
            copy_capture_data=values.get("DAUSO_COPY_CAPTURE_DATA", "off") == "on",
            est_certificate_header=values.get("DAUSO_EST_CERTIFICATE_HEADER"),
            csc_specs=values.get("DAUSO_CSC_SPECS", "2.0.0.2"),
            registry_url=values.get("DAUSO_REGISTRY_URL"),
            notice_url=values.get("DAUSO_NOTICE_URL"),
            trust_file=Path(values["DAUSO_TRUST"]) if "DAUSO_TRUST" in values else None,
            fetch=values.get("DAUSO_FETCH", "off") == "on",
            sso_issuer=values.get("DAUSO_SSO_ISSUER"),
            sso_client_id=values.get("DAUSO_SSO_CLIENT_ID", "dauso"),
            sso_name=values.get("DAUSO_SSO_NAME", "")[:60],
            sso_number_claim=values.get("DAUSO_SSO_NUMBER_CLAIM", "citizen_id"),
            national_store_url=values.get("DAUSO_NATIONAL_STORE_URL"),
            smtp_url=values.get("DAUSO_SMTP_URL"),
            mail_from=values.get("DAUSO_MAIL_FROM", cls.mail_from),
        ).checked(values)

    def checked(self, values: Mapping[str, str]) -> Settings:
        """Refuse what cannot be meant; ``values`` says what was set on purpose."""
        for name in sorted(values):
            if name.startswith("DAUSO_") and name not in KNOWN:
                raise SettingsError("setting-unknown", name=name)
        parts = urlsplit(self.base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise SettingsError("setting-base-url", value=self.base_url)
        if not _loopback(self.host) and "DAUSO_BASE_URL" not in values:
            # The address goes into every certificate and every QR: it must not be a guess.
            raise SettingsError("setting-base-url-missing", host=self.host)
        if not self.database_url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise SettingsError("setting-database-url", scheme=self.database_url.split(":", 1)[0])
        if urlsplit(self.database_url).password:
            raise SettingsError(
                "setting-database-password", path=self.secrets / "database.password"
            )
        if self.csc_specs not in CSC_SPECS:
            raise SettingsError(
                "setting-csc-specs", value=self.csc_specs, known=", ".join(CSC_SPECS)
            )
        for name in OUTSIDE:
            if name in values and not outside_address(values[name]):
                raise SettingsError("setting-outside-url", name=name)
        mail = urlsplit(self.smtp_url or "smtp://localhost")
        if mail.scheme not in {"smtp", "smtps"} or not mail.hostname or mail.password:
            raise SettingsError("setting-smtp-url", path=self.secrets / "smtp.password")
        if self.log_level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise SettingsError("setting-log-level", value=self.log_level)
        if self.trust_file is not None and not self.trust_file.is_file():
            raise SettingsError("setting-trust-file", path=self.trust_file)
        if values.get("DAUSO_FETCH", "off") not in {"on", "off"}:
            raise SettingsError("setting-fetch", value=values["DAUSO_FETCH"])
        if not readable(self.clock_references):
            given = values.get("DAUSO_CLOCK_REFERENCES", "")
            raise SettingsError("setting-clock-references", value=given)
        if self.pkcs11_module is not None:
            if not self.pkcs11_module.is_file():
                raise SettingsError("setting-module-absent", path=self.pkcs11_module)
            if "DAUSO_TOKEN_LABEL" not in values:
                raise SettingsError("setting-token-label-missing")
        return self


def outside_address(url: str) -> bool:
    """https, or http on this machine: what goes there names people."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and _loopback(parts.hostname or "")
    return bool(parts.hostname) and not parts.password and (parts.scheme == "https" or local)


def read_secret(path: Path) -> str:
    """The first line of an owner-only file. Raises SettingsError when others may read it."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise SettingsError("secret-absent", path=path) from error
    except (PermissionError, IsADirectoryError, UnicodeDecodeError) as error:
        raise SettingsError("secret-unreadable", path=path) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError("secret-open-to-others", path=path)
    return text.rstrip("\r\n")


def write_secret(path: Path, text: str) -> None:
    """Create the file for its owner alone, whole on disk before it counts; never overwrite."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _number(values: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = values.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise SettingsError("setting-number", name=name, value=text, low=low, high=high)
    return int(text)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
