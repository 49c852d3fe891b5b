"""`dauso ca`, as an operator and two witnesses use it."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ca.names import Subject
from tests.api.test_command_line import ROOT, _environment, dauso, one_line
from tests.world import PROVINCE, WITNESSES


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The province's plan with keys that are made in milliseconds."""
    text = PROVINCE.read_text("utf-8")
    path = tmp_path_factory.mktemp("plan") / "quick.yaml"
    path.write_text(text.replace("rsa-4096", "p-256").replace("rsa-3072", "rsa-2048"), "utf-8")
    return path


def typed(answers: list[tuple[str, str]], *arguments: str | Path, home: Path) -> tuple[int, str]:
    """Run at a terminal; each passphrase is asked for unseen, and typed when it is asked for."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        command = [sys.executable, "-m", "api.commands", *map(str, arguments)]
        os.execve(sys.executable, command, _environment(home))
    shown = ""
    waiting = list(answers)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                got = os.read(terminal, 4096)
            except OSError:  # the program has ended
                break
            if not got:
                break
            shown += got.decode(errors="replace")
        if waiting and waiting[0][0] in shown.rpartition("\n")[2]:
            os.write(terminal, f"{waiting.pop(0)[1]}\n".encode())
            shown += "\n"
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


@pytest.fixture(scope="module")
def held(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose first ceremony two witnesses have held at a terminal."""
    home = tmp_path_factory.mktemp("ca") / "home"
    output = home.parent / "taken-along"
    first, second = WITNESSES
    prompts = [
        (f"{one.name}{again}:", one.passphrase) for one in (first, second) for again in ("", " (2)")
    ]
    code, shown = typed(prompts, "ca", "ceremony", plan, "--output", output, home=home)
    assert code == 0, shown
    assert all(one.passphrase not in shown for one in WITNESSES)
    return home


def test_a_dry_run_shows_and_keeps_nothing(plan: Path, tmp_path: Path) -> None:
    """A dry run with throw-away keys prints what would be signed."""
    home = tmp_path / "home"
    done = dauso("ca", "ceremony", plan, "--dry-run", "--lang", "en", home=home)
    assert done.returncode == 0, done.stderr
    for name in ("root", "persons-g1", "agencies-g1", "tsa-g1"):
        assert name in done.stdout
    assert "nothing was kept" in done.stdout
    assert not (home / "root").exists()
    assert dauso("ca", "list", home=home).stdout == ""


def test_two_witnesses_at_the_terminal(held: Path, plan: Path, tmp_path: Path) -> None:
    """Two witnesses approve (each authenticates), the log is signed and stored."""
    output = held.parent / "taken-along"
    (tmp_path / "audit.pub").write_bytes(
        x509.load_pem_x509_certificate((output / "audit-g1.pem").read_bytes())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    told = subprocess.run(
        [
            *("openssl", "dgst", "-sha256", "-verify", str(tmp_path / "audit.pub")),
            *("-signature", "ceremony.json.sig", "ceremony.json"),
        ],
        capture_output=True,
        text=True,
        cwd=output,
        check=False,
    )
    assert told.stdout.strip() == "Verified OK", told.stderr
    first, second = WITNESSES
    code, shown = typed(
        [(f"{first.name}:", first.passphrase), (f"{second.name}:", "sai câu mật khẩu")],
        *("ca", "ceremony", plan),
        home=held,
    )
    assert code == 1
    assert "Traceback" not in shown
    assert dauso("ca", "check", home=held).returncode == 0


def test_a_check_sees_what_an_interruption_left(held: Path, tmp_path: Path) -> None:
    """Finds unexplained intentions: it looks before anybody clears up, and writes nothing."""
    home = tmp_path / "home"
    shutil.copytree(held, home)
    with closing(sqlite3.connect(home / "dauso.sqlite")) as database, database:
        database.execute(
            "INSERT INTO ca_intentions (serial, issuer, profile, tbs_sha256, spki_sha256, subject,"
            " state, made_at, made_by) VALUES (?, 'persons-g1', 'official', ?, ?, 'CN=x', 'open',"
            " '2020-01-01 00:00:00.000000', 'system:test')",
            ("4" * 32, bytes(32), bytes(32)),
        )
    for _ in range(2):
        done = dauso("ca", "check", "--lang", "en", home=home)
        assert done.returncode == 1
        assert "intention-open" in done.stderr


def test_files_for_a_web_server(held: Path, tmp_path: Path) -> None:
    """CRLs and certificates also written as static files for a web server or CDN."""
    target = tmp_path / "pki"
    first = dauso("ca", "publish", target, home=held)
    assert first.returncode == 0, first.stderr
    assert {path.name for path in (target / "crl").iterdir()} >= {"root.crl", "persons-g1.crl"}
    listed = x509.load_der_x509_crl((target / "crl" / "persons-g1.crl").read_bytes())
    issuer = x509.load_der_x509_certificate(
        (target / "certificates" / "persons-g1.cer").read_bytes()
    )
    assert listed.issuer == issuer.subject
    assert dauso("ca", "publish", target, home=held).stdout == ""
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    refused = dauso("ca", "publish", in_the_way, home=held)
    assert refused.returncode == 1
    assert "file" in one_line(refused)


def test_requests_and_their_approval(held: Path, tmp_path: Path) -> None:
    """Approval bound to the exact request; nobody approves their own."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        Subject.service("some-system").to_x509()
    )
    csr = tmp_path / "request.pem"
    signed = builder.sign(key, hashes.SHA256())
    csr.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    waits = dauso(
        *("ca", "issue", csr, "--profile", "api-client", "-o", tmp_path / "c.pem"), home=held
    )
    assert waits.returncode == 0
    assert not (tmp_path / "c.pem").exists()
    (asked,) = map(json.loads, dauso("ca", "requests", "--json", home=held).stdout.splitlines())
    own = dauso("ca", "approve", asked["id"], "--digest", asked["digest"], home=held)
    assert own.returncode == 1
    done = dauso("ca", "reject", asked["id"], "--reason", "không cần nữa", home=held)
    assert done.returncode == 0
    assert dauso("ca", "requests", home=held).stdout == ""
