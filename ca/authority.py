"""The running certificate authority: which issuers there are, and where their keys live.

    authority = Authority(database, token, base_url="https://ca.example")
    authority.issuer_for("official").certificate_url

It holds no root key and cannot reach one. What a ceremony adds to the tables is seen after
`refresh()`, which `issuer` calls by itself when a name is not known yet.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from sqlalchemy import select

from ca.errors import UNREADABLE, CaError, CertificateUnknown
from ca.issuer import Issuer, ServiceKey
from ca.models import CertificateRow, CertificateStatus, IssuerRow, ServiceKeyRow, serial_text
from ca.names import display_name
from ca.status.crl_contents import POLICY, CrlPolicy
from ca.status.crl_shards import Places
from ca.status.revoked import RevokedLists
from hsm.private_key import PrivateKey
from hsm.token import Token
from records.database import Database


@dataclass(frozen=True)
class CertificateRecord:
    """A certificate as the tables know it, with its status now."""

    serial: int
    issuer: str
    profile: str
    certificate: x509.Certificate
    status: CertificateStatus
    issued_at: datetime
    issued_by: str
    revoked_at: datetime | None = None
    reason: str | None = None
    invalidity_date: datetime | None = None
    crl_shard: int | None = None

    @property
    def subject(self) -> str:
        return display_name(self.certificate.subject)


class Authority:
    """Database, service token and public address, wired once per process."""

    def __init__(
        self,
        database: Database,
        token: Token,
        *,
        base_url: str,
        crl_policy: CrlPolicy = POLICY,
    ) -> None:
        """`base_url` has no path and no closing slash; it stands in every certificate."""
        self.database = database
        self.token = token
        self.base_url = base_url.rstrip("/")
        self.crl_policy = crl_policy
        self.places = Places()
        self.revoked = RevokedLists()
        self._issuers: dict[str, Issuer] = {}
        self._services: dict[str, _Service] = {}
        self._keys: dict[bytes, PrivateKey] = {}
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Read issuers and service keys anew, as after a ceremony."""
        with self.database.reading() as session:
            issuer_rows = session.scalars(select(IssuerRow).order_by(IssuerRow.created_at)).all()
            service_rows = session.scalars(
                select(ServiceKeyRow).order_by(ServiceKeyRow.created_at)
            ).all()
        issuers = {row.name: _issuer(row, self.base_url) for row in issuer_rows}
        services = {row.name: _service(row) for row in service_rows}
        with self._lock:
            self._issuers, self._services = issuers, services

    def issuer(self, name: str) -> Issuer:
        """The issuer of this name; `issuer-unknown` when there is none."""
        if name not in self._issuers:
            self.refresh()
        try:
            return self._issuers[name]
        except KeyError:
            raise CaError("issuer-unknown", name=name) from None

    def issuers(self) -> list[Issuer]:
        """All of them, root first, retired ones included: their CRLs are still served."""
        if not self._issuers:
            self.refresh()
        return list(self._issuers.values())

    def issuer_for(self, profile: str) -> Issuer:
        """The newest active issuer of a kind of certificate."""
        able = [
            issuer
            for issuer in self.issuers()
            if issuer.active and issuer.key_id is not None and profile in issuer.profiles
        ]
        if not able:
            raise CaError("issuer-missing", profile=profile)
        return max(able, key=lambda issuer: issuer.generation)

    def issuer_of(self, certificate: x509.Certificate) -> Issuer | None:
        """Who of ours signed this certificate, or None for a stranger's."""
        for issuer in self.issuers():
            if issuer.certificate.subject == certificate.issuer:
                try:
                    certificate.verify_directly_issued_by(issuer.certificate)
                except (InvalidSignature, *UNREADABLE):
                    continue
                return issuer
        return None

    def chain(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        """From the issuing CA up to the root, without the certificate itself."""
        issuer = self.issuer_of(certificate)
        if issuer is None:
            raise CaError("certificate-foreign", subject=display_name(certificate.subject))
        if issuer.certificate == certificate:
            return []
        return list(self._path(issuer.name))

    def certificate(self, serial: int) -> CertificateRecord:
        """The certificate with this serial; `CertificateUnknown` when none was issued."""
        with self.database.reading() as session:
            row = session.get(CertificateRow, serial_text(serial))
        if row is None:
            raise CertificateUnknown("certificate-unknown", serial=serial_text(serial))
        return CertificateRecord(
            serial=serial,
            issuer=row.issuer,
            profile=row.profile,
            certificate=x509.load_der_x509_certificate(row.der),
            status=CertificateStatus(row.status),
            issued_at=row.issued_at,
            issued_by=row.issued_by,
            revoked_at=row.revoked_at,
            reason=row.reason,
            invalidity_date=row.invalidity_date,
            crl_shard=row.crl_shard,
        )

    def service(self, name: str) -> ServiceKey:
        """The newest key of a profile (`tsa`, `audit`), or of an issuer's OCSP (`ocsp-root`).

        A key that was followed by another is found by its own name (`tsa-g1`).
        """
        found = self._find_service(name)
        if found is None:
            self.refresh()
            found = self._find_service(name)
        if found is None:
            raise CaError("service-key-missing", name=name)
        return ServiceKey(
            name=found.name,
            profile=found.profile,
            issuer=found.issuer,
            certificate=found.certificate,
            chain=tuple(self._path(found.issuer)),
            key=self.key(found.key_id),
        )

    def key(self, owner: Issuer | bytes) -> PrivateKey:
        """The resident key of an issuer, or of a CKA_ID. The root's is not here."""
        key_id = owner.key_id if isinstance(owner, Issuer) else owner
        if key_id is None:
            raise CaError("root-is-offline")
        if key_id not in self._keys:
            self._keys[key_id] = self.token.key(key_id)
        return self._keys[key_id]

    def _find_service(self, name: str) -> _Service | None:
        active = [one for one in self._services.values() if one.active]
        issuer = name.removeprefix("ocsp-")
        wanted = [one for one in active if one.profile == name] or [
            one for one in active if one.profile == "ocsp" and one.issuer == issuer != name
        ]
        return wanted[-1] if wanted else self._services.get(name)

    def _path(self, name: str) -> list[x509.Certificate]:
        path: list[x509.Certificate] = []
        parent: str | None = name
        while parent is not None:
            issuer = self.issuer(parent)
            path.append(issuer.certificate)
            parent = issuer.parent
        return path


@dataclass(frozen=True)
class _Service:
    name: str
    profile: str
    issuer: str
    certificate: x509.Certificate
    key_id: bytes
    active: bool


def _service(row: ServiceKeyRow) -> _Service:
    certificate = x509.load_der_x509_certificate(row.certificate)
    return _Service(row.name, row.profile, row.issuer, certificate, row.key_id, row.active)


def _issuer(row: IssuerRow, base_url: str) -> Issuer:
    return Issuer(
        name=row.name,
        certificate=x509.load_der_x509_certificate(row.certificate),
        parent=row.parent,
        key_id=row.key_id,
        profiles=tuple(row.profiles),
        base_url=base_url,
        generation=row.generation,
        active=row.active,
    )
