"""The same client at two remote-signing services: ours, and certomancer's (certomancer-csc-dummy).

pyHanko's CSCSigner does the same work at both; pyHanko's validator and poppler judge what came of
it, and the answers are compared member by member. Certomancer's server is made for tests: it asks
nobody who they are, and speaks v1.0.4 only.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from asn1crypto import x509 as asn1_x509
from certomancer.registry import ArchLabel, CertLabel, CertomancerConfig
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.signers.csc_signer import (
    CSCServiceSessionInfo,
    CSCSigner,
    fetch_certs_in_csc_credential,
)
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from hsm.mechanisms import KeyAlgorithm
from tests.api.conftest import ONLY_SQLITE
from tests.api.csc_client import RSA_SHA256, App
from tests.api.csc_client import quick_keys as quick_keys  # fixtures
from tests.api.csc_live import Live
from tests.api.csc_live import live as live
from tests.api.test_csc_pyhanko import DECISION, PinManager, signed
from tests.certify.town_hall import SEAL_PIN, town_hall

dummy = pytest.importorskip("csc_dummy.csc_dummy_server", reason="no certomancer-csc-dummy here")
pytestmark = ONLY_SQLITE
CONFIG = """
keysets:
  peer: {path-prefix: ".", keys: {root: {path: root.pem}, signer: {path: signer.pem}}}
pki-architectures:
  peer:
    keyset: peer
    entity-defaults: {country-name: VN, organization-name: TEST peer}
    entities: {root: {common-name: Root}, signer: {common-name: Signer}}
    certs:
      root: &certificate
        issuer: root
        validity: {valid-from: "2026-01-01T00:00:00+0000", valid-to: "2040-01-01T00:00:00+0000"}
        profiles: [{id: simple-ca, params: {}}]
      signer: {<<: *certificate, profiles: [digsig-commitment]}
"""


@dataclass
class Seen:
    """What one service did for the client."""

    answers: dict[str, Any]
    credential: Any
    documents: list[bytes]
    refused: int
    root: asn1_x509.Certificate


def test_the_same_client_at_both(live: Live, quick_keys: None, tmp_path: Path) -> None:
    """One document, PSS over it, a batch; a hash that was not authorised; every answer's shape."""
    seal = town_hall(live.service.world, KeyAlgorithm.RSA_2048).seal
    roots = [
        one.certificate for one in live.service.house.authority.issuers() if one.parent is None
    ]
    token = App(live.service, "pyhanko-system").service_token()
    ours = CSCServiceSessionInfo(live.url, seal.id, oauth_token=token)
    root = asn1_x509.Certificate.load(roots[0].public_bytes(Encoding.DER))
    seen = {
        "ours": asyncio.run(_work(ours, root, seal.holder_id)),
        "peer": asyncio.run(_at_the_peer(tmp_path)),
    }
    mine, theirs = seen["ours"], seen["peer"]
    # The same verdicts, by pyHanko and by poppler.
    assert [_judged(one, mine.root) for one in mine.documents] == [
        _judged(one, theirs.root) for one in theirs.documents
    ]
    for place, one in enumerate(mine.documents):
        assert _poppler(one, tmp_path) == _poppler(theirs.documents[place], tmp_path)
    # What a client reads of a credential is there under the same names, of the same types.
    assert mine.credential.hash_pinning_required
    assert theirs.credential.hash_pinning_required
    assert {"sha256_rsa", "rsassa_pss"} <= (
        mine.credential.supported_mechanisms & theirs.credential.supported_mechanisms
    )
    for method, answer in theirs.answers.items():
        missing = _members(answer) - _members(mine.answers[method])
        assert not missing, (method, missing)
    assert _members(mine.answers["signatures/signHash"]) == {("signatures", "list")}
    assert _members(mine.answers["credentials/authorize"]) == {
        ("SAD", "str"),
        ("expiresIn", "int"),  # optional; the peer's SAD never ends
    }
    # A hash that the SAD does not name is signed by neither.
    assert (mine.refused, theirs.refused) == (400, 400)


