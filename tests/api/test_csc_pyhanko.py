"""pyHanko's CSC client, which nobody here wrote, against the live server.

uvicorn runs the application in a thread on a port of this machine; pyHanko speaks to it as to any
other provider, and the signed PDF is judged by pyHanko's validator and by ours.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from asn1crypto import x509 as asn1_x509
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.csc_signer import (
    CSCAuthorizationInfo,
    CSCAuthorizationManager,
    CSCServiceSessionInfo,
    CSCSigner,
    PrefetchedSADAuthorizationManager,
    fetch_certs_in_csc_credential,
)
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from hsm.mechanisms import KeyAlgorithm
from signer.verdicts.validation import validate
from tests.api.conftest import ONLY_SQLITE
from tests.api.csc_client import App, code_sent
from tests.api.csc_client import quick_keys as quick_keys  # fixtures
from tests.api.csc_live import Live
from tests.api.csc_live import live as live
from tests.certify.town_hall import DEMO, PIN, SEAL_PIN, TownHall, town_hall

pytestmark = ONLY_SQLITE
DECISION = (DEMO / "decision.pdf").read_bytes()


@pytest.fixture(params=[KeyAlgorithm.RSA_2048, KeyAlgorithm.P_256])
def hall(live: Live, quick_keys: None, request: pytest.FixtureRequest) -> TownHall:
    return town_hall(live.service.world, request.param)


class PinManager(CSCAuthorizationManager):
    """As pyHanko's documentation has it: a SAD for the hashes that are to be signed (SCAL2)."""

    def __init__(
        self, session: aiohttp.ClientSession, *args: Any, pin: str, otp: str | None = None
    ):
        super().__init__(*args)
        self._session, self._pin, self._otp = session, pin, otp

    async def authorize_signature(self, hash_b64s: list[str]) -> CSCAuthorizationInfo:
        asked = self.format_csc_auth_request(hash_b64s=hash_b64s, pin=self._pin, otp=self._otp)
        url = self.csc_session_info.endpoint_url("credentials/authorize")
        async with self._session.post(url, headers=self.auth_headers, json=asked) as answer:
            body = await answer.json()
            if answer.status != 200:
                raise SigningError(body["error"])
            return self.parse_csc_auth_response(body)


def judged(data: bytes, live: Live) -> None:
    """Valid for pyHanko and for us."""
    reader = PdfFileReader(io.BytesIO(data))
    issuers = live.service.house.authority.issuers()
    from cryptography.hazmat.primitives.serialization import Encoding

    known = [
        asn1_x509.Certificate.load(one.certificate.public_bytes(Encoding.DER)) for one in issuers
    ]
    roots = [one for one in known if one.self_signed != "no"]
    context = ValidationContext(trust_roots=roots, other_certs=known, allow_fetching=False)
    for signature in reader.embedded_signatures:
        status = validate_pdf_signature(signature, signer_validation_context=context)
        assert status.valid
        assert status.intact
    house = live.service.house
    report = validate(
        data, trust=house.trust, now=datetime.now(UTC), revocation=house.published_lists()
    )
    assert all(one.sub_indication != "SIG_CRYPTO_FAILURE" for one in report.signatures)
    assert len(report.signatures) == len(reader.embedded_signatures)


