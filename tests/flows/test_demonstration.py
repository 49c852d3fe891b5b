"""The whole main job as a new user runs it, judged by programs nobody here wrote.

`dauso demo` runs once for this module; every test looks at what it left.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pikepdf
import pypdfium2
import pytest
import zxingcpp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.interop import maven_judges

ROOT = Path(__file__).parent.parent.parent
PROMISED = {
    "decision-signed.pdf",
    "certified-copy.pdf",
    "certificates/root.cer",
    "certificates/tsa.cer",
    "certificates/official.cer",
    "certificates/agency.cer",
    "certificates/chain.pem",
    "validation.json",
    "register.pdf",
    "summary.json",
}


def dauso(*arguments: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "DAUSO_HOME": str(home / "var"),
        "LANG": "en_US.UTF-8",
        "PYTHONPATH": str(ROOT),
        **more,
    }
    return subprocess.run(
        [sys.executable, "-m", "api.commands", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def made(home: Path) -> Path:
    """The output directory of one run."""
    run = dauso("demo", "--output", str(home / "out"), home=home)
    assert run.returncode == 0, run.stdout + run.stderr
    return home / "out"


@pytest.fixture(scope="module")
def root(made: Path) -> Path:
    """The root as PEM, for the judges that want it so."""
    pem = made / "root.pem"
    pem.write_bytes(
        x509.load_der_x509_certificate((made / "certificates/root.cer").read_bytes()).public_bytes(
            Encoding.PEM
        )
    )
    return pem


def test_leaves_what_it_promises(made: Path) -> None:
    """`--output DIR` leaves the two documents, the certificates, CRLs, reports and a summary."""
    left = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert left >= PROMISED
    assert {path.name for path in (made / "crl").iterdir()} == {
        f"{issuer}.crl" for issuer in ("root", "persons-g1", "agencies-g1", "services-g1")
    }
    summary = json.loads((made / "summary.json").read_text("utf-8"))
    assert summary["certified_copy"]["number"] == "01"
    for name, digest in summary["files"].items():
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == digest


def test_its_data_is_the_owners_alone(made: Path, home: Path) -> None:
    """Data under `DAUSO_HOME` is readable by the owner only."""
    assert made.is_dir()
    for path in (home / "var" / "demo").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_no_secret_is_left_in_the_results(made: Path, home: Path) -> None:
    """Secrets (PINs, keys, tokens) never reach logs, errors, argv or what is handed out."""
    secrets = [path.read_bytes().strip() for path in (home / "var/demo/secrets").iterdir()]
    assert secrets
    for path in made.rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path


@pytest.mark.parametrize("holder", ["official", "agency", "tsa", "ocsp-persons-g1"])
def test_openssl_verifies_each_chain(made: Path, root: Path, holder: str) -> None:
    """RFC 5280 §6: a path from the trust anchor to each certificate, CRLs checked."""
    leaf = x509.load_der_x509_certificate((made / f"certificates/{holder}.cer").read_bytes())
    pem = made / f"{holder}.pem"
    pem.write_bytes(leaf.public_bytes(Encoding.PEM))
    lists = []
    for path in (made / "crl").iterdir():
        crl = x509.load_der_x509_crl(path.read_bytes())
        (made / f"{path.stem}.crl.pem").write_bytes(crl.public_bytes(Encoding.PEM))
        lists += ["-CRLfile", str(made / f"{path.stem}.crl.pem")]
    command = ["openssl", "verify", "-x509_strict", "-crl_check_all", "-CAfile", str(root), *lists]
    chain = ["-untrusted", str(made / "certificates/chain.pem")]
    run = subprocess.run([*command, *chain, str(pem)], capture_output=True, text=True)
    assert run.stdout.strip().endswith("OK"), run.stdout + run.stderr


@pytest.mark.parametrize("name", ["decision-signed.pdf", "certified-copy.pdf"])
def test_poppler_finds_both_signatures_whole(made: Path, name: str) -> None:
    """Another reader's eye: both signatures' digests intact (it does not read time-stamps)."""
    run = subprocess.run(["pdfsig", "-nocert", str(made / name)], capture_output=True, text=True)
    assert run.stdout.count("Signature Validation: Signature is Valid") == 2, run.stdout
    assert run.stdout.count("ETSI.CAdES.detached") == 2


@pytest.mark.parametrize("name", ["decision-signed.pdf", "certified-copy.pdf", "register.pdf"])
def test_qpdf_finds_no_fault(made: Path, name: str) -> None:
    """qpdf --check: syntax and streams without a warning."""
    run = subprocess.run(["qpdf", "--check", str(made / name)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("name", ["decision-signed.pdf", "certified-copy.pdf", "register.pdf"])
def test_stays_pdfa(made: Path, name: str) -> None:
    """ISO 19005-2: what went in as PDF/A-2b comes out as PDF/A-2b, signatures included."""
    import page

    report = page.validate_pdf_bytes((made / name).read_bytes(), profile="2b")
    found = {failure.rule_id for failure in report.failures}
    # It expects every signature to reach the end of the file; §6.4.3 asks that of the revision
    # that the signature closes, which is also how veraPDF reads it (next test).
    assert found <= {"PDFA2B-SIGNATURE-BYTERANGE-001"}


def test_verapdf_agrees(made: Path) -> None:
    """ISO 19005-2, by the reference validator."""
    if reason := maven_judges.why_absent("verapdf"):
        pytest.skip(reason)
    names = ["decision-signed.pdf", "certified-copy.pdf", "register.pdf"]
    verdicts = maven_judges.verapdf([made / name for name in names])
    assert len(verdicts) == 3
    assert not any(verdicts.values()), verdicts


def test_eu_dss_agrees(made: Path, root: Path) -> None:
    """EN 319 102-1 by EU DSS: both signatures of both documents pass, as PAdES-BASELINE-LTA."""
    if reason := maven_judges.why_absent("dss"):
        pytest.skip(reason)
    files = [made / "decision-signed.pdf", made / "certified-copy.pdf"]
    verdicts = maven_judges.dss(files, trust=[root])
    assert len(verdicts) == 4
    for verdict in verdicts:
        assert verdict.indication == "TOTAL_PASSED", verdict
        assert verdict.level == "PAdES-BASELINE-LTA", verdict


def test_pyhanko_agrees(made: Path, root: Path) -> None:
    """pyHanko's own validator: each signature intact, trusted, and nothing suspicious after it."""
    from pyhanko.keys import load_cert_from_pemder
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    for name in ("decision-signed.pdf", "certified-copy.pdf"):
        reader = PdfFileReader(io.BytesIO((made / name).read_bytes()))
        signatures = reader.embedded_regular_signatures
        assert len(signatures) == 2
        for signature in signatures:
            context = ValidationContext(
                trust_roots=[load_cert_from_pemder(str(root))], allow_fetching=False
            )
            status = validate_pdf_signature(
                signature,
                context,
                key_usage_settings=None,
                diff_policy=None,
                skip_diff=False,
            )
            assert status.intact
            assert status.valid
            assert status.modification_level.name in {"NONE", "LTA_UPDATES", "FORM_FILLING"}


