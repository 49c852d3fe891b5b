"""A unit's key for QR codes: P-256, on the token, certified, and published for everybody.

    sealed = seal_for(office, claims, now=now, by=by)
    published(database)                # what /.well-known/dauso-copy-keys.json serves

Why not the unit's seal key: it may be RSA (256 octets of signature are a QR code nobody can scan),
and it opens with a PIN for documents only. This key signs nothing but QR codes; its certificate
says so (docs/decisions/0402). It is made when a unit certifies for the first time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select

from ca import issuance
from ca.models import CertificateRow, CertificateStatus, IssuerRow, serial_text
from ca.names import Subject
from ca.profiles import COPY_CODE
from certify.errors import CertifyError
from certify.office import Office
from certify.pages import code_seal
from certify.pages.code_models import CodeKeyRow
from certify.pages.code_seal import KEY_ID_BYTES, Claims, Sealed
from certify.units import unit as find_unit
from hsm.custody import WrappedKey
from hsm.mechanisms import KeyAlgorithm
from hsm.private_key import TokenEcPrivateKey
from hsm.public_key import load_public_key
from records.database import Database

_FOLLOWED_BEFORE = timedelta(days=30)
_HELD = timedelta(minutes=10)


@dataclass(frozen=True)
class PublishedKey:
    """A key as anybody may know it. `revoked` keys stay listed: their codes must be refused."""

    key_id: str
    unit: str
    unit_name: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    revoked: bool

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        key = self.certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise CertifyError("qr-key-wrong", key=self.key_id)
        return key

    def to_json(self) -> dict[str, object]:
        """As published: the chain as in RFC 7515 `x5c`, the point as in RFC 7518 `x`, `y`."""
        numbers = self.public_key.public_numbers()
        certificates = (self.certificate, *self.chain)
        return {
            "kid": self.key_id,
            "unit": self.unit,
            "unit_name": self.unit_name,
            "kty": "EC",
            "crv": "P-256",
            "alg": "ES256",
            "use": "sig",
            "x": _base64url(numbers.x.to_bytes(32)),
            "y": _base64url(numbers.y.to_bytes(32)),
            "not_before": self.certificate.not_valid_before_utc.date().isoformat(),
            "not_after": self.certificate.not_valid_after_utc.date().isoformat(),
            "revoked": self.revoked,
            "x5c": [
                base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in certificates
            ],
        }


def seal_for(office: Office, claims: Claims, *, now: datetime, by: str) -> bytes:
    """The signed payload under the unit's newest key; made and certified when there is none."""
    row = _current(office, claims.unit, now=now) or _made(office, claims.unit, now=now, by=by)
    wrapped = WrappedKey(row.wrapped, KeyAlgorithm.P_256, _spki(row.certificate))
    key = office.desk.custody.kept(wrapped, handle=f"qr:{row.key_id}", until=now + _HELD, now=now)
    if not isinstance(key, TokenEcPrivateKey):
        raise CertifyError("qr-key-wrong", key=row.key_id)
    signer = key
    sealed = code_seal.seal(
        claims,
        bytes.fromhex(row.key_id),
        lambda data: signer.sign(data, ec.ECDSA(hashes.SHA256())),
    )
    if not code_seal.read(sealed).verify(signer.public_key()):
        raise CertifyError("qr-key-wrong", key=row.key_id)
    return sealed


def published(database: Database) -> list[PublishedKey]:
    """Every key there has been, oldest first; from the tables, so that no token is needed."""
    with database.reading() as session:
        rows = session.execute(
            select(CodeKeyRow, CertificateRow.status, CertificateRow.issuer)
            .join(CertificateRow, CertificateRow.serial == CodeKeyRow.serial)
            .order_by(CodeKeyRow.created_at, CodeKeyRow.key_id)
        ).all()
        issuers = {one.name: one for one in session.scalars(select(IssuerRow))}
    return [
        PublishedKey(
            key_id=row.key_id,
            unit=row.unit,
            unit_name=find_unit(row.unit).committee,
            certificate=x509.load_der_x509_certificate(row.certificate),
            chain=tuple(_path(issuers, issuer)),
            revoked=status != CertificateStatus.GOOD.value,
        )
        for row, status, issuer in rows
    ]


def _path(issuers: Mapping[str, IssuerRow], name: str | None) -> Iterator[x509.Certificate]:
    while name is not None:
        yield x509.load_der_x509_certificate(issuers[name].certificate)
        name = issuers[name].parent


