"""How fast others sign the same PDF: each peer is run as it is meant to be used."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)

from signer.cms import CmsTemplate
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender
from signer.signature import Pen, SignatureRequest, place_signature

if TYPE_CHECKING:
    from hsm.private_key import PrivateKey

HERE = Path(__file__).parent
PASSWORD = b"bench"  # guards a throw-away key that lives for one run


def software_key(folder: Path) -> Path:
    """An RSA-2048 key with a self-signed certificate, as PKCS#12 in a form old readers take too."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TEST bench")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # what node-forge reads
        .build(PASSWORD)
    )
    store = folder / "peer.p12"
    store.write_bytes(
        pkcs12.serialize_key_and_certificates(b"bench", key, certificate, None, encryption)
    )
    (folder / "peer.key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD))
    )
    (folder / "password").write_bytes(PASSWORD)
    return store


def _rate(command: list[str]) -> float:
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return float(run.stdout.strip().split("\t")[-1])


def pdfbox(store: Path, pdf: Path, seconds: float) -> float | str:
    """Apache PDFBox with BouncyCastle on a warm JVM; a reason where it cannot run."""
    folder = HERE / "pdfbox"
    if not (shutil.which("java") and shutil.which("mvn")):
        return "no JVM or Maven here"
    built, source = folder / "target/classes/Peer.class", folder / "src/main/java/Peer.java"
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        build = subprocess.run(
            ["mvn", "-q", "-B", "package"], cwd=folder, capture_output=True, timeout=300
        )
        if build.returncode:
            return "its Maven artifacts could not be had"
    classes = f"{folder}/target/classes:{folder}/target/lib/*"
    # One processor: the row is documents per second per core.
    command = ["java", "-XX:ActiveProcessorCount=1", "-XX:+UseSerialGC", "-cp", classes, "Peer"]
    password = store.parent / "password"
    if shutil.which("taskset"):
        command = ["taskset", "-c", "0", *command]
    return _rate([*command, str(store), str(password), str(pdf), str(seconds)])


def ours(store: Path, pdf: Path, seconds: float) -> float:
    """This house's own writer with the same software key, by the same clock, on the same core.

    What `pdfbox` does and no more: read, sign, one whole file in memory; the value is checked with
    the public key as always.
    """
    key, certificate, _ = pkcs12.load_key_and_certificates(store.read_bytes(), PASSWORD)
    assert certificate is not None
    data = pdf.read_bytes()
    pen = Pen(CmsTemplate(certificate), cast("PrivateKey", key), "TEST bench")

    def one() -> bytes:
        with Document.open(Original.of(data)) as document:
            document.require_signable()
            appender, now = Appender(document), datetime.now(UTC)
            place_signature(
                appender, pen, SignatureRequest(), stamp=None, time_stamper=None, now=now
            )
            return appender.whole()

    def rate() -> float:
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            one()
            count += 1
        return count / (time.perf_counter() - started)

    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        rate()
        return sorted(rate() for _ in range(3))[1]
    finally:
        os.sched_setaffinity(0, before)


def signpdf(store: Path, pdf: Path, seconds: float) -> float | str:
    """node-signpdf with its own PKCS#12 signer; a reason where it cannot run."""
    folder = HERE / "signpdf"
    if not (shutil.which("node") and shutil.which("npm")):
        return "no Node.js here"
    if not (folder / "node_modules").is_dir():
        install = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=folder,
            capture_output=True,
            timeout=300,
        )
        if install.returncode:
            return "its npm packages could not be had"
    password = store.parent / "password"
    return _rate(
        ["node", str(folder / "sign.js"), str(store), str(password), str(pdf), str(seconds)]
    )


def endesive(store: Path, pdf: Path, seconds: float) -> float:
    """endesive with the same software key, invisible signature."""
    import sys
    import types

    # Its verifier imports oscrypto, which cannot read the version "3.0.19" of libcrypto; signing
    # needs none of it.
    verifier = types.ModuleType("endesive.pdf.verify")
    verifier.PDFVerifier = verifier.verify = None  # type: ignore[attr-defined]  # a stand-in
    sys.modules.setdefault("endesive.pdf.verify", verifier)
    from endesive.pdf import cms

    key, certificate, others = pkcs12.load_key_and_certificates(store.read_bytes(), PASSWORD)
    document = pdf.read_bytes()
    settings = {
        "sigflags": 3,
        "contact": "",
        "location": "",
        "signingdate": "20261123000000Z",
        "reason": "",
    }
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        cms.sign(document, settings, key, certificate, others, "sha256")
        count += 1
    return count / (time.perf_counter() - started)


def pdfsig(store: Path, pdf: Path, seconds: float) -> float | str:
    """poppler's `pdfsig -add-signature`, one process a document as it is made to be used."""
    if not (shutil.which("pdfsig") and shutil.which("certutil") and shutil.which("pk12util")):
        return "poppler-utils or libnss3-tools is not installed"
    folder = store.parent
    database = folder / "nss"
    database.mkdir(exist_ok=True)
    password = str(folder / "password")
    quiet = {"capture_output": True, "check": True, "timeout": 60}
    subprocess.run(["certutil", "-N", "-d", str(database), "--empty-password"], **quiet)  # type: ignore[call-overload]  # keyword bundle
    subprocess.run(
        ["pk12util", "-i", str(store), "-d", str(database), "-w", password, "-K", ""], **quiet
    )  # type: ignore[call-overload]  # keyword bundle
    target = folder / "pdfsig.pdf"
    command = [
        "pdfsig",
        "-nssdir",
        str(database),
        "-nick",
        "bench",
        "-add-signature",
        str(pdf),
        str(target),
    ]
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        target.unlink(missing_ok=True)
        subprocess.run(command, **quiet)  # type: ignore[call-overload]  # keyword bundle
        count += 1
    return count / (time.perf_counter() - started)
