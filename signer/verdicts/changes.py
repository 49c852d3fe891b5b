"""What was added to a signed file, judged revision by revision.

Only what is expressly known to be harmless passes: archive data (DSS, document time-stamps,
their extensions and metadata), further signatures, and form filling where the certifying
signature says so (DocMDP P ≥ 2, ISO 32000-2, 12.8.2.2). Every other reachable change, however
small, is not allowed: annotations, new pages, other content, swapped or freed objects. This is
what stops incremental-saving, shadow and annotation attacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from signer.pdf.signature_objects import FieldLock, SignatureObject
from signer.verdicts.object_graph import build
from signer.verdicts.policy import Policy
from signer.verdicts.report import Changes
from signer.verdicts.structure import Document
from signer.verdicts.update import judge_update
from signer.verdicts.update_ledger import Act, Deed
from signer.verdicts.verdict import Finding, SubIndication, fails


class Rule(StrEnum):
    """Why a change that is known in kind is still not allowed."""

    CERTIFIED = "validation-change-certified"
    LOCKED = "validation-change-locked"
    FORM = "validation-change-form"


@dataclass(frozen=True)
class Judgement:
    """Of one signature: what came after it, and what of that is not allowed."""

    changes: Changes
    findings: tuple[Finding, ...] = ()


def judge_changes(document: Document, policy: Policy) -> dict[str, Judgement]:
    """By field: the judgement of everything saved after that signature's revision."""
    intact = [one for one in document.signatures if one.intact]
    if not intact:
        return {}
    first = document.revision_of(intact[0].end)
    assert first is not None
    later = [one for one in document.revisions if one.number > first.number]
    deeds: list[tuple[int, Deed]] = []
    graph = build(document.pdf_at(first.end), policy.limits)
    for revision in later:
        following = build(document.pdf_at(revision.end), policy.limits)
        deeds += [(revision.number, deed) for deed in judge_update(graph, following, policy)]
        graph = following
    found = {}
    for one in intact:
        revision_closed = document.revision_of(one.end)
        assert revision_closed is not None
        after = [deed for number, deed in deeds if number > revision_closed.number]
        found[one.field] = _judge(after, _restrictions(one, intact))
    return found


def _restrictions(
    one: SignatureObject, intact: Iterable[SignatureObject]
) -> tuple[int | None, list[FieldLock]]:
    """The strictest certification and all field locks in force once `one` is there."""
    upto = [other for other in intact if other.end <= one.end]
    levels = [other.certification for other in upto if other.certification is not None]
    return (min(levels) if levels else None), [other.locked for other in upto if other.locked]


def _judge(deeds: list[Deed], restrictions: tuple[int | None, list[FieldLock]]) -> Judgement:
    certification, locks = restrictions
    changes, findings = Changes.UNTOUCHED, []
    for deed in deeds:
        refusal = next(_refusals(deed, certification, locks), None)
        if refusal is not None:
            findings.append(refusal)
            changes = Changes.NOT_ALLOWED
            continue
        step = Changes.ARCHIVE_DATA_ONLY if deed.act is Act.ARCHIVE else Changes.PERMITTED
        changes = max(changes, step, key=lambda one: one.severity)
    return Judgement(changes, tuple(dict.fromkeys(findings)))


def _refusals(deed: Deed, certification: int | None, locks: list[FieldLock]) -> Iterator[Finding]:
    sub = SubIndication.FORMAT_FAILURE
    if deed.act is Act.VIOLATION:
        yield fails(deed.code, sub, what=deed.what)
    if deed.act in (Act.SIGNATURE, Act.FORM):
        if certification == 1:
            yield fails(Rule.CERTIFIED.value, sub, what=deed.what)
        if any(lock.locks(deed.what) for lock in locks):
            yield fails(Rule.LOCKED.value, sub, what=deed.what)
    if deed.act is Act.FORM and certification is None:
        yield fails(Rule.FORM.value, sub, what=deed.what)