def who_signed(sealed: Sealed, keys: Iterable[PublishedKey]) -> PublishedKey:
    """The published key behind a payload.

    The day the copy was certified must lie in the certificate's life, and the unit must be the
    certificate's. Raises `CertifyError`: `qr-key-unknown`, `qr-signature-wrong`, `qr-key-revoked`.
    """
    wanted = sealed.key_id.hex()
    key = next((one for one in keys if one.key_id == wanted), None)
    if key is None or key.unit != sealed.claims.unit:
        raise CertifyError("qr-key-unknown", key=wanted)
    if not sealed.verify(key.public_key):
        raise CertifyError("qr-signature-wrong")
    first = key.certificate.not_valid_before_utc.date() - timedelta(days=1)
    if not first <= sealed.claims.day <= key.certificate.not_valid_after_utc.date():
        raise CertifyError("qr-signature-wrong")
    if key.revoked:
        raise CertifyError("qr-key-revoked", key=wanted)
    return key


def from_json(listed: object, anchors: Iterable[x509.Certificate]) -> list[PublishedKey]:
    """Keys from a published list, each only if its chain leads to one of `anchors`.

    Raises `CertifyError` `qr-keys-malformed` for what is no such list.
    """
    trusted = list(anchors)
    found = []
    try:
        keys = listed["keys"]  # type: ignore[index]  # a wrong shape ends in the except
        for one in keys:
            chain = [x509.load_der_x509_certificate(base64.b64decode(der)) for der in one["x5c"]]
            if not _leads_to(chain, trusted) or _key_id(chain[0]) != one["kid"]:
                continue
            name = Subject.from_x509(chain[0].subject)
            found.append(
                PublishedKey(
                    key_id=one["kid"],
                    unit=name.organizational_units[0],
                    unit_name=name.organization or name.common_name,
                    certificate=chain[0],
                    chain=tuple(chain[1:]),
                    revoked=bool(one["revoked"]),
                )
            )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CertifyError("qr-keys-malformed") from error
    return found


def _leads_to(chain: list[x509.Certificate], anchors: list[x509.Certificate]) -> bool:
    """Each certificate is signed by the next one, the last is or is signed by an anchor."""
    if COPY_CODE not in _usages(chain[0]):
        return False
    try:
        for one, issuer in pairwise(chain):
            one.verify_directly_issued_by(issuer)
            if not issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                return False
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    for anchor in anchors:
        if chain[-1] == anchor:
            return True
        try:
            chain[-1].verify_directly_issued_by(anchor)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return True
    return False


def _usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)


def _current(office: Office, unit: str, *, now: datetime) -> CodeKeyRow | None:
    with office.database.reading() as session:
        return session.scalars(
            select(CodeKeyRow)
            .join(CertificateRow, CertificateRow.serial == CodeKeyRow.serial)
            .where(
                CodeKeyRow.unit == unit,
                CodeKeyRow.ends_at > now + _FOLLOWED_BEFORE,
                CertificateRow.status == CertificateStatus.GOOD.value,
            )
            .order_by(CodeKeyRow.created_at, CodeKeyRow.key_id)
            .limit(1)
        ).one_or_none()


def _made(office: Office, unit: str, *, now: datetime, by: str) -> CodeKeyRow:
    found = find_unit(unit)
    wrapped = office.desk.custody.generate(KeyAlgorithm.P_256)
    certificate = issuance.issue(
        office.desk.authority,
        profile="copy-code",
        subject=Subject(
            common_name=f"Mã QR bản sao chứng thực – {found.name}",
            organization=found.committee,
            organizational_units=(unit,),
        ),
        public_key=load_public_key(wrapped.public_key),
        now=now,
        by=by,
    )
    row = CodeKeyRow(
        key_id=_key_id(certificate),
        unit=unit,
        certificate=certificate.public_bytes(Encoding.DER),
        wrapped=wrapped.blob,
        serial=serial_text(certificate.serial_number),
        created_at=now,
        ends_at=certificate.not_valid_after_utc,
    )
    with office.database.transaction() as session:
        session.add(row)
    return row


def _key_id(certificate: x509.Certificate) -> str:
    """The first octets of the certificate's SHA-256, as health certificates name their signers."""
    der = certificate.public_bytes(Encoding.DER)
    return hashlib.sha256(der).digest()[:KEY_ID_BYTES].hex()


def _spki(certificate: bytes) -> bytes:
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
