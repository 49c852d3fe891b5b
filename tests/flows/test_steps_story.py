"""A decision on its way: drafted, initialled, signed for the chairman, numbered, sealed, verified.

The story of docs/flows/steps.md, on SQLite and on PostgreSQL, with outside judges at its end.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path

import pikepdf
import pytest
from sqlalchemy import select

from records import audit
from records.models import AuditEntry
from signer.errors import StepRefused
from signer.routing import outgoing_numbers, routed_documents, step_changes
from signer.routing.step_routes import StepKind
from signer.routing.working_days import local
from signer.verdicts.validation import validate
from tests.signer.signing_house import CLERK, DEPUTY, DRAFTER, REVIEWER, UNIT, signing_house
from tests.world import World


def test_a_decision_on_its_way(world: World, tmp_path: Path) -> None:
    """Draft → initial → KT. signature → number and date → seal → valid for everybody."""
    house, desk, now = signing_house(world), world.desk, world.now

    # The drafter submits; the reviewer finds a mistake and sends it back.
    document = house.submit()
    document = step_changes.refuse(
        desk, document.id, reason="Thiếu nơi nhận", actor=REVIEWER, now=now
    )
    document = step_changes.replace(
        desk, document.id, house.draft(note="và kiện toàn"), actor=DRAFTER, now=now
    )
    # The reviewer initials the new version; until then nobody else may act.
    with pytest.raises(StepRefused) as early:
        house.sign(document)
    assert early.value.code == "step-not-its-turn"
    document = house.initial(document)
    draft = desk.blobs.get(document.file)

    # The deputy signs for the chairman, with their own certificate, under their delegation.
    document = house.sign(document)
    assert document.steps[1].authority_lines[0] == "KT. CHỦ TỊCH"
    # From now on the file cannot change: the clerk can only number and seal it.
    with pytest.raises(StepRefused) as late:
        step_changes.replace(desk, document.id, draft, actor=DRAFTER, now=now)
    assert late.value.code == "document-signed-already"
    document = house.sign(document, StepKind.NUMBER)
    document = house.sign(document, StepKind.SEAL)
    assert document.state == "complete"

    # Whoever receives it: everything valid, the draft's own bytes untouched, number in the text.
    _, data = routed_documents.content(desk, document.id, actor=CLERK, now=now)
    assert data.startswith(draft)
    report = validate(data, trust=world.trust, now=now)
    assert report.passed
    assert [one.signer for one in report.signatures] == [
        DEPUTY.name, "ỦY BAN NHÂN DÂN PHƯỜNG HẠC THÀNH", "ỦY BAN NHÂN DÂN PHƯỜNG HẠC THÀNH",
    ]  # fmt: skip
    file = tmp_path / "decision.pdf"
    file.write_bytes(data)
    for judge in ("pdfsig", "pdftotext", "qpdf"):
        assert shutil.which(judge), f"{judge} is a system package of ./dauso test"
    said = subprocess.run(["pdfsig", "-nocert", file], capture_output=True, text=True, check=False)
    assert said.stdout.count("Signature is Valid.") == 3
    assert subprocess.run(["qpdf", "--check", file], capture_output=True).returncode == 0
    text = subprocess.run(
        ["pdftotext", "-layout", "-l", "1", file, "-"], capture_output=True, text=True
    ).stdout
    assert re.search(r"Số:\s*01\s*/QĐ-UBND", text)
    assert f"ngày {local(now):%d} tháng" in " ".join(text.split())
    assert _overlap(data) == pytest.approx(1 / 3, abs=0.05)

    # And what the house remembers: one number, one log that nobody can rewrite.
    (line,) = outgoing_numbers.lines(desk, unit=UNIT, year=local(now).year)
    assert (line.text, line.state, line.signer) == ("01/QĐ-UBND", "issued", DEPUTY.name)
    with world.database.reading() as session:
        tags = session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)).all()
    for one in ("routed.refused", "routed.replaced", "routed.step-done", "routed.complete"):
        assert one in tags
    assert audit.verify(world.database).ok


def _overlap(data: bytes) -> float:
    """How much of the width of the person's picture the seal covers."""
    with pikepdf.open(io.BytesIO(data)) as pdf:
        fields = {str(one.T).partition("-")[0]: one for one in pdf.Root.AcroForm.Fields}
        person = [float(one) for one in fields["Signature"].Rect]
        drawn = [float(one) for one in fields["Signature"].AP.N.DSPicture]
        seal = [float(one) for one in fields["Seal"].Rect]
    left, width = person[0] + drawn[0], drawn[2] - drawn[0]
    return (seal[2] - left) / width
