"""Every profile, judged by linters and by other people's validators."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from ca import lint
from ca.errors import CaError
from ca.extensions import QC_STATEMENTS
from ca.issuance import issue
from ca.profiles import DOCUMENT_SIGNING, PROFILES
from tests.ca.subjects import BY_PROFILE, MAU
from tests.world import BY, ONE_DATABASE, World

pytestmark = ONE_DATABASE  # what a certificate says; that it is issued on both: test_issuance.py


def issued(world: World, profile: str) -> x509.Certificate:
    issuer = "persons-g1" if profile == "ocsp" else None
    return issue(
        world.authority,
        profile=profile,
        subject=BY_PROFILE[profile],
        public_key=world.key(),
        issuer=issuer,
        now=world.now,
        by=BY,
    )


@pytest.mark.parametrize("profile", BY_PROFILE)
def test_pkilint_finds_no_error(world: World, profile: str) -> None:
    """Pkilint's PKIX and ETSI linters find no error in any of them."""
    encoded = issued(world, profile).public_bytes(Encoding.DER)
    findings = lint.pkilint_findings(encoded, PROFILES[profile].kind)
    assert [finding for finding in findings if finding.stops] == []
    assert [finding for finding in findings if finding.severity == "WARNING"] == []


def test_pkilint_finds_no_error_in_the_authorities(world: World) -> None:
    """RFC 5280 §4.2.1.9: roots and issuing CAs pass the PKIX linter too."""
    for issuer in world.authority.issuers():
        profile = PROFILES["root" if issuer.parent is None else "issuing"]
        encoded = issuer.certificate.public_bytes(Encoding.DER)
        findings = lint.pkilint_findings(encoded, profile.kind)
        assert [finding for finding in findings if finding.stops] == []


@pytest.mark.parametrize("profile", BY_PROFILE)
def test_openssl_and_gnutls_verify_the_chain(world: World, profile: str, tmp_path: Path) -> None:
    """RFC 5280 §6.1 by two independent implementations, strict where they can be."""
    certificate = issued(world, profile)
    leaf, bundle = tmp_path / "leaf.pem", tmp_path / "bundle.pem"
    leaf.write_bytes(certificate.public_bytes(Encoding.PEM))
    chain = world.authority.chain(certificate)
    bundle.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain[:-1]))
    root = tmp_path / "root.pem"
    root.write_bytes(chain[-1].public_bytes(Encoding.PEM))
    told = subprocess.run(
        [
            "openssl",
            "verify",
            "-x509_strict",
            "-policy_check",
            "-CAfile",
            root,
            "-untrusted",
            bundle,
            leaf,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    if shutil.which("certtool") is None:
        pytest.skip("certtool (gnutls-bin) is not installed")
    whole = tmp_path / "chain.pem"
    whole.write_bytes(leaf.read_bytes() + bundle.read_bytes())
    told = subprocess.run(
        ["certtool", "--verify", "--load-ca-certificate", root, "--infile", whole],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_openssl_shows_the_repeated_uid(world: World) -> None:
    """DOMAIN §2: UID may repeat; another implementation reads both."""
    certificate = issued(world, "agency-seal")
    told = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-nameopt", "utf8,sep_comma_plus"],
        input=certificate.public_bytes(Encoding.PEM),
        capture_output=True,
        check=True,
    )
    shown = told.stdout.decode()
    assert "UID=MST:2800000001" in shown
    assert "UID=MNS:1000001" in shown
    assert "ỦY BAN NHÂN DÂN PHƯỜNG HẠC THÀNH" in shown


def test_holders_sign_and_do_nothing_else(world: World) -> None:
    """EN 319 412-2 NAT-4.3.2-3: type A, nonRepudiation alone."""
    certificate = issued(world, "official")
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.content_commitment
    assert not usage.value.digital_signature
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(extended.value) == [DOCUMENT_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION]
    assert certificate.extensions.get_extension_for_oid(QC_STATEMENTS)


def test_time_stamping_is_critical_and_alone(world: World) -> None:
    """RFC 3161 §2.3: exactly one EKU, timeStamping, critical."""
    extension = issued(world, "tsa").extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert extension.critical
    assert list(extension.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def test_responders_are_not_checked(world: World) -> None:
    """RFC 6960 §4.2.2.2.1: id-pkix-ocsp-nocheck, and so a short life."""
    certificate = issued(world, "ocsp")
    assert certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 366


@pytest.mark.parametrize(("profile", "years"), [("official", 5), ("citizen", 3), ("tsa", 5)])
def test_validity_is_the_profile_s(world: World, profile: str, years: int) -> None:
    """DOMAIN §2: official 5 years, public subscriber 3, TSA at most 5."""
    certificate = issued(world, profile)
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    assert start == world.now
    assert end.year - start.year == years


def test_nobody_outlives_the_issuer(world: World) -> None:
    """RFC 5280 §6.1.3: a path is valid only while all of it is."""
    late = world.now.replace(year=world.now.year + 8)
    issuer = world.authority.issuer("persons-g1").certificate
    certificate = issue(
        world.authority, profile="official", subject=MAU, public_key=world.key(), now=late, by=BY
    )
    assert certificate.not_valid_after_utc == issuer.not_valid_after_utc


def test_a_finding_stops_before_the_real_key_signs(world: World) -> None:
    """DESIGN §3 rule 4: a finding stops it. A citizen may not have a title."""
    with pytest.raises(CaError) as refused:
        issue(
            world.authority,
            profile="citizen",
            subject=MAU,
            public_key=world.key(),
            now=world.now,
            by=BY,
        )
    assert refused.value.code == "lint-finding"
    assert "title" in str(refused.value)


def test_a_key_of_the_wrong_size_is_refused(world: World) -> None:
    """DOMAIN §2: RSA ≥ 2048 or ECDSA ≥ P-256."""
    small = rsa.generate_private_key(65537, 1024).public_key()
    with pytest.raises(CaError) as refused:
        issue(
            world.authority, profile="official", subject=MAU, public_key=small, now=world.now, by=BY
        )
    assert refused.value.code == "key-size-refused"
