"""What other CAs' software may send: certificates, lists and answers that are not quite right.

Made by certomancer, which writes what its configuration says and nothing of which we wrote. The
rule throughout: an odd statement is no statement. It never makes a certificate good, and it never
hides what a proper one says.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from asn1crypto import ocsp as asn1_ocsp
from certomancer.registry import (
    ArchLabel,
    CertLabel,
    CertomancerConfig,
    PKIArchitecture,
    ServiceLabel,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from signer.trust.certificates import read_all, read_certificate
from signer.trust.chain import Material, judge_chain
from signer.trust.path import Paths
from signer.verdicts.policy import load_policy

AT = datetime(2026, 11, 20, tzinfo=UTC)
KEYS = ("root", "ca", "other", "responder", "signer")
CONFIG = """
keysets:
  odd:
    path-prefix: "."
    keys: {root: {path: root.pem}, ca: {path: ca.pem}, other: {path: other.pem},
           responder: {path: responder.pem}, signer: {path: signer.pem}}
pki-architectures:
  odd:
    keyset: odd
    entity-defaults: {country-name: VN, organization-name: TEST odd peers}
    entities:
      root: {common-name: Root}
      ca: {common-name: Issuing}
      other: {common-name: Other}
      responder: {common-name: Responder}
      signer: {common-name: Signer}
    certs:
      root:
        issuer: root
        validity: {valid-from: "2020-01-01T00:00:00+0000", valid-to: "2040-01-01T00:00:00+0000"}
        profiles: [{id: simple-ca, params: {crl-repo: root}}]
      ca:
        issuer: root
        validity: {valid-from: "2026-01-01T00:00:00+0000", valid-to: "2036-01-01T00:00:00+0000"}
        profiles: [{id: simple-ca, params: {crl-repo: ca, ocsp-service: proper}}]
      other:
        issuer: root
        validity: {valid-from: "2026-01-01T00:00:00+0000", valid-to: "2036-01-01T00:00:00+0000"}
        profiles: [{id: simple-ca, params: {crl-repo: root}}]
      good: &signer
        subject: signer
        issuer: ca
        validity: {valid-from: "2026-01-01T00:00:00+0000", valid-to: "2029-01-01T00:00:00+0000"}
        profiles: [digsig-commitment]
      another: {<<: *signer}
      revoked:
        <<: *signer
        revocation: {revoked-since: "2026-06-01T00:00:00+0000", reason: key_compromise}
      forged: {<<: *signer, authority-key: other}
      unknown-critical:
        <<: *signer
        extensions: [{id: "2.25.1", critical: true, value: !!binary "BQA="}]
      responder: &responder
        subject: responder
        issuer: ca
        validity: {valid-from: "2026-01-01T00:00:00+0000", valid-to: "2029-01-01T00:00:00+0000"}
        profiles: [ocsp-responder]
      responder-without-usage:
        <<: *responder
        profiles: [digsig-commitment]
      responder-of-another-ca: {<<: *responder, issuer: other}
      responder-expired:
        <<: *responder
        validity: {valid-from: "2026-01-01T00:00:00+0000", valid-to: "2026-02-01T00:00:00+0000"}
      responder-forged: {<<: *responder, authority-key: other}
    services:
      ocsp:
        proper: &ocsp {for-issuer: ca, responder-cert: responder, signing-key: responder}
        without-usage: {<<: *ocsp, responder-cert: responder-without-usage}
        of-another-ca: {<<: *ocsp, responder-cert: responder-of-another-ca}
        expired: {<<: *ocsp, responder-cert: responder-expired}
        forged: {<<: *ocsp, responder-cert: responder-forged}
        wrong-key: {<<: *ocsp, signing-key: other}
      crl-repo:
        root: {for-issuer: root, signing-key: root, simulated-update-schedule: P90D}
        ca: &crl {for-issuer: ca, signing-key: ca, simulated-update-schedule: P30D}
        wrong-key: {<<: *crl, signing-key: other}
        of-authorities: {<<: *crl, crl-type: ca-only}
        unknown-critical:
          <<: *crl
          crl-extensions: [{id: "2.25.2", critical: true, value: !!binary "BQA="}]