async def _at_the_peer(folder: Path) -> Seen:
    for name in ("root", "signer"):
        key = rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.pem").write_bytes(pem)
    config = CertomancerConfig.from_yaml(CONFIG, key_search_dir=str(folder))
    server = dummy.CSCWithCertomancer(config)
    server.register_routes()
    runner = web.AppRunner(server.app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        root = config.get_pki_arch(ArchLabel("peer")).get_cert(CertLabel("root"))
        return await _work(CSCServiceSessionInfo(url, "peer/signer"), root)
    finally:
        await runner.cleanup()


async def _work(
    info: CSCServiceSessionInfo, root: asn1_x509.Certificate, holder: str = "nobody"
) -> Seen:
    """What the client does, wherever it is."""
    async with aiohttp.ClientSession() as session:
        credential = await fetch_certs_in_csc_credential(session, info)
        manager = PinManager(session, info, credential, pin=SEAL_PIN)
        one = await signed(CSCSigner(session, manager), DECISION, "One")
        pss = await signed(CSCSigner(session, manager, prefer_pss=True), one, "Two")
        batch = CSCSigner(session, manager, batch_size=2)
        many = await asyncio.gather(*(signed(batch, DECISION, name) for name in ("A", "B")))
        answers = await _answers(session, info, holder)
        other = await _other_hash(session, info, answers["credentials/authorize"]["SAD"])
        return Seen(answers, credential, [one, pss, *many], other, root)


def _url(info: CSCServiceSessionInfo, method: str) -> str:
    return f"{info.service_url}/csc/v1/{method}"


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


async def _answers(
    session: aiohttp.ClientSession, info: CSCServiceSessionInfo, holder: str
) -> dict[str, Any]:
    """Every method that both services have, asked in the same words."""
    named = {"credentialID": info.credential_id}
    found: dict[str, Any] = {}

    async def ask(method: str, body: dict[str, Any]) -> Any:
        url = _url(info, method)
        async with session.post(url, headers=info.auth_headers, json=body) as answer:
            assert answer.status == 200, (method, await answer.text())
            found[method] = await answer.json()
        return found[method]

    await ask("info", {})
    # v1.0.4 wants the holder's name of a client that speaks for itself; the peer knows nobody.
    await ask("credentials/list", {"userID": holder})
    await ask("credentials/info", {**named, "certificates": "chain"})
    hashes = {"hash": [_hash("một")]}
    order = {**named, "numSignatures": 1, **hashes, "PIN": SEAL_PIN}
    sad = (await ask("credentials/authorize", order))["SAD"]
    await ask("signatures/signHash", {**named, "SAD": sad, **hashes, "signAlgo": RSA_SHA256})
    await ask("credentials/authorize", order)
    return found


async def _other_hash(session: aiohttp.ClientSession, info: CSCServiceSessionInfo, sad: str) -> int:
    body = {
        "credentialID": info.credential_id,
        "SAD": sad,
        "hash": [_hash("hai")],
        "signAlgo": RSA_SHA256,
    }
    url = _url(info, "signatures/signHash")
    async with session.post(url, headers=info.auth_headers, json=body) as answer:
        return answer.status


def _members(answer: dict[str, Any], prefix: str = "") -> set[tuple[str, str]]:
    """Names and types, also of the objects inside."""
    found = set()
    for name, value in answer.items():
        found.add((prefix + name, type(value).__name__))
        if isinstance(value, dict):
            found |= _members(value, f"{prefix}{name}/")
    return found


def _judged(data: bytes, root: asn1_x509.Certificate) -> list[tuple[Any, ...]]:
    """pyHanko's verdict on each signature."""
    context = ValidationContext(trust_roots=[root], allow_fetching=False)
    found = []
    for one in PdfFileReader(io.BytesIO(data)).embedded_signatures:
        status = validate_pdf_signature(one, signer_validation_context=context)
        assert status.bottom_line, status.summary()
        found.append(
            (
                one.field_name,
                status.coverage,
                status.modification_level,
                status.md_algorithm,
                status.pkcs7_signature_mechanism,
            )
        )
    return found


def _poppler(data: bytes, folder: Path) -> list[str]:
    """poppler's verdict, without names and times."""
    file = folder / "judged.pdf"
    file.write_bytes(data)
    said = subprocess.run(["pdfsig", "-nocert", file], capture_output=True, text=True, check=False)
    kept = ("Signature Validation", "Signature Type", "Hash Algorithm")
    lines = [one.strip("\t -") for one in said.stdout.splitlines()]
    found = [one for one in lines if one.startswith(("Signing Hash", *kept))]
    assert "Signature Validation: Signature is Valid." in found
    return found
