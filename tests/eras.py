"""Decades in a test: a software hierarchy whose time-stamp units come and go as the years pass.

    eras = Eras(database, blobs)
    desk = eras.desk                     # what signing and renewing need
    augment(desk, data, to=Level.B_LTA, now=in_2033, by=BY)

One root for forty years; an issuing CA every eight, a time-stamp unit every four, each with a new
key. Status is asked of whoever is in office at that moment. Nothing here needs a token.
"""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from ca import der, signature_algorithms
from ca.errors import CaError
from ca.time.tst_encoding import Imprint, TokenTemplate
from ca.trust import TrustStore
from records.blobs import BlobStore
from records.database import Database
from signer.cms import CmsTemplate
from signer.levels import Level
from signer.pdf.document import Document
from signer.pdf.dss import RevocationShelf
from signer.pdf.original import DEFAULT_LIMITS, Original
from signer.pdf.revision import Appender
from signer.signature import Pen, SignatureRequest, place_signature
from signer.verdicts.policy import Policy, load_policy
from tests.signed_samples import plain_pdf
from tests.small_pki import SIGNED_AT, Party, issue

SHA384 = hashes.SHA384()
YEAR = dt.timedelta(days=365)
_POLICY = "1.3.6.1.4.1.99999.1"


@functools.cache
def _key(_name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


@functools.cache
def patient_policy(sha256_until: int = 2060) -> Policy:
    """Today's policy with dates as far off as the story needs; SHA-256 ends when it says."""
    far = dt.datetime(2060, 1, 1, tzinfo=dt.UTC)
    digests = dict.fromkeys(load_policy().digests, far)
    digests["sha256"] = dt.datetime(sha256_until, 1, 1, tzinfo=dt.UTC)
    return replace(
        load_policy(), digests=digests, keys={"rsa": ((2048, far),), "ec": ((256, far),)}
    )


@dataclass
class Eras:
    """Who certifies, stamps and answers at any moment from 2026 to 2060."""

    database: Database
    blobs: BlobStore
    stamped: int = 0

    def __post_init__(self) -> None:
        self.root = issue(
            "ERAS Long Root", _key("eras-root"), None, ca=True,
            not_before=SIGNED_AT - YEAR, digest=SHA384, not_after=SIGNED_AT + 40 * YEAR,
        )  # fmt: skip
        self._issuing: dict[int, Party] = {}
        self._units: dict[int, Party] = {}
        self._responders: dict[tuple[int, int], Party] = {}
        self.unit(SIGNED_AT)

    @property
    def trust(self) -> TrustStore:
        return TrustStore((self.root.certificate,))

    @functools.cached_property
    def desk(self) -> Any:
        return SimpleNamespace(
            database=self.database,
            blobs=self.blobs,
            tsa=self,
            responder=self,
            authority=SimpleNamespace(chain=self.chain_of),
            trust=self.trust,
            limits=DEFAULT_LIMITS,
            revocation=RevocationShelf(),
        )

    # -- the time-stamp authority --------------------------------------------------------

    def unit(self, now: dt.datetime) -> Party:
        number = (now - SIGNED_AT) // (4 * YEAR)
        if number not in self._units:
            begin = SIGNED_AT + number * 4 * YEAR - dt.timedelta(days=2)
            self._units[number] = issue(
                f"ERAS TSA {number}", _key(f"eras-tsa-{number}"), self.issuing(now),
                purposes=(ExtendedKeyUsageOID.TIME_STAMPING,), key_usage=("digital_signature",),
                not_before=begin, digest=SHA384, not_after=begin + 5 * YEAR,
            )  # fmt: skip
        return self._units[number]

    def units(self, *, now: dt.datetime) -> list[x509.Certificate]:
        self.unit(now)
        found = [one.certificate for one in self._units.values()]
        return [one for one in found if one.not_valid_after_utc > now]

    @property
    def certificate(self) -> x509.Certificate:
        return self._units[max(self._units)].certificate

    @property
    def chain(self) -> list[x509.Certificate]:
        return self._units[max(self._units)].chain()[1:]

    def stamp(self, digest: bytes, algorithm: str = "sha256", *, now: dt.datetime) -> bytes:
        unit = self.unit(now)
        template = TokenTemplate.of(
            unit.certificate, unit.chain()[1:], policy=_POLICY, accuracy=dt.timedelta(seconds=1)
        )
        self.stamped += 1
        imprint = Imprint.of(algorithm, digest)
        info = template.tst_info(imprint, serial=self.stamped, gen_time=now, nonce=None)
        attributes = template.signed_attributes(info)
        signed = der.tlv(der.SET, attributes)
        signature = signature_algorithms.sign(unit.key, signed, template.digest)
        return template.token(info, attributes, signature, with_certificates=True)

    # -- a document ----------------------------------------------------------------------

    def signed(self, now: dt.datetime, text: str = "Quyet dinh so 12/QD-UBND") -> bytes:
        """A decision signed at level B-T by an official with a certificate of five years."""
        official = issue(
            "Nguyễn Thị Mẫu", _key("eras-official"), self.issuing(now),
            not_before=now - dt.timedelta(days=1), digest=SHA384, not_after=now + 5 * YEAR,
        )  # fmt: skip
        template = CmsTemplate(official.certificate, official.chain()[1:])
        with Document.open(Original.of(plain_pdf(text=text))) as document:
            appender = Appender(document)
            request = SignatureRequest(level=Level.B_T)
            key: Any = official.key  # a software key behaves like a token's
            pen = Pen(template, key, "Nguyễn Thị Mẫu")
            place_signature(appender, pen, request, stamp=None, time_stamper=self, now=now)
            return appender.whole()

    # -- the authority and its responders ------------------------------------------------

    def issuing(self, now: dt.datetime) -> Party:
        number = (now - SIGNED_AT) // (8 * YEAR)
        if number not in self._issuing:
            begin = SIGNED_AT + number * 8 * YEAR - dt.timedelta(days=3)
            self._issuing[number] = issue(
                f"ERAS Issuing {number}", _key(f"eras-issuing-{number}"), self.root,
                ca=True, not_before=begin, digest=SHA384, not_after=begin + 14 * YEAR,
            )  # fmt: skip
        return self._issuing[number]

    def chain_of(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        for issuer in self._issuing.values():
            if issuer.certificate.subject == certificate.issuer:
                return issuer.chain()
        raise CaError("certificate-foreign", subject="?")

    def answer(self, certificate: x509.Certificate, *, now: dt.datetime) -> bytes:
        if certificate.issuer == self.root.certificate.subject:
            issuer = self.root
        else:
            found = self._issuing.values()
            issuer = next(one for one in found if one.certificate.subject == certificate.issuer)
        key = (id(issuer), now.year)
        if key not in self._responders:
            self._responders[key] = issue(
                f"ERAS OCSP {now.year}", _key("eras-ocsp"), issuer,
                purposes=(ExtendedKeyUsageOID.OCSP_SIGNING,), key_usage=("digital_signature",),
                not_before=now - dt.timedelta(days=400), digest=SHA384, not_after=now + YEAR,
                extra=((x509.OCSPNoCheck(), False),),
            )  # fmt: skip
        responder = self._responders[key]
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=certificate,
                issuer=issuer.certificate,
                algorithm=hashes.SHA256(),
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=now,
                next_update=now + dt.timedelta(hours=4),
                revocation_time=None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
            .certificates([responder.certificate])
            .sign(responder.key, SHA384)
        )
        return response.public_bytes(Encoding.DER)

    def fresh(self, now: dt.datetime) -> list[bytes]:
        """What a validator would hold at that moment about the unit in office."""
        unit = self.unit(now)
        assert unit.issuer is not None
        return [
            self.answer(unit.certificate, now=now),
            self.answer(unit.issuer.certificate, now=now),
        ]
