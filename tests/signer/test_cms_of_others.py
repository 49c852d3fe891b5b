"""CMS by `openssl cms` and pyHanko: keys, algorithms and shapes that our own desk never writes."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import algos, cms
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers

from ca.trust import TrustStore
from signer.cms_parts import CmsParts
from signer.trust.certificates import issued, read_all
from signer.trust.chain import Material, judge_chain
from signer.trust.path import Paths
from signer.verdicts.policy import load_policy, policy_ids
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from tests.signed_samples import MINUTE, chain_store, pki, plain_pdf, pyhanko_cert, pyhanko_key
from tests.small_pki import SIGNED_AT, Party, ec_key, issue, rsa_key

NOW = SIGNED_AT + 30 * MINUTE
DOCUMENT = "Công văn số 12\n".encode()
KEYS: dict[str, Any] = {
    "rsa": lambda: rsa_key("of others"),
    "p256": lambda: ec_key("of others"),
    "brainpool": lambda: ec.generate_private_key(ec.BrainpoolP384R1()),
    "koblitz": lambda: ec.generate_private_key(ec.SECP256K1()),
    "dsa": lambda: dsa.generate_private_key(1024),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@cache
def _party(kind: str) -> Party:
    return issue(f"Người dùng {kind}", KEYS[kind](), pki().issuing)


def _judged(data: bytes, *parties: Party, content: bytes | None = None) -> Report:
    trust = TrustStore((pki().root.certificate,), (pki().issuing.certificate,))
    evidence = pki().evidence(*parties)
    return validate(data, trust=trust, now=NOW, revocation=evidence, content=content)


def _openssl(folder: Path, *options: str, kinds: tuple[str, ...] = ("rsa",)) -> bytes:
    """A detached signature over DOCUMENT; the leaf certificates alone, as most programs do."""
    (folder / "document").write_bytes(DOCUMENT)
    signing: list[str] = []
    for kind in kinds:
        party = _party(kind)
        pem = party.certificate.public_bytes(Encoding.PEM) + party.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        (folder / f"{kind}.pem").write_bytes(pem)
        signing += ["-signer", f"{kind}.pem"]
    subprocess.run(
        [
            "openssl", "cms", "-sign", "-binary", "-in", "document", "-outform", "DER",
            "-out", "made.p7s", *signing, *options,
        ],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return (folder / "made.p7s").read_bytes()


@pytest.mark.parametrize(
    ("kinds", "options", "sub", "code"),
    [
        (("rsa",), ("-cades",), None, None),
        (("p256",), ("-cades", "-md", "sha384"), None, None),
        (("brainpool",), ("-cades",), None, None),
        (("rsa",), ("-cades", "-keyopt", "rsa_padding_mode:pss"), None, None),
        (
            ("rsa",),
            ("-cades", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha1"),
            "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
            "weak-mask",
        ),
        (("koblitz",), ("-cades",), "CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "weak-key"),
        (("rsa",), ("-cades", "-keyid"), None, None),
        (("rsa", "p256"), ("-cades",), None, None),
        (("rsa",), ("-cades", "-md", "sha1"), "CRYPTO_CONSTRAINTS_FAILURE_NO_POE", "weak-digest"),
        (("rsa",), ("-cades", "-md", "md5"), "CRYPTO_CONSTRAINTS_FAILURE", "unknown-algorithm"),
        (("dsa",), ("-cades",), "CRYPTO_CONSTRAINTS_FAILURE", "unknown-algorithm"),
        (("rsa",), (), "NO_SIGNING_CERTIFICATE_FOUND", "no-certificate-reference"),
        (("rsa",), ("-cades", "-nocerts"), "NO_SIGNING_CERTIFICATE_FOUND", "certificate-missing"),
        (("rsa",), ("-noattr",), "SIG_CONSTRAINTS_FAILURE", "cms-unsigned-attributes"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else None,
)
def test_by_openssl(
    kinds: tuple[str, ...],
    options: tuple[str, ...],
    sub: str | None,
    code: str | None,
    tmp_path: Path,
) -> None:
    """EN 319 102-1, table 5: what cannot be judged is INDETERMINATE; TOTAL_FAILED accuses somebody
    and is for what is wrong (5.2.7: SIG_CRYPTO_FAILURE, HASH_FAILURE)."""
    data = _openssl(tmp_path, *options, kinds=kinds)
    report = _judged(data, *map(_party, kinds), content=DOCUMENT)
    assert report.sub_indication == sub, report.to_text("en")
    assert len(report.signatures) == len(kinds)
    if code is not None:
        assert f"validation-{code}" in {one.code for one in report.signatures[0].findings}
    # What could not be checked accuses nobody of a change, and praises nobody either.
    said = report.to_text("en")
    assert "changes that are NOT allowed" not in said
    assert ("nothing was added" in said) is (report.signatures[0].signer is not None)
    if sub is None:
        changed = _judged(data, *map(_party, kinds), content=DOCUMENT + b" ")
        assert changed.sub_indication == "HASH_FAILURE"
        assert "changes that are NOT allowed" in changed.to_text("en")


def test_an_unknown_authority_is_all_that_is_told(tmp_path: Path) -> None:
    """EN 319 102-1 §5.1.3: NO_CERTIFICATE_CHAIN_FOUND. The certificate of a stranger is not
    thereby damaged: the reason that people read must be the one that is true."""
    data = _openssl(tmp_path, "-cades")
    report = validate(data, trust=TrustStore(()), now=NOW, content=DOCUMENT)
    assert report.sub_indication == "NO_CERTIFICATE_CHAIN_FOUND"
    (signature,) = report.signatures
    assert [one.code for one in signature.findings if one.sub] == ["validation-no-chain"]


def test_revocation_data_do_not_disappear_by_one_bit(tmp_path: Path) -> None:
    """RFC 5652 §10.2.1: a CertificateList or [1], nothing else. Found by flipping bits."""
    parts = CmsParts.read(_openssl(tmp_path, "-cades"))
    crl = pki().crl(pki().issuing, SIGNED_AT).public_bytes(Encoding.DER)
    for held, passes in ((crl, True), (bytes([crl[0] ^ 0x80]) + crl[1:], False)):
        data = replace(parts, revocation=(held,)).encode()
        assert _judged(data, _party("rsa"), content=DOCUMENT).passed is passes


def test_curves_and_masks_are_the_policys(tmp_path: Path) -> None:
    """TS 119 312 names P-256, P-384, P-521 and three of Brainpool's. Until 2026-2 length alone was
    asked; what was judged by that version stays explainable by it."""
    trust = TrustStore((pki().root.certificate,), (pki().issuing.certificate,))
    masked = ("-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_mgf1_md:sha1")
    for kind, options in (("koblitz", ()), ("rsa", masked)):
        data = _openssl(tmp_path, "-cades", *options, kinds=(kind,))
        lists = pki().evidence(_party(kind))
        told = {
            name: validate(
                data, trust=trust, now=NOW, revocation=lists, content=DOCUMENT,
                policy=load_policy(name),
            ).passed
            for name in policy_ids()
        }  # fmt: skip
        assert told == {
            "dauso-2026-1": True,
            "dauso-2026-2": True,
            "dauso-2026-3": False,
            "dauso-archive-2026-1": False,  # no time-stamp
            "dauso-archive-2026-2": False,
        }
    # A certificate that its issuer signed so is judged the same way.
    issuer = pki().issuing
    pem = issuer.certificate.public_bytes(Encoding.PEM) + issuer.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (tmp_path / "issuer.pem").write_bytes(pem)
    subprocess.run(
        [
            "openssl", "req", "-x509", "-new", "-key", "rsa.pem", "-CA", "issuer.pem",
            "-CAkey", "issuer.pem", "-subj", "/CN=TEST", "-outform", "DER", "-out", "weak.cer",
            "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_mgf1_md:sha1",
        ],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    weak, above = read_all([(tmp_path / "weak.cer").read_bytes(), issuer.der])
    assert issued(weak, above)
    paths = Paths(trust, [], seconds=2)
    chain = judge_chain(weak, NOW, False, Material(paths, {}, NOW, load_policy()))
    assert "validation-weak-mask" in {one.code for one in chain.findings}


def test_the_padding_of_rsa_has_an_end_of_its_own(tmp_path: Path) -> None:
    """TS 119 312 v1.5.1: RSA with PKCS #1 v1.5 is legacy until the end of 2028 whatever the key's
    length, RSASSA-PSS from 3000 bits on has no end. Asked of certificates and time-stamps too."""
    archive, general = load_policy("dauso-archive-2026-2"), load_policy()
    key = pki().issuing.key.public_key()
    for policy, day, ended in (
        (archive, dt.datetime(2028, 12, 31, tzinfo=dt.UTC), False),
        (archive, dt.datetime(2029, 1, 1, tzinfo=dt.UTC), True),
        (general, dt.datetime(2035, 1, 1, tzinfo=dt.UTC), False),
    ):
        told = policy.padding_findings(key, None, day, proven=True)
        assert [one.code for one in told] == ["validation-weak-padding"] * ended
        assert not policy.padding_findings(key, "sha256", day, proven=True)
        assert not policy.padding_findings(ec_key("x").public_key(), None, day, proven=True)
    party, trust = (
        _party("rsa"),
        TrustStore((pki().root.certificate,), (pki().issuing.certificate,)),
    )
    data = _openssl(tmp_path, "-cades")
    early = replace(general, rsa_pkcs1=SIGNED_AT)
    report = validate(
        data, trust=trust, now=NOW, revocation=pki().evidence(party), content=DOCUMENT, policy=early
    )
    assert report.sub_indication == "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    chain = judge_chain(
        read_all([party.der])[0], NOW, False, Material(Paths(trust, [], seconds=2), {}, NOW, early)
    )
    assert "validation-weak-padding" in {one.code for one in chain.findings}


def test_edwards_curves_are_verified_and_then_judged_by_the_policy() -> None:
    """RFC 8419: the mathematics of Ed25519 is checked; the policy does not name it, so the key is
    what stands against it, not the signature."""
    party = _party("ed25519")
    signer = signers.SimpleSigner(
        signing_cert=pyhanko_cert(party),
        signing_key=pyhanko_key(party),
        cert_registry=chain_store(party),
    )
    meta = signers.PdfSignatureMetadata(field_name="Sig1", md_algorithm="sha512")
    writer = IncrementalPdfFileWriter(io.BytesIO(plain_pdf()))
    data = signers.PdfSigner(meta, signer).sign_pdf(writer).getvalue()
    (signature,) = _judged(data, party).signatures
    assert signature.signer == "Người dùng ed25519"
    assert signature.sub_indication == "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"
    assert {one.code for one in signature.findings if one.sub} == {"validation-weak-key"}
    broken = bytes(data).replace(b"14 Tf", b"15 Tf", 1)
    assert _judged(broken, party).sub_indication == "HASH_FAILURE"


@pytest.mark.parametrize("name", ["sha3_256", "sha3_384", "sha3_512"])
@pytest.mark.parametrize(
    ("kind", "oids"),
    [("rsa", (14, 15, 16)), ("p256", (10, 11, 12)), ("rsa-pss", None)],
)
def test_sha3(name: str, kind: str, oids: tuple[int, ...] | None, tmp_path: Path) -> None:
    """RFC 9688 §3: id-rsassa-pkcs1-v1-5-with-sha3-…, id-ecdsa-with-sha3-…; TS 119 312 has them.

    EU DSS (BouncyCastle) names them so; `openssl cms` writes rsaEncryption beside the digest."""
    party = _party(kind.removesuffix("-pss"))
    made = _openssl(tmp_path, "-cades", kinds=(kind.removesuffix("-pss"),))
    info = cms.ContentInfo.load(made)
    signer = info["content"]["signer_infos"][0]
    number = ("sha3_256", "sha3_384", "sha3_512").index(name)
    algorithm = getattr(hashes, name.upper())()
    named = algos.DigestAlgorithm({"algorithm": name})
    info["content"]["digest_algorithms"] = [named]
    signer["digest_algorithm"] = named
    for one in signer["signed_attrs"]:
        if one["type"].native == "message_digest":
            one["values"] = [hashlib.new(name, DOCUMENT).digest()]
    octets = b"\x31" + cms.CMSAttributes(list(signer["signed_attrs"])).dump()[1:]
    if oids is not None:
        signer["signature_algorithm"] = algos.SignedDigestAlgorithm(
            {"algorithm": f"2.16.840.1.101.3.4.3.{oids[number]}"}
        )
        way = (padding.PKCS1v15(), algorithm) if kind == "rsa" else (ec.ECDSA(algorithm),)
    else:
        mask = {"algorithm": "mgf1", "parameters": named}
        parameters = {
            "hash_algorithm": named,
            "mask_gen_algorithm": mask,
            "salt_length": algorithm.digest_size,
        }
        signer["signature_algorithm"] = algos.SignedDigestAlgorithm(
            {"algorithm": "rsassa_pss", "parameters": algos.RSASSAPSSParams(parameters)}
        )
        way = (padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
    signer["signature"] = party.key.sign(octets, *way)
    data = cms.ContentInfo({"content_type": "signed_data", "content": info["content"].copy()}).dump(
        force=True
    )
    report = _judged(data, party, content=DOCUMENT)
    assert report.passed, report.to_text("en")
    assert _judged(data, party, content=DOCUMENT + b" ").sub_indication == "HASH_FAILURE"
    value = signer["signature"].native
    broken = data.replace(value, value[:-1] + bytes([value[-1] ^ 1]))
    assert _judged(broken, party, content=DOCUMENT).sub_indication == "SIG_CRYPTO_FAILURE"
