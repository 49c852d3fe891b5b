"""The command line as a user meets it: one clear line for a mistake, the promised exit codes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from records.database import Database
from signer import signing
from signer.keys import activation
from signer.levels import Level
from signer.signature import SignatureRequest
from tests import postgres
from tests.certify.town_hall import DEMO, PIN, town_hall
from tests.world import ONE_DATABASE, World

ROOT = Path(__file__).parents[2]


def dauso(
    *arguments: str | Path, home: Path, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "api.commands", *map(str, arguments)],
        cwd=ROOT,
        env=_environment(home, **environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAUSO_")}
    return {**kept, "LANG": "C.UTF-8", "LC_ALL": "", "DAUSO_HOME": str(home), **more}


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Standard error is exactly one line, and no trace."""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def _migrate(address: str) -> None:
    database = Database(address)
    database.migrate()
    database.dispose()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded instance after its first run."""
    path = tmp_path_factory.mktemp("instance") / "home"
    code = (
        "from datetime import UTC, datetime\n"
        "from api.first_run import create\n"
        "from api.settings import Settings\n"
        "if __name__ == '__main__':\n"
        "    create(Settings.from_environment(), now=datetime.now(UTC), by='operator:test')"
        ".close()\n"
    )
    script = path.parent / "first_run.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={**_environment(path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return path


def test_help_and_unknown_commands(tmp_path: Path) -> None:
    """`dauso help` names every command; a misspelt one is one line."""
    helped = dauso("help", home=tmp_path)
    assert helped.returncode == 0
    for name in ("serve", "sign", "certify", "validate", "ca", "doctor"):
        assert f"dauso {name}" in helped.stdout
    wrong = dauso("sgin", home=tmp_path)
    assert wrong.returncode == 64
    assert "sgin" in one_line(wrong)


def test_languages(tmp_path: Path) -> None:
    """Vietnamese, unless the locale or --lang says English."""
    absent = tmp_path / "none"
    assert "Chưa có thư mục" in one_line(dauso("audit", "verify", home=absent))
    english = dauso("audit", "verify", "--lang", "en", home=absent)
    assert "no data directory" in one_line(english)
    located = dauso("audit", "verify", home=absent, LANG="en_GB.UTF-8")
    assert "no data directory" in one_line(located)


@ONE_DATABASE
def test_validate_exit_codes(world: World, tmp_path: Path) -> None:
    """0 passed, 1 failed, 2 indeterminate, 3 unreadable; without any instance."""
    hall = town_hall(world)
    data = (DEMO / "decision.pdf").read_bytes()
    authorization = activation.authorize(
        world.desk,
        credential_id=hall.person.id,
        pin=PIN,
        digests=[signing.document_digest(data)],
        client="client:test",
        now=world.now,
        by="operator:test",
    )
    signed = signing.sign_pdf(
        world.desk,
        data,
        SignatureRequest(level=Level.B_LTA),
        authorization=authorization,
        now=world.now,
        by="operator:test",
    ).data
    good, bad, open_, broken = (tmp_path / f"{name}.pdf" for name in ("0", "1", "2", "3"))
    good.write_bytes(signed)
    at = signed.index(b"/MediaBox")
    bad.write_bytes(signed[:at] + b"/MediaBux" + signed[at + 9 :])
    open_.write_bytes(data)
    broken.write_bytes(b"not a pdf at all")
    anchor = tmp_path / "root.pem"
    root = world.authority.issuer("root").certificate
    anchor.write_bytes(root.public_bytes(Encoding.PEM))
    nowhere = tmp_path / "nowhere"
    for path, code in ((good, 0), (bad, 1), (open_, 2), (broken, 3)):
        done = dauso("validate", path, "--trust", anchor, "--json", home=nowhere)
        assert done.returncode == code, done.stdout + done.stderr
        report = json.loads(done.stdout)
        assert set(report) == {"file", "indication", "sub_indication", "signatures"}
        assert report["file"] == str(path)
    (one,) = json.loads(dauso("validate", good, "--trust", anchor, "--json", home=nowhere).stdout)[
        "signatures"
    ]
    assert set(one) == {
        *("indication", "sub_indication", "signer", "level", "signing_time"),
        *("best_signature_time", "covers_whole_file", "changes"),
    }
    several = dauso("validate", good, open_, broken, "--trust", anchor, "--json", home=nowhere)
    assert several.returncode == 3
    assert len(several.stdout.splitlines()) == 3
    # Without an anchor nothing is believed; a file that is not there cannot be read.
    assert dauso("validate", good, home=nowhere).returncode == 2
    assert dauso("validate", tmp_path / "absent.pdf", home=nowhere).returncode == 3
    assert dauso("validate", good, "--trust", open_, home=nowhere).returncode == 3
    assert dauso("validate", good, "--at", "soon", home=nowhere).returncode == 3
    assert dauso("validate", home=nowhere).returncode == 64


def test_serve(home: Path, tmp_path: Path) -> None:
    """API, pages and worker in one process; a second one on the port says so in one line."""
    port = free_port()
    environment = _environment(home, DAUSO_PORT=port)
    server = subprocess.Popen(
        [sys.executable, "-m", "api.commands", "serve"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=(tmp_path / "log").open("w"),
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            for _ in range(200):
                try:
                    if http.get("/readyz").status_code == 200:
                        break
                except httpx.ConnectError:
                    time.sleep(0.1)
            assert http.get("/readyz").json()["ready"] is True
            assert "Dấu Số" in http.get("/").text
        taken = dauso("serve", home=home, DAUSO_PORT=port)
        assert taken.returncode == 1
        assert port in one_line(taken)
        # The command line works beside the server, on the same data.
        assert dauso("audit", "verify", home=home).returncode == 0
    finally:
        server.terminate()
        assert server.wait(30) in {0, -15}
    for line in (tmp_path / "log").read_text().splitlines()[1:]:
        assert json.loads(line)["event"]


def test_enrol_sign_validate(home: Path, tmp_path: Path) -> None:
    """`dauso credentials`, `dauso sign`, `dauso validate`; a PIN only from a file or stdin."""
    pin = tmp_path / "pin"
    pin.write_text("483920\n")
    pin.chmod(0o600)
    options = (
        *("--name", "Lê Văn Thử", "--citizen-id", "038800000001", "--unit", "14797"),
        *("--unit-name", "UBND PHƯỜNG HẠC THÀNH", "--title", "Phó Chủ tịch"),
    )
    enrolled = dauso("credentials", "official", *options, "--pin-file", pin, home=home)
    assert enrolled.returncode == 0, enrolled.stderr
    credential = enrolled.stdout.strip()
    assert credential in dauso("credentials", "list", "--unit", "14797", home=home).stdout

    output = tmp_path / "signed.pdf"
    command = ("sign", DEMO / "decision.pdf", "--credential", credential, "-o", output)
    signed = dauso(*command, "--pin-file", "-", home=home, stdin="483920\n")
    assert signed.returncode == 0, signed.stderr
    assert signed.stdout.startswith("✓")
    assert dauso("validate", output, home=home).returncode == 0

    assert "tồn tại" in one_line(dauso(*command, "--pin-file", pin, home=home))
    again = (*command, "--force")
    wrong = dauso(*again, "--pin-file", "-", home=home, stdin="111999\n")
    assert wrong.returncode == 1
    assert "PIN" in one_line(wrong)
    nobody = dauso(*again, home=home)
    assert "--pin-file" in one_line(nobody)
    pin.chmod(0o644)
    assert "chmod 600" in one_line(dauso(*again, "--pin-file", pin, home=home))
    missing = ("sign", tmp_path / "none.pdf", "--credential", credential, "-o", output, "--force")
    assert "none.pdf" in one_line(dauso(*missing, "--pin-file", "-", home=home, stdin="483920\n"))


def test_ca_and_clients(home: Path) -> None:
    """List, show, CRL, check, clients: each answers or refuses in one line."""
    listed = dauso("ca", "list", home=home)
    assert "TEST" in listed.stdout
    serial = listed.stdout.splitlines()[-1].split()[0]
    assert "BEGIN CERTIFICATE" in dauso("ca", "show", serial, home=home).stdout
    assert one_line(dauso("ca", "show", "zz", home=home))
    assert dauso("ca", "crl", home=home).returncode == 0
    assert one_line(dauso("ca", "revoke", serial, "--reason", "boredom", home=home))
    made = dauso("clients", "create", "one-stop", "--scope", "sign", "--json", home=home)
    assert json.loads(made.stdout)["client_secret"]
    assert "one-stop" in one_line(
        dauso("clients", "create", "one-stop", "--scope", "sign", home=home)
    )
    assert "one-stop" in dauso("clients", "list", home=home).stdout
    assert dauso("clients", "disable", "one-stop", home=home).returncode == 0
    assert "one-stop" not in dauso("clients", "list", home=home).stdout


def test_ceremony_dry_run(tmp_path: Path) -> None:
    """What would be signed is shown; nothing is kept, no witness is asked."""
    plan = ROOT / "ca" / "plans" / "province.yaml"
    done = dauso("ca", "ceremony", plan, "--dry-run", home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert "Root CA" in done.stdout
    assert "TEST" not in dauso("ca", "list", home=tmp_path / "home").stdout


def test_doctor(home: Path, tmp_path: Path) -> None:
    """Everything is looked at; what is wrong is told with what to do, and the exit code says so."""
    well = dauso("doctor", "--json", home=home)
    assert well.returncode == 0, well.stdout
    findings = {one["check"]: one for one in map(json.loads, well.stdout.splitlines())}
    assert set(findings) == {
        *("home", "disk", "secrets", "database", "clock", "token", "chain", "crl"),
    }
    absent = dauso("doctor", home=tmp_path / "none")
    assert absent.returncode == 1
    assert "dauso serve" in one_line(absent)
    moved = dauso("doctor", "--json", home=home, DAUSO_BASE_URL="https://elsewhere.example")
    assert "setting-base-url-changed" in moved.stdout
    assert moved.returncode == 1


def test_a_lost_token(home: Path) -> None:
    """The token's directory is gone: one line, nothing made anew, and the doctor says it too."""
    token, away = home / "token" / "tokens", home / "token" / "away"
    token.rename(away)
    token.mkdir(mode=0o700)
    try:
        done = dauso("credentials", "list", "--unit", "14797", home=home)
        assert done.returncode == 1
        assert one_line(done)
        assert dauso("doctor", home=home).returncode == 1
    finally:
        for one in token.rglob("*"):
            if one.is_file():
                one.unlink()
        for one in sorted(token.rglob("*"), reverse=True):
            one.rmdir()
        token.rmdir()
        away.rename(token)
    assert dauso("doctor", home=home).returncode == 0


