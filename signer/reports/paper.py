"""A validation report on paper: PDF/A-2b with the verdict in words, and sealed by the service.

The seal is made with the key that also signs the audit log's checkpoints: both say what this
service found and when, and neither is anybody's signature on the document (decision 0211).
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typst

from records.errors import text
from signer.cms import CmsTemplate
from signer.levels import Level
from signer.long_life import augmentation
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender
from signer.pdf.syntax import VIETNAM
from signer.reports.naming import Json, said
from signer.signature import Pen, SignatureRequest, place_signature
from signer.verdicts.report import Changes, Report, SignatureVerdict
from signer.verdicts.verdict import Finding, Indication, Weight

if TYPE_CHECKING:
    from signer.desk import Desk

_HERE = Path(__file__).resolve().parent.parent
_TEMPLATE = _HERE / "templates" / "validation-report.typ"
_SEALER = "audit"
_TONES = {
    Indication.TOTAL_PASSED: "good",
    Indication.TOTAL_FAILED: "bad",
    Indication.INDETERMINATE: "open",
}
_MOST_SIGNATURES = 60
_drawing = threading.Lock()


@dataclass(frozen=True)
class Subject:
    """What the report is about, as the caller knows it."""

    name: str
    digest: str
    authority: str


def sealed_report(
    desk: Desk, report: Report, subject: Subject, *, language: str, now: datetime
) -> bytes:
    """The report as a PDF with a PAdES B-LTA seal of the service."""
    return seal(desk, draw(report, subject, language=language), now=now)


def draw(report: Report, subject: Subject, *, language: str) -> bytes:
    """PDF/A-2b, not yet sealed. Building blocks are shown when the report carries its papers."""
    data = json.dumps(_data(report, subject, language), ensure_ascii=False)
    with _drawing:
        made = _compiler().compile(
            format="pdf",
            sys_inputs={"data": data},
            pdf_standards=["a-2b"],
            pdf_tags=False,
            timestamp=0,
        )
    assert isinstance(made, bytes)
    return made


def seal(desk: Desk, pdf: bytes, *, now: datetime) -> bytes:
    """An invisible seal of the service, time-stamped and fit for the archive."""
    service = desk.authority.service(_SEALER)
    above = [one for one in service.chain if one.subject != one.issuer]
    pen = Pen(CmsTemplate(service.certificate, above), service.key, _SEALER)
    request = SignatureRequest(level=Level.B_LTA, certify=1)
    with Document.open(Original.of(pdf), desk.limits) as document:
        appender = Appender(document)
        place_signature(appender, pen, request, stamp=None, time_stamper=desk.tsa, now=now)
        path = (service.certificate, *service.chain)
        augmentation.long_term(desk, appender, path, now=now)
        augmentation.archive(desk, appender, now=now)
        return appender.whole()


def _data(report: Report, subject: Subject, language: str) -> dict[str, Any]:
    blocks = _blocks(report.papers)
    facts = [
        (said("PAPER_FILE", language), subject.name),
        (said("PAPER_DIGEST", language), _broken(subject.digest)),
        (said("PAPER_POLICY", language), report.policy),
    ]
    if report.validation_time is not None:
        facts.insert(2, (said("PAPER_TIME", language), _local(report.validation_time)))
    short = f"validation-short-{_kebab(report.indication.value)}"
    verdict = text(short, {}, language) if report.readable else said("PAPER_UNREADABLE", language)
    listed = report.signatures[:_MOST_SIGNATURES]
    return {
        "language": language,
        "title": said("PAPER_TITLE", language),
        "authority": subject.authority,
        "tone": _TONES[report.indication],
        "verdict": verdict.upper(),
        "sub": report.sub_indication and report.sub_indication.value,
        "explanation": said(f"PAPER_{report.indication.value}", language),
        "facts": facts,
        "findings": _words(report.findings, language),
        "signatures": [
            _signature(one, number, blocks.get(number, []), language)
            for number, one in enumerate(listed, start=1)
        ],
        "stamps": [
            said(
                "PAPER_STAMP",
                language,
                authority=one.authority or "?",
                time=_local(one.time),
                verdict=text(f"validation-short-{_kebab(one.indication.value)}", {}, language),
            )
            for one in report.timestamps
            if one.covers_file and one.time is not None
        ],
        "words": {
            "blocks": said("PAPER_BLOCKS", language),
            "stamps": said("PAPER_STAMPS", language),
        },
        "note": said("PAPER_NOTE", language),
        "footer": f"{said('PAPER_TITLE', language)} · SHA-256 {subject.digest[:16]}…",
    }


def _signature(
    one: SignatureVerdict, number: int, blocks: list[tuple[str, str]], language: str
) -> Json:
    facts = []
    if one.best_signature_time is not None:
        facts.append((said("PAPER_PROVEN", language), _local(one.best_signature_time)))
    if one.signing_time is not None:
        facts.append((said("PAPER_CLAIMED", language), _local(one.signing_time)))
    if one.level is not None:
        facts.append((said("PAPER_LEVEL", language), one.level))
    # On a signature that failed, "only permitted changes" would read like a comfort.
    comforting = one.changes is not Changes.NOT_ALLOWED
    if one.changes_known and not (comforting and one.indication is Indication.TOTAL_FAILED):
        words = text(f"validation-changes-{_kebab(one.changes.value)}", {}, language).strip()
        words = words.partition(": ")[2] or words
        facts.append((said("PAPER_AFTER", language), words[:1].upper() + words[1:]))
    signer = one.signer or said("UNKNOWN_SIGNER", language)
    return {
        "heading": said("PAPER_SIGNATURE", language, number=number, signer=signer),
        "tone": _TONES[one.indication],
        "verdict": text(f"validation-short-{_kebab(one.indication.value)}", {}, language),
        "facts": facts,
        "reasons": _words(one.findings, language),
        "blocks": blocks,
    }


def _blocks(papers: Any) -> dict[int, list[tuple[str, str]]]:
    """Per signature: each building block's title and what it came to."""
    found: dict[int, list[tuple[str, str]]] = {}
    if not papers:
        return found
    listed = papers["DetailedReport"]["BasicBuildingBlocks"]
    for number, one in enumerate((each for each in listed if each["Type"] == "SIGNATURE"), 1):
        rows = []
        for name in ("FC", "ISC", "VCI", "XCV", "CV", "SAV", "AOV", "PSV", "PCV", "VTS"):
            if name in one:
                rows.append((f"{name} – {one[name]['Title']}", _status(one[name])))
        found[number] = rows
    return found


def _status(block: Json) -> str:
    result = block["Conclusion"]
    if result["Indication"] != "PASSED":
        return "NOT OK"
    return "WARNING" if result.get("Warnings") else "OK"


def _words(findings: tuple[Finding, ...], language: str) -> list[str]:
    return [
        text(one.code, one.params, language)
        for one in findings
        if one.weight is not Weight.INFORMS or one.code == "validation-by-digest"
    ]


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(VIETNAM):%d-%m-%Y %H:%M:%S} +07:00"


def _broken(digest: str) -> str:
    """In groups, so that a line can be broken and people can compare."""
    return " ".join(digest[start : start + 8] for start in range(0, len(digest), 8))


def _kebab(value: str) -> str:
    return value.lower().replace("_", "-")


@cache
def _compiler() -> typst.Compiler:
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[_HERE / "fonts"]
    )
    return typst.Compiler(_TEMPLATE, font_paths=fonts, ignore_system_fonts=True)