"""


@cache
def peers(directory: Path) -> PKIArchitecture:
    for name in KEYS:
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        (directory / f"{name}.pem").write_bytes(pem)
    config = CertomancerConfig.from_yaml(CONFIG, key_search_dir=str(directory))
    return config.get_pki_arch(ArchLabel("odd"))


@pytest.fixture(scope="module")
def arch(tmp_path_factory: pytest.TempPathFactory) -> PKIArchitecture:
    return peers(tmp_path_factory.mktemp("odd"))


def certificate(arch: PKIArchitecture, name: str) -> bytes:
    encoded: bytes = arch.get_cert(CertLabel(name)).dump()
    return encoded


def crl(arch: PKIArchitecture, name: str, at: datetime = AT) -> bytes:
    encoded: bytes = arch.service_registry.get_crl(ServiceLabel(name), at).dump()
    return encoded


def answer(arch: PKIArchitecture, service: str, about: str, at: datetime = AT) -> bytes:
    """An OCSP response about one certificate, as this responder gives it."""
    asked = arch.get_cert(CertLabel(about))
    issuer = arch.get_cert(CertLabel("ca"))
    cert_id = asn1_ocsp.CertId(
        {
            "hash_algorithm": {"algorithm": "sha1"},
            "issuer_name_hash": asked.issuer.sha1,
            "issuer_key_hash": issuer.public_key.sha1,
            "serial_number": asked.serial_number,
        }
    )
    request = asn1_ocsp.OCSPRequest({"tbs_request": {"request_list": [{"req_cert": cert_id}]}})
    responder = arch.service_registry.summon_responder(ServiceLabel(service), at)
    encoded: bytes = responder.build_ocsp_response(request).dump()
    return encoded


class Anchor:
    def __init__(self, arch: PKIArchitecture) -> None:
        self.anchors = (x509.load_der_x509_certificate(certificate(arch, "root")),)
        self.intermediates: tuple[x509.Certificate, ...] = ()


def judged(arch: PKIArchitecture, leaf: str, *evidence: bytes) -> list[str]:
    """The codes of what stands against `leaf`, with the root's list and this evidence in hand."""
    read = read_certificate(certificate(arch, leaf))
    assert read is not None
    policy = load_policy()
    paths = Paths(
        Anchor(arch),
        read_all([certificate(arch, name) for name in ("ca", "other")]),
        policy.limits.path_seconds,
    )
    proofs = dict.fromkeys((crl(arch, "root"), *evidence), AT)
    chain = judge_chain(read, AT, False, Material(paths, proofs, AT, policy))
    return [finding.code for finding in chain.findings]


def test_proper_statements_are_believed(arch: PKIArchitecture) -> None:
    """Before anything odd is refused for the right reason: the same software, configured well."""
    for about, said in (("good", []), ("revoked", ["validation-revoked"])):
        assert judged(arch, about, crl(arch, "ca")) == said
        assert judged(arch, about, answer(arch, "proper", about)) == said
    assert judged(arch, "good") == ["validation-revocation-missing"]


@pytest.mark.parametrize(
    "service", ["without-usage", "of-another-ca", "expired", "forged", "wrong-key"]
)
def test_an_answer_by_somebody_without_the_right_is_none(
    arch: PKIArchitecture, service: str
) -> None:
    """RFC 6960 §4.2.2.2: issued by the CA itself, with id-kp-OCSPSigning, and valid."""
    odd = answer(arch, service, "good")
    assert judged(arch, "good", odd) == judged(arch, "good")
    assert judged(arch, "revoked", odd, crl(arch, "ca")) == ["validation-revoked"]
    assert judged(arch, "revoked", answer(arch, service, "revoked")) == judged(arch, "revoked")


def test_an_answer_of_another_time_does_not_help(arch: PKIArchitecture) -> None:
    """RFC 6960 §4.2.2.1: one that is stale, and one from the future."""
    old = answer(arch, "proper", "good", AT - timedelta(days=60))
    assert judged(arch, "good", old) == ["validation-revocation-stale"]
    early = answer(arch, "proper", "good", AT + timedelta(days=2))
    assert judged(arch, "good", early) == judged(arch, "good")


def test_an_answer_about_another_certificate_is_none(arch: PKIArchitecture) -> None:
    """RFC 6960 §3.2 (1): "The certificate identified in a received response corresponds to the
    certificate that was identified in the corresponding request"."""
    assert judged(arch, "good", answer(arch, "proper", "another")) == judged(arch, "good")


@pytest.mark.parametrize("name", ["wrong-key", "of-authorities", "unknown-critical"])
def test_a_list_that_does_not_apply_is_none(arch: PKIArchitecture, name: str) -> None:
    """RFC 5280 §6.3.3: signature (g), scope (b), and §5.2: an unknown critical extension."""
    assert judged(arch, "good", crl(arch, name)) == judged(arch, "good")
    assert judged(arch, "revoked", crl(arch, name), crl(arch, "ca")) == ["validation-revoked"]


def test_a_stale_list_does_not_help(arch: PKIArchitecture) -> None:
    """EN 319 102-1 §5.2.5: fresh at the time of validation."""
    stale = crl(arch, "ca", AT - timedelta(days=90))
    assert judged(arch, "good", stale) == ["validation-revocation-stale"]


@pytest.mark.parametrize("leaf", ["forged", "unknown-critical"])
def test_a_certificate_that_is_not_right(arch: PKIArchitecture, leaf: str) -> None:
    """RFC 5280 §6.1.3 (a)(1) and §6.1.5 (f), whatever is said of its status."""
    assert judged(arch, leaf, crl(arch, "ca"), answer(arch, "proper", leaf))
