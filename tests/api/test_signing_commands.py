"""`dauso sign` in every format, `prepare`, `augment`, `timestamp`: what a person types."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from api.commands import augment, batch, prepare, sign, timestamp
from api.commands.__main__ import main
from signer.batches import batch_work
from signer.verdicts.validation import validate
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import DEMO, PIN, TownHall
from tests.signer import paper
from tests.signer.elsewhere import Citizen
from tests.signer.signed_files import DOSSIER, REPORT

pytestmark = ONLY_SQLITE


@pytest.fixture
def desk(
    service: Service, hall: TownHall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The commands work with this test's house; a folder with files and a PIN."""

    @contextmanager
    def opened() -> Iterator[Any]:
        yield service.house

    for module in (augment, batch, prepare, sign, timestamp):
        monkeypatch.setattr(module, "opened_house", opened)
    monkeypatch.chdir(tmp_path)
    pin = tmp_path / "pin"
    pin.write_text(PIN)
    pin.chmod(0o600)
    (tmp_path / "report.txt").write_bytes(REPORT.data)
    (tmp_path / "dossier.xml").write_bytes(DOSSIER.data)
    (tmp_path / "decision.pdf").write_bytes((DEMO / "decision.pdf").read_bytes())
    assert hall.person
    return tmp_path


def passed(service: Service, path: Path, content: bytes | None = None) -> str:
    # The commands read the true clock, which has gone on since the service's moment.
    now = max(service.now, datetime.now(UTC))
    report = validate(path.read_bytes(), trust=service.house.trust, now=now, content=content)
    assert report.passed, report.to_text("en")
    return report.signatures[0].level or ""


def test_every_format(service: Service, hall: TownHall, desk: Path) -> None:
    """One command for a PDF, any file, XML, or several files together."""
    who = ["--credential", hall.person.id, "--pin-file", "pin"]
    for files, more, out, level in (
        (["decision.pdf"], ["--level", "B-LT"], "a.pdf", "PAdES-BASELINE-LT"),
        (["report.txt"], ["--format", "cades-enveloping"], "a.p7m", "CAdES-BASELINE-LTA"),
        (
            ["dossier.xml"],
            ["--format", "xades-enveloped", "--inclusive"],
            "a.xml",
            "XAdES-BASELINE-LTA",
        ),
        (
            ["report.txt", "decision.pdf"],
            ["--format", "asic-e-xades"],
            "a.asice",
            "XAdES-BASELINE-LTA",
        ),
    ):
        assert main(["sign", *files, *who, *more, "-o", out]) == 0
        assert passed(service, desk / out) == level
    for wrong in (
        ["decision.pdf", "report.txt"],
        ["report.txt", "--format", "word"],
        ["report.txt", "--format", "cades-detached", "--visible"],
        ["decision.pdf", "--pss"],
    ):
        assert main(["sign", *wrong, *who, "-o", "wrong"]) == 1
    assert not (desk / "wrong").exists()


def test_locks_templates_and_a_preview(service: Service, hall: TownHall, desk: Path) -> None:
    """DocMDP 1-3, FieldMDP, each template with a preview: at the terminal as over HTTP."""
    (desk / "form.pdf").write_bytes(paper.shaped("form"))
    who = ["--credential", hall.person.id, "--pin-file", "pin", "--level", "B-B"]
    drawn = ["sign", "decision.pdf", *who, "-o", "a.pdf", "--preview", "page.png", "--visible"]
    assert main(drawn) == 0
    assert (desk / "page.png").read_bytes().startswith(b"\x89PNG")
    assert not (desk / "a.pdf").exists()
    note = ["--template", "annex", "--line", "12/QĐ-UBND"]
    locked = ["--certify", "2", "--lock-all", *note]
    assert main(["sign", "form.pdf", *who, "-o", "b.pdf", *locked]) == 0
    with pikepdf.open(desk / "b.pdf") as pdf:
        signed = [one for one in pdf.Root.AcroForm.Fields if one.get("/FT") == "/Sig"]
        methods = {str(one.TransformMethod) for one in signed[0].V.Reference}
        assert methods == {"/DocMDP", "/FieldMDP"}
        assert pdf.Root.Perms.DocMDP.objgen == signed[0].V.objgen
        assert signed[0].Lock.Action == "/All"
    assert main(["sign", "decision.pdf", *who, "-o", "c.pdf", "--template", "bogus"]) != 0
    assert not (desk / "c.pdf").exists()
    wrong = ["sign", "report.txt", *who, "-o", "d", "--format", "cades-detached", "--certify", "1"]
    assert main(wrong) != 0


