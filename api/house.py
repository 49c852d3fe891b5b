"""One wired instance: what HTTP, the command line and the demo all work with.

    with House.open(Settings.from_environment(), now=now) as house:
        house.desk          # signing
        house.office        # certified copies

Parts are opened when first asked for: `dauso audit verify` needs no token, `dauso doctor` must
run when half of them are broken. A service calls `open`, which asks for all of them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import select
from sqlalchemy.engine import make_url

from api.settings import Settings, read_secret
from api.time_references import references
from records.blobs import BlobStore
from records.database import Database
from records.errors import DomainError

if TYPE_CHECKING:
    from api.adapters.guarded_fetch import GuardedFetch
    from api.trust_sources import TrustSources
    from ca.authority import Authority
    from ca.status.ocsp import Responder
    from ca.time.tsa import TimeStampAuthority
    from ca.trust import TrustStore
    from certify.office import Office
    from hsm.custody import Custody
    from hsm.token import Token, TokenSettings
    from signer.desk import Desk

# Below this, nothing that must not be lost is begun.
LEAST_FREE_BYTES = 64 * 1024 * 1024
IN_HAND = timedelta(minutes=10)
"""An intention younger than this may be another process's work; an older one is nobody's."""


class HouseError(DomainError):
    """The instance cannot be opened as it stands."""


class House:
    """The parts of one instance, each opened once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._at_work: int | None = None

    @classmethod
    def open(cls, settings: Settings, *, now: datetime, only_look: bool = False) -> House:
        """Everything wired and usable, or a DomainError that says what is missing.

        With `only_look` nothing that an interruption left open is cleared up: a check has to see
        it.

        Raises HouseError (`hierarchy-missing`, `home-open-to-others`, `disk-full`), SettingsError
        (secrets), HsmError (`token-absent`, …), RecordsError.
        """
        house = cls(settings)
        try:
            house.check_home()
            house.database.migrate()
            house.token.check()
            _ = house.trust_sources
            if not house.authority.issuers():
                raise HouseError("hierarchy-missing")
            if not only_look:
                house.enter(now=now)
        except BaseException:
            house.close()
            raise
        return house

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Log out of the token, close the connections. Safe to call twice."""
        opened = self.__dict__
        if "tsa" in opened:
            self.tsa.flush(now=datetime.now(UTC))
        if "token" in opened:
            self.token.close()
        if "database" in opened:
            self.database.dispose()
        if self._at_work is not None:
            os.close(self._at_work)
            self._at_work = None

    def enter(self, *, now: datetime) -> None:
        """Be known to be at work here, and clear up after an interruption.

        What is young may be another process's work in hand, and is let be; unless there is none:
        nobody else in this home, and the database a file in it.
        """
        path = self.settings.home / ".at-work.lock"
        self._at_work = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._at_work, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = self.database.dialect == "sqlite"
        except BlockingIOError:
            alone = False
        self.recover(now=now, older_than=timedelta(0) if alone else IN_HAND)
        fcntl.flock(self._at_work, fcntl.LOCK_SH)

    def recover(self, *, now: datetime, older_than: timedelta | None = None) -> None:
        """Finish or void what an interruption left open, room by room.

        Safe at any moment while others work: see `IN_HAND`.
        """
        from ca import issuance
        from certify.recovery import recover as recover_register
        from signer import signing
        from signer.holders import enrolment_intake, unfinished_enrolments

        by, age = "system:recovery", IN_HAND if older_than is None else older_than
        issuance.recover(self.authority, now, by, older_than=age)
        unfinished_enrolments.abandon(self.desk, now=now, by=by, older_than=age)
        enrolment_intake.abandon_unread(self.desk, now=now, by=by, older_than=age)
        signing.recover(self.desk, now=now, by=by, older_than=age)
        recover_register(self.office, now=now, by=by)

    # Parts -----------------------------------------------------------------------------------

    @cached_property
    def database(self) -> Database:
        """SQLite under the home, or PostgreSQL with its password from the secrets."""
        url = self.settings.database_url
        password = self.settings.secrets / "database.password"
        if url.startswith("postgresql") and password.exists():
            named = make_url(url).set(password=read_secret(password))
            url = named.render_as_string(hide_password=False)
        return Database(url)

    @cached_property
    def blobs(self) -> BlobStore:
        return BlobStore(self.settings.blobs)

    @cached_property
    def token_settings(self) -> TokenSettings:
        """How to open the service's token; the PIN comes from its owner-only file."""
        from hsm.token import TokenSettings  # needs the PKCS#11 binding

        pin = read_secret(self.settings.secrets / "token.pin")
        label = self.settings.token_label
        if self.settings.pkcs11_module is not None:
            return TokenSettings(module=self.settings.pkcs11_module, label=label, pin=pin)
        from hsm.softhsm import existing

        return existing(self.settings.home / "token", label=label, pin=pin)

    @cached_property
    def token(self) -> Token:
        from hsm.token import Token  # needs the PKCS#11 binding

        return Token.open(self.token_settings)

    @cached_property
    def authority(self) -> Authority:
        from ca.authority import Authority
        from ca.status.crl_contents import CrlPolicy

        size = self.settings.crl_shard_size
        return Authority(
            self.database,
            self.token,
            base_url=self.settings.base_url,
            crl_policy=CrlPolicy(shard_size=size or None),
        )

    @cached_property
    def responder(self) -> Responder:
        from ca.status.ocsp import Responder

        return Responder(self.authority)

    @cached_property
    def tsa(self) -> TimeStampAuthority:
        from ca.time.clock import ClockWatch
        from ca.time.tsa import TimeStampAuthority, TsaPolicy

        policy = TsaPolicy(log_aside=True)
        clock = ClockWatch(
            # Half of what is declared; the rest is for the way from the clock to the token.
            accuracy=policy.accuracy / 2,
            references=references(self.settings.clock_references),
            own_time=True,
        )
        return TimeStampAuthority(self.authority, policy, clock=clock)

    @cached_property
    def custody(self) -> Custody:
        from hsm.custody import Custody

        return Custody(self.token)

    @cached_property
    def fetcher(self) -> GuardedFetch | None:
        """Who asks the network for a verdict; None when that is switched off."""
        from api.adapters.guarded_fetch import GuardedFetch

        return GuardedFetch() if self.settings.fetch else None

    @cached_property
    def trust_sources(self) -> TrustSources:
        """The reviewed file of anchors and trusted lists, refused when it contradicts itself."""
        from api.trust_sources import TrustSources

        return TrustSources(self.settings.trust_file, self.fetcher)

    def believed(self, now: datetime) -> TrustStore:
        """Our own hierarchy, the configured anchors, and those of trusted lists at this moment."""
        return self.trust.and_also(self.trust_sources.store(now))

    @cached_property
    def trust(self) -> TrustStore:
        """Our own hierarchy from the tables: validating needs no token."""
        from ca.models import IssuerRow
        from ca.trust import TrustStore

        with self.database.reading() as session:
            rows = session.scalars(select(IssuerRow).order_by(IssuerRow.created_at)).all()
        roots = [row.certificate for row in rows if row.parent is None]
        others = [row.certificate for row in rows if row.parent is not None]
        return TrustStore(
            anchors=tuple(x509.load_der_x509_certificate(der) for der in roots),
            intermediates=tuple(x509.load_der_x509_certificate(der) for der in others),
        )

    def published_lists(self) -> list[bytes]:
        """Every issuer's current complete CRL, from the tables."""
        from ca.status.crl_scope import COMPLETE
        from ca.status.status_models import CrlRow, CrlState

        with self.database.reading() as session:
            wanted = select(CrlRow.issuer, CrlRow.der).where(
                CrlRow.scope == COMPLETE.name, CrlRow.state == CrlState.ISSUED.value
            )
            newest = {
                row.issuer: row.der for row in session.execute(wanted.order_by(CrlRow.number))
            }
        return [der for der in newest.values() if der is not None]

    @cached_property
    def desk(self) -> Desk:
        from signer.desk import Desk

        return Desk(
            database=self.database,
            blobs=self.blobs,
            authority=self.authority,
            custody=self.custody,
            responder=self.responder,
            tsa=self.tsa,
            trust=self.trust,
        )

    @cached_property
    def office(self) -> Office:
        from certify.office import Office

        return Office(
            desk=self.desk,
            database=self.database,
            blobs=self.blobs,
            base_url=self.settings.base_url,
            attach_capture_data=self.settings.copy_capture_data,
            ways=frozenset(
                {"mail"} | ({"national-store"} if self.settings.national_store_url else set())
            ),
        )

    @cached_property
    def is_test(self) -> bool:
        """Whether the hierarchy says of itself that it is a test: the pages then say so too."""
        from ca.names import display_name

        issuers = self.authority.issuers()
        return any("TEST" in display_name(one.certificate.subject) for one in issuers)

    def audit_public_keys(self) -> list[ec.EllipticCurvePublicKey | rsa.RSAPublicKey]:
        """Every key that has signed checkpoints, from the tables: no token is needed to verify."""
        from ca.models import ServiceKeyRow

        with self.database.reading() as session:
            query = select(ServiceKeyRow.certificate).where(ServiceKeyRow.profile == "audit")
            found = [x509.load_der_x509_certificate(der) for der in session.scalars(query)]
        keys = [certificate.public_key() for certificate in found]
        return [
            key for key in keys if isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        ]

    # Checks ----------------------------------------------------------------------------------

    def check_home(self) -> None:
        """The data directory is the owner's alone and has room."""
        home = self.settings.home
        if not home.is_dir():
            raise HouseError("home-missing", home=home)
        if home.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise HouseError("home-open-to-others", home=home)
        if shutil.disk_usage(home).free < LEAST_FREE_BYTES:
            raise HouseError("disk-full", place=home)


@contextmanager
def opened(settings: Settings, *, now: datetime) -> Iterator[House]:
    """`with opened(settings, now=now) as house:` closes it whatever happens."""
    with House.open(settings, now=now) as house:
        yield house


def default_plan() -> Path:
    """The ceremony plan that the embedded default follows on its first run."""
    return Path(__file__).parent.parent / "ca" / "plans" / "province.yaml"
