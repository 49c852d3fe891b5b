"""Is this document what it says? The verdict of ETSI EN 319 102-1 on a signed file.

    report = validate(data, trust=trust, now=now)
    report.indication            # TOTAL_PASSED, TOTAL_FAILED or INDETERMINATE
    report.to_text("vi")         # the same in words

A PDF is judged by `validation_pdf`; CAdES, XAdES and ASiC-E are read by their own modules
(`validation_files`) and judged by `ades_verdict`, with the same building blocks and report.

Nothing is fetched and nothing is repaired. Trust comes from `trust` alone; revocation data from
the file itself and from `revocation` (what the caller holds fresh, for instance our own CA's
current CRLs). What is missing leaves the verdict open, never "passed". Use `validate_file` for
files of strangers: it does the same in a child process with limits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from signer.files.file_kinds import Kind, kind_of
from signer.long_life.evidence_records import Evidence, read_proof
from signer.trust.path import Trust
from signer.verdicts.ades_verdict import judge
from signer.verdicts.document_digests import DocumentDigests
from signer.verdicts.examination import Examined
from signer.verdicts.mathematics import digest
from signer.verdicts.originals import Content, given
from signer.verdicts.policy import CURRENT, Policy, load_policy
from signer.verdicts.report import Report, unreadable
from signer.verdicts.validation_files import read_claims
from signer.verdicts.validation_pdf import PdfValidation
from signer.verdicts.verdict import Unreadable


def validate(
    data: bytes,
    *,
    trust: Trust,
    now: datetime,
    at: datetime | None = None,
    revocation: Iterable[bytes] = (),
    policy: Policy | None = None,
    content: Content = None,
    evidence: Evidence | None = None,
    digests: DocumentDigests | None = None,
    examined: Examined | None = None,
) -> Report:
    """The verdict on every signature of a file, as of `at` (default: `now`).

    `content` is the file of a detached signature, or several (`originals`); `digests` when they
    stay with their owner; `evidence` an evidence record about the
    file, which proves since when all of it exists (docs/flows/long-life.md); `examined` is handed
    all that was looked at, for reports with every building block. Steps for a PDF, as in
    docs/flows/validate.md (docs/flows/validate-files.md for the other formats):

    1. Open the file strictly, with two parsers that must agree.
    2. Judge what was saved after each signature.
    3. Check each signature's and time-stamp's mathematics over exactly its bytes.
    4. Believe document time-stamps, newest first: they prove what existed when.
    5. Judge each signature: time-stamp, signing certificate, chain, status, algorithms.
    6. Name the level and the verdict.

    Raises nothing for a bad file: a file without a possible verdict is `unreadable`.
    """
    rules = policy or load_policy()
    moment = at or now
    try:
        if kind_of(data) is Kind.PDF:
            if given(content) or digests is not None:
                raise Unreadable("validation-not-detached")
            lists = tuple(revocation)
            return PdfValidation(data, trust, moment, lists, rules, evidence, examined).report()
        claims = read_claims(data, content, rules.limits, digests)
        return judge(
            claims,
            trust=trust,
            at=moment,
            revocation=revocation,
            policy=rules,
            proof=read_proof(evidence, lambda one: digest(one, data)) if evidence else None,
            examined=examined,
        )
    except Unreadable as refusal:
        report = unreadable(refusal.code, params=refusal.params)
    except RecursionError:
        report = unreadable("validation-too-deep")
    except MemoryError:
        report = unreadable(
            "validation-too-large", params={"size": len(data), "limit": rules.limits.bytes}
        )
    except Exception as error:  # hostile files find odd exceptions: each is "unreadable"
        report = unreadable("validation-damaged", params={"detail": type(error).__name__})
    return replace(report, policy=rules.title, validation_time=moment)


def validate_file(
    path: Path,
    *,
    trust: Trust,
    now: datetime,
    at: datetime | None = None,
    revocation: Iterable[bytes] = (),
    content: Content = None,
    evidence: Evidence | None = None,
    digests: DocumentDigests | None = None,
    policy: str = CURRENT,
    reports: str | None = None,
) -> Report:
    """`validate` on a file, in a child process with limits on time, memory and files.

    `policy` is the id of one; with `reports` (a language) the report carries every form.
    """
    from signer.verdicts.sandbox import shared_pool

    return shared_pool().validate(
        path,
        trust=trust,
        now=now,
        at=at,
        revocation=revocation,
        content=content,
        evidence=evidence,
        digests=digests,
        policy=policy,
        reports=reports,
    )