async def signed(signer: CSCSigner, data: bytes, name: str) -> bytes:
    metadata = signers.PdfSignatureMetadata(
        field_name=name, subfilter=SigSeedSubFilter.PADES, md_algorithm="sha256"
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    made = await signers.async_sign_pdf(writer, metadata, signer=signer)
    return bytes(made.getvalue())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def test_explicit(live: Live, hall: TownHall) -> None:
    """credentials/info, credentials/authorize with a PIN, signHash; a batch of three in one call;
    PSS; a wrong PIN is an error, not a signature."""
    app = App(live.service, "pyhanko-system")
    info = CSCServiceSessionInfo(live.url, hall.seal.id, oauth_token=app.service_token())

    async def work() -> list[bytes]:
        async with aiohttp.ClientSession() as session:
            credential = await fetch_certs_in_csc_credential(session, info)
            assert credential.hash_pinning_required
            assert credential.max_batch_size == 1000
            manager = PinManager(session, info, credential, pin=SEAL_PIN)
            one = await signed(CSCSigner(session, manager), DECISION, "One")
            pss = await signed(CSCSigner(session, manager, prefer_pss=True), one, "Two")
            batch = CSCSigner(session, manager, batch_size=3)
            names = ("A", "B", "C")
            many = await asyncio.gather(*(signed(batch, DECISION, name) for name in names))
            wrong = PinManager(session, info, credential, pin="000999")
            with pytest.raises(SigningError):
                await signed(CSCSigner(session, wrong), DECISION, "Wrong")
            return [one, pss, *many]

    for data in run(work()):
        judged(data, live)


def test_with_a_code(live: Live, hall: TownHall) -> None:
    """An official's key: PIN and the one-time code from the spool."""
    app = App(live.service, "pyhanko-system")
    token = app.service_token()
    info = CSCServiceSessionInfo(live.url, hall.person.id, oauth_token=token)
    sent = app.call(
        "credentials/sendOTP", {"credentialID": hall.person.id}, version="v1", token=token
    )
    assert sent.status_code == 204

    async def work() -> bytes:
        async with aiohttp.ClientSession() as session:
            credential = await fetch_certs_in_csc_credential(session, info)
            otp = code_sent(live.service)
            manager = PinManager(session, info, credential, pin=PIN, otp=otp)
            return await signed(CSCSigner(session, manager), DECISION, "Person")

    judged(run(work()), live)


def test_with_a_consented_token(live: Live, hall: TownHall) -> None:
    """oauth2code: the digest first, then the holder's consent on our page, then signHash with the
    credential token as SAD (pyHanko's interrupted signing)."""
    from pyhanko.sign.signers.pdf_signer import PdfSigner, PdfTBSDocument

    app = App(live.service, "pyhanko-app", explicit=False)
    service_token = app.service_token()
    info = CSCServiceSessionInfo(live.url, hall.seal.id, oauth_token=service_token)

    async def work() -> bytes:
        async with aiohttp.ClientSession() as session:
            credential = await fetch_certs_in_csc_credential(session, info)
            certificates = credential.as_cert_store()
            placeholder = signers.ExternalSigner(
                signing_cert=credential.signing_cert,
                cert_registry=certificates,
                signature_value=bytes(256),
            )
            metadata = signers.PdfSignatureMetadata(
                field_name="Consented", subfilter=SigSeedSubFilter.PADES, md_algorithm="sha256"
            )
            writer = IncrementalPdfFileWriter(io.BytesIO(DECISION))
            prepared, document, output = await PdfSigner(
                metadata, signer=placeholder
            ).async_digest_doc_for_signing(writer)
            attributes = await placeholder.signed_attrs(
                prepared.document_digest, "sha256", use_pades=True
            )
            import hashlib

            wanted = hashlib.sha256(attributes.dump()).digest()
            page = await asyncio.to_thread(lambda: app.page(**app.for_hashes(hall.seal.id, wanted)))
            code = await asyncio.to_thread(lambda: app.consented(SEAL_PIN, page))
            token = (await asyncio.to_thread(lambda: app.exchange(code))).json()["access_token"]
            manager = PrefetchedSADAuthorizationManager(
                info, credential, CSCAuthorizationInfo(sad=token)
            )
            signer = CSCSigner(session, manager)
            contents = await signer.async_sign_prescribed_attributes("sha256", attributes)
            await PdfTBSDocument.async_finish_signing(output, prepared, contents)
            assert document is not None
            return bytes(output.getvalue())

    judged(run(work()), live)
