"""Sign hashes that a holder has authorised, without seeing what they are hashes of (CSC signHash).

    given = authorize_hashes(desk, credential_id=…, pin=…, digests=[digest], signatures=1,
                             client=…, now=now, by=by)
    prepared = prepare(desk, HashRequest((digest,), hashes.SHA256(), Scheme.RSA_PKCS1),
                       authorization=given, now=now, by=by)
    (value,) = joint.carry_out(desk, prepared, now=now, by=by)

A raw signature is the most that can be asked of a key, so it is given for exactly the hashes in
the authorisation, each once, all or none (SCAL2; EN 419 241-1 SRA_SAP.2.5). docs/flows/
remote-sign.md has the same numbered steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from signer import joint, signature, signing
from signer.cms import Scheme
from signer.errors import ActivationRefused, SignerError
from signer.files import cades
from signer.joint import Made, Part, Prepared
from signer.keys import activation
from signer.keys.activation import LONGEST_MINUTES
from signer.levels import Level

if TYPE_CHECKING:
    from hsm.private_key import PrivateKey
    from signer.desk import Desk
    from signer.keys.activation import Authorization
    from signer.keys.credentials import Credential

DIGESTS: dict[int, hashes.HashAlgorithm] = {
    one.digest_size: one for one in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
}
"""SHA-256 or stronger (CSC API v2 §5, ETSI TS 119 312); the length of a hash names its algorithm,
so that an authorisation for a hash is one for its algorithm too."""
DIGEST_SIZE = {one.name: size for size, one in DIGESTS.items()}
RAW = "raw"
MOST_SIGNATURES = 1_000


@dataclass(frozen=True)
class HashRequest:
    """Hashes of one algorithm, and how the key signs them. `salt` is for PSS, in bytes."""

    digests: tuple[bytes, ...]
    algorithm: hashes.HashAlgorithm
    scheme: Scheme
    salt: int | None = None


def authorize_hashes(
    desk: Desk,
    *,
    credential_id: str,
    pin: str,
    digests: Sequence[bytes],
    signatures: int,
    client: str,
    now: datetime,
    by: str,
    minutes: int = 5,
) -> Authorization:
    """Open a holder's key for `signatures` signatures, these hashes first.

    What `signatures` exceeds `digests` by is named later, with `extension.extend`. Raises what
    `activation.authorize` raises, and ActivationRefused `hash-malformed`, `too-many-digests`.
    """
    try:
        unique = list(dict.fromkeys(digests))
        _require_sensible(unique, signatures, minutes)
        blob = activation.open_key(desk, credential_id, pin, now=now)
    except SignerError as refusal:
        activation.record_refusal(
            desk, f"credential:{credential_id}", client, refusal, now=now, by=by
        )
        raise
    return activation.open_authorization(
        desk,
        credential_id,
        blob,
        unique,
        client,
        minutes=minutes,
        now=now,
        by=by,
        spare=signatures - len(unique),
    )


def prepare(
    desk: Desk, request: HashRequest, *, authorization: Authorization, now: datetime, by: str
) -> Prepared:
    """Steps 1 to 3: everything that can be refused is refused here."""
    try:
        # 1. The request: hashes of the right length, a scheme that fits the key.
        _require_hashes(request)
        # 2. The credential and its certificate must be good at this moment.
        credential = joint.usable_credential(desk, authorization, now=now)
        _require_scheme(credential, request)
        # 3. Reserve every hash and commit every intention, all or none.
        parts = [
            Part(one, f"hash:{one.hex()}", RAW, {"scheme": request.scheme.value})
            for one in request.digests
        ]

        def act() -> list[Made]:
            # 4. Sign each in the token and 5. check each with the public key.
            key = joint.key_of(desk, authorization, now=now)
            values = [_sign(key, one, request) for one in request.digests]
            for value, one in zip(values, request.digests, strict=True):
                _check(credential, value, one, request)
            facts = [{"value": hashlib.sha256(value).digest()} for value in values]
            return [Made(value, facts=fact) for value, fact in zip(values, facts, strict=True)]

        return joint.intend(desk, parts, act, authorization=authorization, now=now, by=by)
    except SignerError as refusal:
        subject = f"authorization:{authorization.id}"
        joint.record_refusal(desk, subject, authorization, refusal, now=now, by=by)
        raise


def prepare_containers(
    desk: Desk,
    digests: Sequence[bytes],
    *,
    level: Level,
    scheme: Scheme | None,
    signing_time: datetime | None = None,
    authorization: Authorization,
    now: datetime,
    by: str,
) -> Prepared:
    """The CMS of a PAdES signature for each digest of a PDF's byte range (CSC signDoc, `P`).

    With a `signing_time` they are detached CAdES signatures, for files of any kind. The client puts
    them where they belong; B-B and B-T are what can be made without the file.
    """
    try:
        if level.long_term:
            raise SignerError("level-needs-document", level=level.value)
        credential = joint.usable_credential(desk, authorization, now=now)
        template = signing.template_for(desk, credential, scheme)
        if any(len(one) != DIGEST_SIZE[template.digest_name] for one in digests):
            raise ActivationRefused("hash-malformed")
        parts = [Part(one, f"document:{one.hex()}", level.value) for one in digests]

        def act() -> list[Made]:
            key = joint.key_of(desk, authorization, now=now)
            made = []
            for digest in digests:
                if signing_time is None:
                    attributes = template.attributes(digest)
                else:
                    attributes = cades.attributes(template, digest, signing_time)
                value = template.sign(key, attributes)
                template.check(value, attributes)
                stamp = None
                if level.time_stamped:
                    stamp = signature.stamp_value(desk.tsa, value, now=now)
                made.append(Made(template.wrap(attributes, value, stamp)))
            return made

        return joint.intend(desk, parts, act, authorization=authorization, now=now, by=by)
    except SignerError as refusal:
        subject = f"authorization:{authorization.id}"
        joint.record_refusal(desk, subject, authorization, refusal, now=now, by=by)
        raise


def _require_sensible(unique: Sequence[bytes], signatures: int, minutes: int) -> None:
    if not unique:
        raise ActivationRefused("digests-missing")
    if not len(unique) <= signatures <= MOST_SIGNATURES:
        raise ActivationRefused("too-many-digests", limit=min(signatures, MOST_SIGNATURES))
    if any(len(one) not in DIGESTS for one in unique):
        raise ActivationRefused("hash-malformed")
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise ActivationRefused("authorization-too-long", limit=LONGEST_MINUTES)


def _require_hashes(request: HashRequest) -> None:
    if not request.digests:
        raise ActivationRefused("digests-missing")
    if len(request.digests) > MOST_SIGNATURES:
        raise ActivationRefused("too-many-digests", limit=MOST_SIGNATURES)
    if request.algorithm.digest_size not in DIGESTS or any(
        len(one) != request.algorithm.digest_size for one in request.digests
    ):
        raise ActivationRefused("hash-malformed")


def _require_scheme(credential: Credential, request: HashRequest) -> None:
    """The scheme must be one of this key, and PSS salt within RFC 8017 §9.1.1."""
    public_key = credential.certificate.public_key()
    if isinstance(public_key, rsa.RSAPublicKey):
        fits = request.scheme is not Scheme.ECDSA
        if request.scheme is Scheme.RSA_PSS:
            size = request.algorithm.digest_size
            longest = (public_key.key_size + 6) // 8 - size - 2
            fits = request.salt is None or size <= request.salt <= longest
    else:
        fits = request.scheme is Scheme.ECDSA
    if not fits:
        raise SignerError("scheme-unfit", scheme=request.scheme.value)


def _padding(request: HashRequest) -> padding.AsymmetricPadding:
    if request.scheme is Scheme.RSA_PKCS1:
        return padding.PKCS1v15()
    salt = request.algorithm.digest_size if request.salt is None else request.salt
    return padding.PSS(padding.MGF1(request.algorithm), salt)


def _sign(key: PrivateKey, digest: bytes, request: HashRequest) -> bytes:
    prehashed = utils.Prehashed(request.algorithm)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, _padding(request), prehashed)
    return key.sign(digest, ec.ECDSA(prehashed))


def _check(credential: Credential, value: bytes, digest: bytes, request: HashRequest) -> None:
    """Whatever the token answered, it must verify under the certificate before it is used."""
    public_key = credential.certificate.public_key()
    prehashed = utils.Prehashed(request.algorithm)
    try:
        if isinstance(public_key, rsa.RSAPublicKey):
            public_key.verify(value, digest, _padding(request), prehashed)
        elif isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(value, digest, ec.ECDSA(prehashed))
        else:
            raise SignerError("key-kind-unknown")
    except InvalidSignature:
        raise SignerError("token-answer-wrong") from None
