"""Which keys are refused, and why."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ca import key_policy
from ca.errors import CaError
from ca.profiles import PROFILES

OFFICIAL = PROFILES["official"]


def refused(public_key: key_policy.PublicKey) -> tuple[str, object]:
    with pytest.raises(CaError) as error:
        key_policy.check(public_key, OFFICIAL)
    return error.value.code, error.value.params.get("why")


def made(modulus: int, exponent: int = 65537) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def prime(bits: int) -> int:
    """A prime, by way of a throw-away key."""
    return rsa.generate_private_key(65537, bits * 2).private_numbers().p


def test_good_keys_pass() -> None:
    """DOMAIN §2: RSA ≥ 2048, ECDSA ≥ P-256."""
    key_policy.check(rsa.generate_private_key(65537, 2048).public_key(), OFFICIAL)
    key_policy.check(ec.generate_private_key(ec.SECP256R1()).public_key(), OFFICIAL)
    key_policy.check(ec.generate_private_key(ec.SECP384R1()).public_key(), OFFICIAL)


def test_other_curves_and_kinds() -> None:
    """Only the algorithms the profile names."""
    assert refused(ec.generate_private_key(ec.SECP256K1()).public_key())[0] == "key-size-refused"
    with pytest.raises(CaError) as error:
        key_policy.accepted_type(ed25519.Ed25519PrivateKey.generate().public_key())
    assert error.value.code == "key-kind-refused"


@pytest.mark.parametrize("exponent", [3, 17, 65535])
def test_small_exponents(exponent: int) -> None:
    """CA/B BR 6.1.6: the exponent should be between 2^16+1 and 2^256-1, and odd."""
    modulus = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
    assert refused(made(modulus, exponent))[0] == "key-exponent-refused"


def test_a_small_factor() -> None:
    """CA/B BR 6.1.6: the modulus should have no factor smaller than 752."""
    p, q = prime(1024), prime(1024)
    modulus = p * q
    while modulus % 751 or not modulus & 1 or modulus.bit_length() != 2048:
        modulus -= 1
    assert refused(made(modulus)) == ("key-weak", "small-factor")


def test_close_primes() -> None:
    """CVE-2022-26320: primes near each other fall to Fermat's method."""
    p = prime(1024)
    q = p + 2
    while any(q % small == 0 for small in (3, 5, 7, 11, 13)) or pow(2, q - 1, q) != 1:
        q += 2
    modulus = p * q
    assert modulus.bit_length() == 2048
    assert refused(made(modulus)) == ("key-weak", "close-primes")


def test_roca() -> None:
    """CVE-2017-15361: N ≡ 65537^c modulo the small primes of the Infineon library."""
    product = 1
    for small in key_policy._ROCA_PRIMES:
        product *= small
    residue = pow(65537, 1234567, product)
    others = key_policy._small_primes_product() // product
    step, base = product, residue
    candidate = base + step * ((1 << 2047) // step + 1)
    while candidate % 2 == 0 or key_policy.gcd(candidate, others) != 1:
        candidate += step
    assert refused(made(candidate)) == ("key-weak", "roca")
    honest = [
        rsa.generate_private_key(65537, 1024).public_key().public_numbers().n for _ in range(5)
    ]
    assert not any(key_policy._looks_like_roca(modulus) for modulus in honest)


def test_a_key_everybody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """CA/B BR 6.1.1.3 (4): keys known to be compromised."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    digest = hashlib.sha256(key_policy.spki(key)).hexdigest()
    monkeypatch.setattr(key_policy, "_known_bad", lambda: frozenset({digest}))
    assert refused(key)[0] == "key-known-bad"


def test_the_list_of_known_bad_keys_is_well_formed() -> None:
    """A malformed line would let a key through in silence."""
    assert all(len(bytes.fromhex(line)) == 32 for line in key_policy._known_bad())
    assert key_policy._known_bad()
