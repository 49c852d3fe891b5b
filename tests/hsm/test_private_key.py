"""Token keys are pyca keys: they sign the same, build the same, and give nothing away."""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Callable

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    NoDigestInfo,
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given
from hypothesis import strategies as st

from hsm.errors import HsmError
from hsm.mechanisms import DIGEST_INFO, KeyAlgorithm
from hsm.private_key import PrivateKey, TokenEcPrivateKey, TokenRsaPrivateKey
from hsm.signature import der_signature

Resident = Callable[[KeyAlgorithm], PrivateKey]
SHA2 = [hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]
DATA = "Quyết định số 12/QĐ-UBND".encode()


@pytest.mark.parametrize("digest", SHA2, ids=lambda each: each.name)
def test_pkcs1_signatures_verify(resident: Resident, digest: hashes.HashAlgorithm) -> None:
    """RFC 8017, 8.2.1: RSASSA-PKCS1-V1_5-SIGN, with the DigestInfo of 9.2."""
    key = resident(KeyAlgorithm.RSA_2048)
    assert isinstance(key, TokenRsaPrivateKey)
    signature = key.sign(DATA, padding.PKCS1v15(), digest)
    key.public_key().verify(signature, DATA, padding.PKCS1v15(), digest)
    prehashed = key.sign(
        hashlib.new(digest.name, DATA).digest(), padding.PKCS1v15(), Prehashed(digest)
    )
    assert prehashed == signature  # PKCS#1 v1.5 is deterministic


@pytest.mark.parametrize("digest", SHA2, ids=lambda each: each.name)
@pytest.mark.parametrize("salt", [padding.PSS.DIGEST_LENGTH, padding.PSS.MAX_LENGTH, 0, 20])
def test_pss_signatures_have_the_salt_asked_for(
    resident: Resident, digest: hashes.HashAlgorithm, salt: int
) -> None:
    """RFC 8017, 9.1.1: the salt length is a parameter of the encoding."""
    key = resident(KeyAlgorithm.RSA_2048)
    assert isinstance(key, TokenRsaPrivateKey)
    scheme = padding.PSS(mgf=padding.MGF1(digest), salt_length=salt)
    signature = key.sign(DATA, scheme, digest)
    key.public_key().verify(signature, DATA, scheme, digest)  # the salt length is checked


def test_pss_needs_a_definite_salt_length(resident: Resident) -> None:
    """pyca: PSS.AUTO is for verification only."""
    key = resident(KeyAlgorithm.RSA_2048)
    assert isinstance(key, TokenRsaPrivateKey)
    scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.AUTO)
    with pytest.raises(ValueError, match="salt length"):
        key.sign(DATA, scheme, hashes.SHA256())


def test_no_digest_info_signs_what_it_is_given(resident: Resident) -> None:
    """RFC 8017, 9.2: the DigestInfo may come from the caller (pyca's NoDigestInfo)."""
    key = resident(KeyAlgorithm.RSA_2048)
    assert isinstance(key, TokenRsaPrivateKey)
    info = DIGEST_INFO["sha256"] + hashlib.sha256(DATA).digest()
    signature = key.sign(info, padding.PKCS1v15(), NoDigestInfo())
    assert signature == key.sign(DATA, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.P_256, KeyAlgorithm.P_384])
@pytest.mark.parametrize("digest", SHA2, ids=lambda each: each.name)
def test_ecdsa_signatures_verify(
    resident: Resident, algorithm: KeyAlgorithm, digest: hashes.HashAlgorithm
) -> None:
    """FIPS 186-5, 6.4.1: a digest longer than the order is cut to its leftmost bits."""
    key = resident(algorithm)
    assert isinstance(key, TokenEcPrivateKey)
    key.public_key().verify(key.sign(DATA, ec.ECDSA(digest)), DATA, ec.ECDSA(digest))
    value = hashlib.new(digest.name, DATA).digest()
    prehashed = ec.ECDSA(Prehashed(digest))
    key.public_key().verify(key.sign(value, prehashed), value, prehashed)


@given(st.integers(1, 2**384 - 1), st.integers(1, 2**384 - 1))
def test_der_signature_equals_the_second_implementation(r: int, s: int) -> None:
    """RFC 3279, 2.2.3: Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }."""
    raw = r.to_bytes(48, "big") + s.to_bytes(48, "big")
    assert der_signature(raw) == encode_dss_signature(r, s)
    assert decode_dss_signature(der_signature(raw)) == (r, s)


def test_sha1_is_not_signed_with(resident: Resident) -> None:
    """ETSI TS 119 312: SHA-1 is not acceptable for new signatures."""
    rsa_key, ec_key = resident(KeyAlgorithm.RSA_2048), resident(KeyAlgorithm.P_256)
    assert isinstance(rsa_key, TokenRsaPrivateKey)
    assert isinstance(ec_key, TokenEcPrivateKey)
    with pytest.raises(UnsupportedAlgorithm):
        rsa_key.sign(DATA, padding.PKCS1v15(), hashes.SHA1())
    with pytest.raises(UnsupportedAlgorithm):
        ec_key.sign(DATA, ec.ECDSA(hashes.SHA1()))


def test_a_prehashed_value_must_be_a_digest(resident: Resident) -> None:
    """pyca: the data must be as long as the digest it claims to be."""
    key = resident(KeyAlgorithm.P_256)
    assert isinstance(key, TokenEcPrivateKey)
    with pytest.raises(ValueError, match="same length"):
        key.sign(b"short", ec.ECDSA(Prehashed(hashes.SHA256())))


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.RSA_2048, KeyAlgorithm.P_256])
def test_nothing_but_signatures_comes_out(resident: Resident, algorithm: KeyAlgorithm) -> None:
    """ "All keys on SoftHSM, SENSITIVE, never extractable"."""
    key = resident(algorithm)
    for refused in (
        key.private_numbers,
        lambda: key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        lambda: pickle.dumps(key),
    ):
        with pytest.raises(HsmError) as error:
            refused()
        assert error.value.code == "key-not-extractable"
    refused = key.decrypt if isinstance(key, TokenRsaPrivateKey) else key.exchange
    with pytest.raises(HsmError) as error:
        refused(b"x", padding.PKCS1v15())
    assert error.value.code == "key-signs-only"


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.RSA_2048, KeyAlgorithm.P_384])
def test_they_are_what_pyca_asks_for(resident: Resident, algorithm: KeyAlgorithm) -> None:
    """pyca's builders test for the interface; a copy is the same key."""
    key = resident(algorithm)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    assert key.key_size == algorithm.bits == key.public_key().key_size
    assert copy.copy(key) is key
    assert copy.deepcopy({"key": key})["key"] is key
    assert algorithm in repr(key)
    if isinstance(key, TokenEcPrivateKey):
        assert isinstance(key.curve, ec.SECP384R1)