def test_its_own_verdicts(made: Path, home: Path, root: Path) -> None:
    """`dauso validate` needs no instance when told whom to trust; exit 0 is TOTAL_PASSED."""
    files = [str(made / "decision-signed.pdf"), str(made / "certified-copy.pdf")]
    run = dauso("validate", *files, "--trust", str(root), "--json", home=home / "nowhere")
    assert run.returncode == 0, run.stdout + run.stderr
    reports = [json.loads(line) for line in run.stdout.splitlines()]
    assert [report["indication"] for report in reports] == ["TOTAL_PASSED"] * 2
    for report in reports:
        levels = [signature["level"] for signature in report["signatures"]]
        assert levels == ["PAdES-BASELINE-LTA"] * 2
    untrusted = dauso(
        "validate", *files, "--json", "--trust", str(made / "official.pem"), home=home
    )
    assert untrusted.returncode == 2


def test_the_qr_leads_to_the_copy(made: Path) -> None:
    """A QR with the verification address on every page, readable from the rendered page."""
    summary = json.loads((made / "summary.json").read_text("utf-8"))
    document = pypdfium2.PdfDocument(made / "certified-copy.pdf")
    document.init_forms()
    for page in document:
        image = page.render(scale=200 / 72).to_pil().convert("L")
        read = {barcode.text for barcode in zxingcpp.read_barcodes(image)}
        assert summary["certified_copy"]["address"] in read


