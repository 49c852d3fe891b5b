"""signatures/signHash, signDoc and timestamp."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from asn1crypto import tsp
from cryptography.hazmat.primitives.serialization import Encoding

from api.csc import operations, tokens
from api.csc.algorithms import (
    HASHES,
    Algorithm,
    hash_algorithm,
    of_key,
    read_algorithm,
    read_base64,
    read_hash,
)
from api.csc.authorization_methods import presented, read_hashes
from api.csc.calls import Call, Parameters, Reply
from api.csc.consent import QUALIFIERS
from api.csc.credential_methods import visible
from api.csc.document_shapes import request_of
from api.csc.errors import CscRefusal
from signer import hash_signing, joint, joint_documents
from signer.cms import Scheme
from signer.errors import ActivationRefused, SignerError
from signer.files.formats import FileRequest, Format
from signer.hash_signing import HashRequest
from signer.joint import Prepared
from signer.joint_documents import Order
from signer.keys import credentials
from signer.keys.credentials import Credential
from signer.signature import SignatureRequest

_MOST_DOCUMENTS = 50


def sign_hash(call: Call) -> Reply:
    """§11.10: raw signatures over hashes that the SAD names, all or none."""
    # 1. The request, before anything is looked up with it.
    credential = visible(call)
    algorithm = _algorithm(call, credential, call.given)
    hashes = read_hashes(call)
    mode, life = _mode(call)
    # 2. The SAD: this client, this bearer, this credential, still open.
    authorization = presented(call, credential)
    # 3. Reserve and intend; from here a hash is used.
    request = HashRequest(tuple(hashes), algorithm.digest, algorithm.scheme, algorithm.salt)
    desk = call.wired.house.desk
    prepared = hash_signing.prepare(
        desk, request, authorization=authorization, now=call.now, by=call.by
    )
    if mode == "A":
        return operations.accept(call, "signHash", prepared, life)
    # 4. Sign, check, commit.
    values = joint.carry_out(desk, prepared, now=call.now, by=call.by)
    return Reply({"signatures": [_encoded(one) for one in values]})


def sign_document(call: Call) -> Reply:
    """§11.11: PAdES signatures in documents, or for the digests of documents."""
    given = call.given
    credential = _credential(call)
    documents, digests = given.objects("documents"), given.objects("documentDigests")
    if documents and digests:
        raise CscRefusal("csc-documents-both")
    if not documents and not digests:
        raise CscRefusal("csc-documents-empty")
    if max(len(documents), len(digests)) > _MOST_DOCUMENTS:
        raise CscRefusal("csc-parameter-invalid", name="documents")
    mode, life = _mode(call)
    try:
        if documents:
            kind, prepared = _documents(call, credential, documents)
        else:
            kind, prepared = "signDigest", _digests(call, credential, digests)
    except ActivationRefused as refusal:
        if refusal.code in {"digest-not-authorized", "digest-already-used"}:
            raise CscRefusal("csc-documents-unauthorized") from refusal
        raise
    if mode == "A":
        return operations.accept(call, kind, prepared, life)
    values = joint.carry_out(call.wired.house.desk, prepared, now=call.now, by=call.by)
    name = "DocumentWithSignature" if kind == "signDoc" else "SignatureObject"
    answer: dict[str, Any] = {name: [_encoded(one) for one in values]}
    if given.flag("returnValidationInfo"):
        answer["validationInfo"] = _validation(call, credential)
    return Reply(answer)


def time_stamp(call: Call) -> Reply:
    """§11.13: a token of our own authority over a hash (RFC 3161)."""
    if call.bearer.scope not in {tokens.SERVICE, tokens.CREDENTIAL}:
        raise CscRefusal("csc-scope-insufficient")
    text = call.given.text("hash")
    if not text:
        raise CscRefusal("csc-empty-hash")
    oid = call.given.text("hashAlgo")
    algorithm = hash_algorithm(oid, name="hashAlgo")
    value = read_base64(text, name="hash")
    if len(value) != algorithm.digest_size:
        raise CscRefusal("csc-hash-length")
    imprint = {"hash_algorithm": {"algorithm": algorithm.name}, "hashed_message": value}
    request = {"version": 1, "message_imprint": imprint, "cert_req": True}
    nonce = call.given.maybe("nonce", longest=64)
    if nonce is not None:
        request["nonce"] = _nonce(nonce)
    answer = tsp.TimeStampResp.load(
        call.wired.house.tsa.respond(tsp.TimeStampReq(request).dump(), now=call.now)
    )
    if answer["status"]["status"].native != "granted":
        raise SignerError("time-stamping-not-configured")
    return Reply({"timestamp": _encoded(answer["time_stamp_token"].dump())})


def _credential(call: Call) -> Credential:
    """By credentialID, or the one the credential token is for, which must fit the qualifier."""
    qualifier = call.given.maybe("signatureQualifier", longest=64)
    if qualifier is not None and qualifier not in QUALIFIERS:
        raise CscRefusal("csc-parameter-invalid", name="signatureQualifier")
    if "credentialID" not in call.given and qualifier and call.bearer.credential_id:
        credential = credentials.find(call.wired.house.desk, call.bearer.credential_id)
    else:
        credential = visible(call)
    if qualifier is not None and QUALIFIERS[qualifier] != credential.kind:
        raise CscRefusal("csc-parameter-invalid", name="signatureQualifier")
    return credential


def _documents(
    call: Call, credential: Credential, documents: list[Parameters]
) -> tuple[str, Prepared]:
    """Signatures inside their documents, or all beside them: one answer has one kind of result."""
    orders = []
    for one in documents:
        data = read_base64(one.text("document", longest=1 << 30), name="documents")
        scheme = _document_scheme(credential, one)
        orders.append(Order(data, request_of(one, scheme), scheme))
    beside = {_is_detached(one.request) for one in orders}
    if len(beside) > 1:
        raise CscRefusal("csc-parameter-invalid", name="signed_envelope_property")
    authorization = presented(call, credential)
    prepared = joint_documents.prepare(
        call.wired.house.desk, orders, authorization=authorization, now=call.now, by=call.by
    )
    return ("signDigest" if beside == {True} else "signDoc"), prepared


def _is_detached(request: SignatureRequest | FileRequest) -> bool:
    return isinstance(request, FileRequest) and request.format.detached


def _digests(call: Call, credential: Credential, entries: list[Parameters]) -> Prepared:
    """The CMS for PDFs that stay with the client; one level and scheme for all of a call."""
    hashes: list[bytes] = []
    ways = set()
    for one in entries:
        listed = [one.text("hashes")] if not _is_list(one, "hashes") else one.texts("hashes")
        hashes += [read_hash(text, name="hashes") for text in listed]
        # Of a file that stays with the client, only a CMS can be made: PAdES, or CAdES detached.
        request = request_of(one, None)
        pdf = isinstance(request, SignatureRequest)
        if isinstance(request, FileRequest) and request.format is not Format.CADES_DETACHED:
            raise CscRefusal("csc-parameter-invalid", name="signature_format")
        ways.add((request.level, _document_scheme(credential, one), pdf))
    if not hashes:
        raise CscRefusal("csc-hash-empty")
    if len(ways) != 1:
        raise CscRefusal("csc-parameter-invalid", name="documentDigests")
    level, scheme, pdf = ways.pop()
    if level.long_term:
        raise CscRefusal("csc-parameter-invalid", name="conformance_level")
    authorization = presented(call, credential)
    return hash_signing.prepare_containers(
        call.wired.house.desk,
        hashes,
        level=level,
        scheme=scheme,
        signing_time=None if pdf else call.now,
        authorization=authorization,
        now=call.now,
        by=call.by,
    )


def _is_list(given: Parameters, name: str) -> bool:
    try:
        given.texts(name)
    except CscRefusal:
        return False
    return True


def _algorithm(call: Call, credential: Credential, given: Parameters) -> Algorithm:
    sign = given.text("signAlgo", longest=128)
    if sign not in of_key(credential):
        raise CscRefusal("csc-parameter-invalid", name="signAlgo")
    name = call.hash_algorithm_name
    return read_algorithm(
        sign, given.maybe("signAlgoParams"), given.maybe(name, longest=128), hash_name=name
    )


def _document_scheme(credential: Credential, given: Parameters) -> Scheme | None:
    """In documents the digest is the one of the key's own strength; the scheme may be chosen."""
    sign = given.text("signAlgo", longest=128)
    if sign not in of_key(credential):
        raise CscRefusal("csc-parameter-invalid", name="signAlgo")
    oid = given.maybe("hashAlgorithmOID", longest=128)
    if oid is not None and oid not in HASHES:
        raise CscRefusal("csc-parameter-invalid", name="hashAlgorithmOID")
    assumed = oid or "2.16.840.1.101.3.4.2.1"
    parameters = given.maybe("signAlgoParams")
    read = read_algorithm(
        sign, parameters, assumed if parameters is None else oid, hash_name="hashAlgorithmOID"
    )
    return Scheme.RSA_PSS if read.scheme is Scheme.RSA_PSS else None


def _mode(call: Call) -> tuple[str, Any]:
    """`operationMode`, with what belongs to it; v1 knows only the synchronous one."""
    if call.version == "v1":
        return "S", None
    mode = call.given.choice("operationMode", ("S", "A"), "S")
    operations.refuse_notification(call)
    return mode, operations.life_of(call)


def _validation(call: Call, credential: Credential) -> dict[str, list[str]]:
    """What a validator needs beside the signature: our own answers, fresh."""
    house = call.wired.house
    stamps = [house.tsa.certificate, *house.tsa.chain]
    answer = house.responder.answer(credential.certificate, now=call.now)
    return {
        "ocsp": [_encoded(answer)],
        "crl": [_encoded(one) for one in house.published_lists()],
        "certificates": [
            _encoded(one.public_bytes(Encoding.DER)) for one in (*credential.chain, *stamps)
        ],
    }


def _nonce(text: str) -> int:
    """Hexadecimal (§11.13)."""
    try:
        return int.from_bytes(binascii.unhexlify(text if len(text) % 2 == 0 else "0" + text), "big")
    except (binascii.Error, ValueError):
        raise CscRefusal("csc-parameter-invalid", name="nonce") from None


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()
