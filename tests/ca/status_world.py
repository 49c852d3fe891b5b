"""A small authority for the tests of CRLs, OCSP and time-stamps: real tables, keys in software.

The real `Authority` reads the real rows; only the token is a stand-in that finds software keys by
their CKA_ID, so that these tests ask about encodings and rules and not about PKCS#11.
"""

from __future__ import annotations

import functools
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ca.authority import Authority
from ca.models import CertificateRow, IssuerRow, ServiceKeyRow, serial_text
from ca.status import crl, status_changes
from ca.status.crl_contents import CrlPolicy
from records.database import Database

ISSUER = "persons-g1"
BASE_URL = "http://ca.test"
BY = "official:038800000001"
Reason = x509.ReasonFlags


@functools.cache
def key(name: str) -> Any:
    """One key per name for the whole run. `ocsp-ec`, `tsa-ec`: P-256; anything else RSA-2048."""
    if name.endswith("-ec"):
        return ec.generate_private_key(ec.SECP256R1())
    if name.endswith("-p384"):
        return ec.generate_private_key(ec.SECP384R1())
    return rsa.generate_private_key(65537, 2048)


class SoftwareToken:
    """Keys by CKA_ID; `broken` makes it refuse, as a token that was pulled."""

    def __init__(self) -> None:
        self.broken: Exception | None = None

    def key(self, key_id: bytes) -> Any:
        if self.broken is not None:
            raise self.broken
        return key(key_id.decode())


def name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "UBND TỈNH THANH HÓA (TEST)"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def certificate(
    subject: str,
    public_key: Any,
    issuer: x509.Certificate | None,
    issuer_key: Any,
    now: datetime,
    *,
    serial: int | None = None,
    ca: bool = False,
    usage: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer.subject if issuer else name(subject))
        .public_key(public_key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=1800))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True
        )
    )
    if issuer is not None:
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()),  # type: ignore[arg-type]  # RSA here
            critical=False,
        )
    if usage is not None:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([usage]), critical=usage == ExtendedKeyUsageOID.TIME_STAMPING
        )
    if usage == ExtendedKeyUsageOID.OCSP_SIGNING:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@functools.cache
def authorities(
    issuer_key: str, ocsp_key: str, tsa_key: str, now: datetime
) -> tuple[x509.Certificate, x509.Certificate, x509.Certificate, x509.Certificate]:
    """Root, issuer, responder and time-stamp unit: the same ones for every test of one kind, so
    that the shapes of what they sign are linted once."""
    root, signer = key("root"), key(issuer_key)
    above = certificate("TEST Root", root.public_key(), None, root, now, ca=True)
    issuer = certificate("TEST Persons G1", signer.public_key(), above, root, now, ca=True)
    services = (
        ("TEST OCSP", ocsp_key, ExtendedKeyUsageOID.OCSP_SIGNING),
        ("TEST TSA", tsa_key, ExtendedKeyUsageOID.TIME_STAMPING),
    )
    ocsp, tsa = (
        certificate(subject, key(its).public_key(), issuer, signer, now, usage=usage)
        for subject, its, usage in services
    )
    return above, issuer, ocsp, tsa


@dataclass
class StatusWorld:
    """One issuing CA with its responder and time-stamp unit."""

    database: Database
    now: datetime
    issuer_key: str = "issuer"
    ocsp_key: str = "ocsp-ec"
    tsa_key: str = "tsa-ec"
    token: SoftwareToken = field(default_factory=SoftwareToken)

    def __post_init__(self) -> None:
        now = self.now
        self.root, self.issuer, self.ocsp, self.tsa = authorities(
            self.issuer_key, self.ocsp_key, self.tsa_key, now
        )
        with self.database.transaction() as session:
            for row_name, parent, its, key_id in (
                ("root", None, self.root, None),
                (ISSUER, "root", self.issuer, self.issuer_key.encode()),
            ):
                session.add(
                    IssuerRow(
                        name=row_name,
                        parent=parent,
                        profiles=["official"],
                        certificate=its.public_bytes(Encoding.DER),
                        subject_key=b"\0" * 20,
                        key_id=key_id,
                        created_at=now,
                    )
                )
            session.flush()
            for row_name, profile, its, key_id in (
                (f"ocsp-{ISSUER}", "ocsp", self.ocsp, self.ocsp_key.encode()),
                ("tsa", "tsa", self.tsa, self.tsa_key.encode()),
            ):
                session.add(
                    ServiceKeyRow(
                        name=row_name,
                        profile=profile,
                        issuer=ISSUER,
                        certificate=its.public_bytes(Encoding.DER),
                        key_id=key_id,
                        created_at=now,
                    )
                )
        self.authority = self.another_process()

    def another_process(self) -> Authority:
        """An authority over the same tables that has seen nothing yet."""
        return Authority(self.database, self.token, base_url=BASE_URL)  # type: ignore[arg-type]  # the stand-in

    def issue(self, serial: int | None = None, *, shard: int | None = None) -> x509.Certificate:
        holder = key("holder-ec")
        made = certificate(
            "Lê Văn Thử", holder.public_key(), self.issuer, key(self.issuer_key), self.now,
            serial=serial,
        )  # fmt: skip
        with self.database.transaction() as session:
            session.add(
                CertificateRow(
                    serial=serial_text(made.serial_number),
                    issuer=ISSUER,
                    profile="official",
                    subject="Lê Văn Thử",
                    der=made.public_bytes(Encoding.DER),
                    not_before=self.now,
                    not_after=self.now + timedelta(days=1800),
                    spki_sha256=b"\0" * 32,
                    issued_at=self.now,
                    issued_by=BY,
                    crl_shard=shard,
                )
            )
        return made

    def change(
        self,
        serial: int,
        reason: x509.ReasonFlags | None = Reason.cessation_of_operation,
        *,
        now: datetime | None = None,
        shard: int | None = None,
        publish: bool = True,
        policy: CrlPolicy | None = None,
        **more: Any,
    ) -> None:
        """What revocation does to the status of a certificate."""
        now = now or self.now
        with self.database.transaction() as session:
            status_changes.append(
                session,
                issuer=ISSUER,
                serial=serial,
                reason=reason,
                revoked_at=now,
                now=now,
                shard=shard,
                **more,
            )
        if publish:
            crl.publish_after_change(
                self.authority, ISSUER, shard=shard, now=now, by=BY, policy=policy
            )

    def pem(self, directory: Path) -> dict[str, str]:
        """Files for OpenSSL and GnuTLS."""
        files = {}
        for label, its in (
            ("root", [self.root]),
            ("issuer", [self.issuer]),
            ("chain", [self.issuer, self.root]),
            ("ocsp", [self.ocsp]),
            ("tsa", [self.tsa]),
        ):
            path = directory / f"{label}.pem"
            path.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in its))
            files[label] = str(path)
        return files


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A peer's program; the outcome is judged by the test."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