def test_vietnamese_copies_out_right(made: Path) -> None:
    """Unicode text (decree 30/2020): what a reader copies is what is printed."""
    run = subprocess.run(
        ["pdftotext", "-layout", str(made / "certified-copy.pdf"), "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "CHỨNG THỰC BẢN SAO ĐÚNG VỚI BẢN CHÍNH" in run.stdout
    assert "Lê Văn Thử" in run.stdout


def test_the_signature_is_drawn_where_it_belongs(made: Path) -> None:
    """Decree 30/2020 annex I: blue signature above the name, red seal one third over its left."""
    document = pikepdf.open(made / "decision-signed.pdf")
    fields = [field for field in document.Root.AcroForm.Fields if "/Rect" in field]
    boxes = [[float(x) for x in field.Rect] for field in fields if float(field.Rect[2]) > 1]
    assert len(boxes) == 2
    person, seal = boxes
    overlap = min(person[2], seal[2]) - max(person[0], seal[0])
    assert seal[0] < person[0]
    assert 0.2 < overlap / (person[2] - person[0]) < 0.5
    assert abs((seal[2] - seal[0]) - 36 * 72 / 25.4) < 1


def test_keys_are_sealed_at_the_full_cost(made: Path, home: Path) -> None:
    """RFC 9106 §4, second option: 64 MiB, three passes, four lanes. Tests elsewhere take less."""
    assert made.is_dir()
    with closing(sqlite3.connect(home / "var/demo/dauso.sqlite")) as left:
        seals = [seal for (seal,) in left.execute("SELECT sealed_key FROM signer_credentials")]
    assert len(seals) == 2
    for seal in seals:  # magic, version, kind (a PIN's), KiB, passes, lanes
        assert struct.unpack_from(">2sBBIHB", seal) == (b"DS", 1, 1, 64 * 1024, 3, 4)


def test_the_audit_log_is_whole(made: Path, home: Path) -> None:
    """`dauso audit verify` proves the log of the run; every act has its entry."""
    assert made.is_dir()
    run = dauso("audit", "verify", home=home, DAUSO_HOME=str(home / "var/demo"))
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_checkpoint_kept_elsewhere_is_compared(made: Path, home: Path) -> None:
    """A history rewritten together with its checkpoints contradicts one that was kept elsewhere."""
    assert made.is_dir()
    place = str(home / "var/demo")
    none = dauso("audit", "checkpoint", home=home, DAUSO_HOME=place)
    assert none.returncode == 1
    false = home / "false.txt"
    false.write_text("dauso.audit\n3\n" + "A" * 43 + "=\ntime 2026-11-23T00:00:00+00:00\n\n— x y\n")
    run = dauso("audit", "verify", "--kept", str(false), home=home, DAUSO_HOME=place)
    assert run.returncode == 1, run.stdout + run.stderr
    false.write_text("not a checkpoint")
    run = dauso("audit", "verify", "--kept", str(false), home=home, DAUSO_HOME=place)
    assert run.returncode == 1
    assert "Traceback" not in run.stderr


def test_a_second_run_begins_anew(made: Path, home: Path) -> None:
    """The demonstration can be repeated; it never empties a directory that is not its own."""
    other = home / "other"
    (other / "demo").mkdir(parents=True)
    (other / "demo" / "somebody's file").touch()
    run = dauso("demo", "--output", str(home / "again"), home=home, DAUSO_HOME=str(other))
    assert run.returncode == 1
    assert (other / "demo" / "somebody's file").exists()
    assert "Traceback" not in run.stderr
    shutil.rmtree(other)


def test_something_waits_on_each_desk(made: Path, home: Path) -> None:
    """Whoever sits down finds work: a document at its first step, a visitor with an hour, copies;
    the file with the links names everybody and their PINs."""
    assert made.is_dir()
    place = home / "var/demo"
    with closing(sqlite3.connect(place / "dauso.sqlite")) as left:
        documents = left.execute("SELECT state, position FROM signer_routed_documents").fetchall()
        visitors = left.execute("SELECT state, unit FROM certify_appointments").fetchall()
    assert documents == [("under-way", 0)]
    assert visitors == [("booked", "14797")]
    told = (place / "sign-in.txt").read_text("utf-8")
    for name in ("Lê Văn Thử", "Phạm Thị Ví Dụ", "Hoàng Văn Mẫu", "Nguyễn Thị Mẫu"):
        assert name in told
    assert told.count("/sign-in/link/") == 5
