"""Hostile files: a verdict or "unreadable" within seconds, never an exception."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records.errors import catalogue
from signer.verdicts.report import Report
from signer.verdicts.sandbox import Confinement, Pool
from signer.verdicts.validation import validate
from tests.pdf_surgery import append, changed, opened, patched, size_of
from tests.signed_samples import pki, plain_pdf, raised, signed
from tests.signer.test_validation import NOW, codes, judged, trust
from tests.small_pki import SIGNED_AT

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    made = Pool(1, Confinement(seconds=10, cpu_seconds=4, memory=1 << 30, files=50))
    yield made
    made.close()


def _raw(objects: dict[int, bytes], trailer: bytes = b"/Root 1 0 R") -> bytes:
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, text in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    where, size = len(out), max(objects) + 1
    out += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in places.items():
        out += b"%d 1\n%010d 00000 n \n" % (number, place)
    return bytes(
        out + b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, where)
    )


_CATALOG = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [5 0 R] /SigFlags 3 >> >>"
_SIGNATURE = b"<< /FT /Sig /T (S) /V << /Type /Sig /SubFilter /ETSI.CAdES.detached >> >>"


def _bomb() -> bytes:
    """An object stream of 100 kB that inflates to 100 MB."""
    packed = zlib.compress(b"5 0 " + b" " * (100 << 20), 9)
    length = b"/Length %d" % len(packed)
    stream = b"<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode %s >>\nstream\n" % length
    out = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, text in {1: _CATALOG, 2: b"<< /Type /Pages /Kids [] /Count 0 >>",
                         3: stream + packed + b"\nendstream"}.items():  # fmt: skip
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, text)
    where = len(out)
    rows = b"\0" * 7
    for number in (1, 2, 3):
        rows += b"\1" + places[number].to_bytes(4, "big") + b"\0\0"
    rows += b"\0" * 7 + b"\2" + (3).to_bytes(4, "big") + b"\0\0"
    out += b"6 0 obj\n<< /Type /XRef /Size 6 /W [1 4 2] /Root 1 0 R /Length %d >>\nstream\n" % (
        len(rows)
    )
    return bytes(out + rows + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % where)


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "text": b"This is no PDF.",
    "header only": b"%PDF-1.7\n",
    "flate bomb": _bomb(),
    "page tree cycle": _raw({1: _CATALOG, 2: b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>",
                             5: _SIGNATURE}),
    "count of two billion": _raw({1: _CATALOG, 2: b"<< /Type /Pages /Kids [] /Count 2000000000 >>",
                                  5: _SIGNATURE}),
    "field cycle": _raw({1: _CATALOG, 2: b"<< /Type /Pages /Kids [] /Count 0 >>",
                         5: b"<< /FT /Sig /Kids [5 0 R 5 0 R] /Parent 5 0 R >>"}),
    "deep arrays": _raw({1: _CATALOG, 2: b"<< /Type /Pages /Kids [] /Count 0 >>",
                         5: b"<< /FT /Sig /T (S) /V " + b"[" * 100_000 + b"]" * 100_000 + b" >>"}),
    "deep dictionaries": _raw({1: b"<< /A " * 20_000 + b"1" + b" >>" * 20_000}),
    "xref loop": b"%PDF-1.7\nxref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 1 /Prev 9 "
                 b"/Root 1 0 R >>\nstartxref\n9\n%%EOF\n",
    "huge object number": _raw({1: _CATALOG, 2: b"<< /Type /Pages /Kids [] /Count 0 >>",
                                5: b"<< /FT /Sig /V 99999999 0 R >>"}),
    "size of two billion": _raw({1: _CATALOG, 2: b"<< /Type /Pages /Kids [] /Count 0 >>",
                                 5: _SIGNATURE}).replace(b"/Size 6", b"/Size 2000000000"),
    "root is a number": _raw({1: b"7"}),
    "names all over": _raw({1: b"<< /Type /Catalog /Pages /X /AcroForm /Y /DSS /Z /Perms 3 >>"}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_files_are_answered_in_seconds(name: str, pool: Pool, tmp_path: Path) -> None:
    """Bombs, cycles, deep trees, huge counts: never a crash, never a pass."""
    path = tmp_path / "hostile.pdf"
    path.write_bytes(HOSTILE[name])
    pool.validate(b"", trust=trust(), now=NOW)  # starting is not what is measured
    begin = time.monotonic()
    report = pool.validate(path, trust=trust(), now=NOW)
    assert time.monotonic() - begin < 30
    assert not report.passed
    assert report.exit_code in (1, 2, 3)
    assert report.file == "hostile.pdf"
    for language in ("vi", "en"):
        assert report.to_text(language)
    known = catalogue("en")
    assert all(found.code in known for found in report.findings)
    # The pool goes on.
    assert pool.validate(signed("LTA", 2), trust=trust(), now=NOW).passed


def _encrypted() -> bytes:
    out = io.BytesIO()
    with opened(plain_pdf()) as pdf:
        pdf.save(out, encryption=pikepdf.Encryption(owner="o", user=""))
    return out.getvalue()


def test_encrypted_files_are_unreadable() -> None:
    """An encrypted file gets one clear word, not a verdict."""
    report = judged(_encrypted())
    assert report.exit_code == 3
    assert codes(report) == {"validation-encrypted"}


def test_xfa_is_never_passed_and_scripts_are_told() -> None:
    """XFA draws what it likes; JavaScript and launch actions are said aloud."""
    made = pki()
    base = plain_pdf(form=True)
    pdf = opened(base)
    form = pdf.Root.AcroForm
    xfa = append(base, {form.objgen[0]: changed(form, XFA=b"(x)")})
    report = judged(raised(xfa, made, made.official, 1, SIGNED_AT, "LT"))
    assert not report.passed
    assert "validation-xfa" in codes(report)
    for action in (b"<< /S /JavaScript /JS (1) >>", b"<< /S /Launch /F (x) >>"):
        active = append(base, {pdf.Root.objgen[0]: changed(pdf.Root, OpenAction=action)})
        report = judged(raised(active, made, made.official, 1, SIGNED_AT, "LT"))
        assert report.passed
        assert "validation-active-content" in codes(report)


def test_worker_that_dies_or_hangs_costs_one_file(tmp_path: Path) -> None:
    """A killed child makes its file unreadable; the next one gets a new child."""
    pool = Pool(1, Confinement(seconds=0.01))
    try:
        report = pool.validate(signed("LTA", 2), trust=trust(), now=NOW)
        assert codes(report) == {"validation-too-slow"}
        assert report.exit_code == 3
    finally:
        pool.close()
    pool = Pool(1, Confinement(memory=220 << 20, seconds=20))
    try:
        path = tmp_path / "large.pdf"
        path.write_bytes(signed("LTA", 1) + b"\n" * (200 << 20))
        report = pool.validate(path, trust=trust(), now=NOW)
        assert report.exit_code == 3
    finally:
        pool.close()


def test_pool_replaces_workers_and_names_files(tmp_path: Path) -> None:
    """A worker serves so many files and no more; results do not depend on it."""
    pool = Pool(1, Confinement(files=2))
    path = tmp_path / "văn bản.pdf"
    path.write_bytes(signed("LTA", 2))
    try:
        found = [pool.validate(path, trust=trust(), now=NOW) for _each in range(5)]
    finally:
        pool.close()
    assert all(report.passed for report in found)
    expected = judged(path.read_bytes()).named("văn bản.pdf")
    assert found[-1].details() == expected.details()


def test_files_that_are_not_there(pool: Pool, tmp_path: Path) -> None:
    """Absent, a folder, a device: one clear word."""
    for path in (tmp_path / "none.pdf", tmp_path, Path("/dev/zero")):
        report = pool.validate(path, trust=trust(), now=NOW)
        assert report.exit_code == 3
        assert codes(report) == {"validation-no-file"}


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX resource limits")
def test_workers_know_no_database_and_no_token() -> None:
    """What reads a stranger's file has nothing else at hand, and starts in a moment."""
    loads = (
        "import sys, signer.verdicts.sandbox_worker, signer.verdicts.validation, "
        "signer.verdicts.revision_pages, signer.reports.writing; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", loads], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split())
    assert {"signer", "pikepdf"} <= loaded
    assert not loaded & {"hsm", "pkcs11", "sqlalchemy", "psycopg", "pkilint", "api", "certify"}


