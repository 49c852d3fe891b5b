"""What the verification pages show, taken from the rooms' own verdicts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from api.pages import words
from records.errors import text
from signer.verdicts.report import Changes, Report, SignatureVerdict
from signer.verdicts.verdict import Finding, Indication, Weight

_TONES = {
    Indication.TOTAL_PASSED: "good",
    Indication.TOTAL_FAILED: "bad",
    Indication.INDETERMINATE: "open",
}
COPY_TONES = {"in-force": "good", "cancelled": "bad", "replaced": "open", "unknown": "open"}


@dataclass(frozen=True)
class CopyView:
    """The public status of a certified copy: nothing personal in it."""

    state: str
    tone: str
    code: str
    facts: tuple[tuple[str, str], ...]


_SHOWN = frozenset({Weight.FAILS, Weight.WARNS})
_TOLD = frozenset({"validation-counter-signature"})
_SAID_BY_THE_PAGE = frozenset({"validation-no-signature"})


@dataclass(frozen=True)
class SignatureView:
    signer: str
    indication: str
    tone: str
    level: str
    signing_time: datetime | None
    best_signature_time: datetime | None
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    """What does not decide: warnings, and what kind of signature this is."""
    changes: str


@dataclass(frozen=True)
class ReportView:
    """One file's verdict in words and a symbol, in the reader's language and the other."""

    file: str
    readable: bool
    tone: str
    words: str
    words_other: str
    explanation: str
    notes: tuple[str, ...]
    """What is said of the file itself and of none of its signatures."""
    signatures: tuple[SignatureView, ...]
    copy: CopyView | None
    document: str = ""
    """What a detached signature is about, when it was given beside it."""


def report_view(
    report: Report, *, file: str, language: str, copy: CopyView | None, document: str = ""
) -> ReportView:
    """A valid signature on a copy that was cancelled is not a good copy: the copy decides."""
    other = "en" if language == "vi" else "vi"
    key = f"verdict.{report.indication.value}"
    tone = _TONES[report.indication]
    explanation = words(language)[f"{key}.text"]
    if not report.readable:
        key, tone = "verdict.unreadable", "open"
        explanation = " ".join(_reasons(report.findings, language))
    elif report.passed and copy is not None and copy.state != "in-force":
        key, tone = f"copy.{copy.state}", copy.tone
        explanation = words(language)[f"{key}.text"]
    return ReportView(
        file=file,
        readable=report.readable,
        tone=tone,
        words=words(language)[key],
        words_other=words(other)[key],
        explanation=explanation,
        notes=_about_the_file(report, language) if report.readable else (),
        signatures=tuple(_signature(one, language) for one in report.signatures),
        copy=copy,
        document=document,
    )


def _signature(one: SignatureVerdict, language: str) -> SignatureView:
    # On a signature that failed, "only permitted changes" would read like a comfort.
    failed = one.indication is Indication.TOTAL_FAILED
    shown = one.changes is Changes.NOT_ALLOWED or (
        one.changes is not Changes.UNTOUCHED and not failed
    )
    changes = f"validation-changes-{one.changes.value.replace('_', '-')}"
    return SignatureView(
        signer=one.signer or "",
        indication=one.indication.value,
        tone=_TONES[one.indication],
        level=one.level or "",
        signing_time=one.signing_time,
        best_signature_time=one.best_signature_time,
        reasons=tuple(_reasons(one.findings, language, {Weight.FAILS})),
        notes=(
            *_reasons(one.findings, language, {Weight.WARNS}),
            *(text(found.code, {}, language) for found in one.findings if found.code in _TOLD),
        ),
        changes=_without_lead(text(changes, {}, language)) if shown else "",
    )


def _about_the_file(report: Report, language: str) -> tuple[str, ...]:
    told = {one.code for each in report.signatures for one in each.findings} | _SAID_BY_THE_PAGE
    return tuple(_reasons([one for one in report.findings if one.code not in told], language))


def _reasons(
    findings: Sequence[Finding], language: str, weights: Collection[Weight] = _SHOWN
) -> list[str]:
    return [
        text(found.code, found.params, language) for found in findings if found.weight in weights
    ]


def _without_lead(sentence: str) -> str:
    """The heading says "changes after signing" already: what follows the colon is enough."""
    rest = sentence.partition(": ")[2] or sentence
    return rest[:1].upper() + rest[1:]