def test_open_permissions(home: Path) -> None:
    """A data directory that others can read is refused with the command that mends it."""
    home.chmod(0o755)
    try:
        assert "chmod 700" in one_line(dauso("ca", "list", home=home))
    finally:
        home.chmod(0o700)


def test_on_postgresql(tmp_path: Path) -> None:
    """DESIGN.md §5: the same instance over PostgreSQL; the tables hold what SQLite's would."""
    reason = postgres.why_absent()
    if reason is not None:
        pytest.skip(reason)
    home = tmp_path / "home"
    with postgres.fresh_database(_migrate, "test_command_line") as address:
        url = address.replace("postgresql://", "postgresql+psycopg://", 1)
        refused = dauso("doctor", home=home, DAUSO_DATABASE_URL=url)
        assert refused.returncode == 1
        plan = ROOT / "ca" / "plans" / "province.yaml"
        witnesses = []
        for number in (1, 2):
            path = tmp_path / f"witness-{number}"
            path.write_text(f"a long passphrase of witness {number}\n")
            path.chmod(0o600)
            witnesses += ["--witness-file", path]
        held = dauso("ca", "ceremony", plan, *witnesses, home=home, DAUSO_DATABASE_URL=url)
        assert held.returncode == 0, held.stderr
        well = dauso("doctor", "--json", home=home, DAUSO_DATABASE_URL=url)
        assert well.returncode == 0, well.stdout
        assert "postgresql" in well.stdout
        assert dauso("audit", "verify", home=home, DAUSO_DATABASE_URL=url).returncode == 0


def test_the_launcher_runs_its_own_code_wherever_it_is_called(tmp_path: Path) -> None:
    """A file that lies where the command is typed (a download called api.py) is not run."""
    (tmp_path / "api.py").write_text("raise SystemExit('a stranger')")
    done = subprocess.run(
        [ROOT / "dauso", "usage-of-nothing"],
        cwd=tmp_path,
        env={**os.environ, "DAUSO_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "stranger" not in done.stderr
    assert "usage-of-nothing" in done.stderr