def test_workers_may_not_write_files() -> None:
    """RLIMIT_FSIZE is zero in a worker: a parser's bug writes nothing to disk."""
    from signer.verdicts import sandbox_worker

    assert "RLIMIT_FSIZE, (0, 0)" in Path(sandbox_worker.__file__).read_text("utf-8")


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_damage_never_escapes(data: st.DataObject) -> None:
    """Any damage anywhere gives a report, and never a better one."""
    whole = signed("LTA", 1)
    at = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=12))
    damaged = patched(whole, at, junk)[: len(whole)]
    report = validate(damaged, trust=trust(), now=NOW)
    assert isinstance(report, Report)
    if damaged != whole:
        assert not report.passed


def test_fifty_signatures_are_quick() -> None:
    """A document with 50 signatures is a matter of seconds; how many, the bench measures."""
    made = pki()
    data = plain_pdf()
    from tests.signed_samples import sign

    for number in range(50):
        data = sign(data, made, made.official, f"S{number}", SIGNED_AT, timestamp=False)
    evidence = made.evidence(made.official, at=NOW)
    begin = time.process_time()
    report = judged(data, evidence=evidence)
    assert time.process_time() - begin < 20
    assert len(report.signatures) == 50
    assert report.passed


def test_unreferenced_giants_do_not_matter() -> None:
    """Five thousand objects are walked in a moment."""
    made = pki()
    base = plain_pdf()
    pdf = opened(base)
    new = size_of(pdf)
    many = {new + i: b"[%d 0 R]" % (new + i + 1) for i in range(5_000)}
    large = append(base, {**many, pdf.Root.objgen[0]: changed(pdf.Root, Chain=b"%d 0 R" % new)})
    data = raised(large, made, made.official, 1, SIGNED_AT, "LT")
    begin = time.process_time()
    assert judged(data).passed
    assert time.process_time() - begin < 20