def test_a_key_elsewhere(service: Service, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Begin, sign with openssl, complete; then raise and time-stamp."""
    citizen = Citizen.of(service.world)
    key = citizen.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (desk / "key.pem").write_bytes(key)
    (desk / "mine.pem").write_bytes(citizen.certificate.public_bytes(Encoding.PEM))
    capsys.readouterr()
    begin = ["prepare", "begin", "decision.pdf", "--certificate", "mine.pem", "--level", "B-B"]
    assert main([*begin, "--octets", "octets"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert bytes.fromhex(told["to_be_signed"]) == (desk / "octets").read_bytes()
    run = ["openssl", "dgst", "-sha256", "-sign", "key.pem", "-out", "value", "octets"]
    subprocess.run(run, check=True, capture_output=True)
    complete = ["prepare", "complete", told["id"], "decision.pdf", "--value", "value"]
    assert main([*complete, "-o", "signed.pdf"]) == 0
    assert main([*complete, "-o", "again.pdf"]) == 1
    assert main(["augment", "signed.pdf", "-o", "raised.pdf"]) == 0
    assert passed(service, desk / "raised.pdf") == "PAdES-BASELINE-LTA"
    assert main(["augment", "report.txt", "-o", "none"]) == 1
    assert main(["timestamp", "decision.pdf", "-o", "stamped.pdf"]) == 0
    assert (desk / "stamped.pdf").read_bytes().startswith(b"%PDF")
    assert main(["timestamp", "report.txt", "-o", "token"]) == 0
    assert (desk / "token").read_bytes()[:1] == b"\x30"


def test_a_folder_with_one_pin(
    service: Service,
    hall: TownHall,
    desk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Preview signs nothing; each document has its outcome; what was interrupted goes on."""
    folder, decision = desk / "in", (desk / "decision.pdf").read_bytes()
    (folder / "sub").mkdir(parents=True)
    for number in range(3):
        (folder / "sub" / f"{number}.pdf").write_bytes(decision + b"%% %d\n" % number)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 not really")
    who = ["--credential", hall.person.id, "--pin-file", "pin", "--level", "B-LT"]
    assert main(["batch", "in", *who, "--preview"]) == 0
    assert "signature.made" not in service.tags()
    assert "broken.pdf" in capsys.readouterr().out
    assert main(["batch", "in", *who]) == 1, "a folder for the results is needed"

    real = batch_work.work_once

    def interrupted(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(batch_work, "work_once", interrupted)
    assert main(["batch", "in", *who, "-o", "out"]) == 130
    monkeypatch.setattr(batch_work, "work_once", real)
    (identifier,) = set(re.findall(r"bat_[0-9a-f]{32}", capsys.readouterr().out))
    assert not (desk / "out").exists()
    assert main(["batch", "--resume", identifier, "-o", "out"]) == 2
    for number in range(3):
        assert passed(service, desk / "out" / "sub" / f"{number}.pdf") == "PAdES-BASELINE-LT"
    rows = list(csv.DictReader((desk / "out" / "ket-qua.csv").read_text("utf-8-sig").splitlines()))
    assert sorted(one["state"] for one in rows) == ["refused", "signed", "signed", "signed"]
    assert next(one for one in rows if one["state"] == "refused")["reason"]
    (desk / "list.csv").write_text("in/sub/0.pdf,a\n../outside.pdf,b\n")
    assert main(["batch", "list.csv", *who, "-o", "out2"]) == 1
