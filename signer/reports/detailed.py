"""The detailed report: every building block and process of EN 319 102-1 with its constraints.

Three processes are told for each signature, as the standard has them: on its own at the validation
time (5.3), with its time-stamps and long-term data (5.5), with archive data and proofs of existence
(5.6). The last one is the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from signer.reports.building_blocks import (
    revocation_blocks,
    signature_blocks,
    stamp_at,
    stamp_blocks,
)
from signer.reports.certificate_blocks import CertificateBlocks
from signer.reports.constraints import CERTIFICATE_KEYS, conclusion, constraint_of, evaluated
from signer.reports.naming import Json, instant, message, said
from signer.reports.processes import Processes, acceptable, all_stamps, proof_for, stamp_id
from signer.reports.revocation_facts import RevocationFacts, revocation_facts
from signer.verdicts.examination import Examination
from signer.verdicts.time_stamps import Stamp
from signer.verdicts.verdict import Finding, Weight, worst

_BLOCKS = {
    "FC": "BSV_IFCRC",
    "ISC": "BSV_IISCRC",
    "VCI": "BSV_IVCIRC",
    "XCV": "BSV_IXCVRC",
    "CV": "BSV_ICVRC",
    "SAV": "BSV_ISAVRC",
}


def detailed_report(examination: Examination, language: str) -> Json:
    """The members of DSS's DetailedReport."""
    judged = [Processes(examination, one) for one in examination.signatures]
    blocks = {one.id: signature_blocks(one, language) for one in judged}
    stamps = all_stamps(examination)
    stamped = {stamp_id(one): stamp_blocks(one, examination, language) for one in stamps}
    tokens: list[Json] = [
        {"Signature": _signature(one, blocks[one.id], stamped, language)} for one in judged
    ]
    if not judged:
        tokens = [
            {"Timestamp": _stamp(one, examination, stamped[stamp_id(one)], language)}
            for one in stamps
        ]
    anchors: frozenset[object] = frozenset()
    if examination.first is not None:
        anchors = frozenset(examination.first.paths.anchors)
    told = [revocation_blocks(one, anchors, language) for one in used_revocations(examination)]
    report: Json = {
        "signatureOrTimestampOrEvidenceRecord": tokens,
        "BasicBuildingBlocks": [*told, *stamped.values(), *blocks.values()],
    }
    moment = examination.report.validation_time
    return {**report, "ValidationTime": instant(moment)} if moment else report


def used_revocations(examination: Examination) -> list[RevocationFacts]:
    """All revocation data that answered for some certificate, each once."""
    if examination.first is None:
        return []
    chains = [one.chain for one in examination.signatures if one.chain]
    chains += [one.chain for one in all_stamps(examination) if one.chain]
    sources = sorted({der for chain in chains for der in chain.sources})
    known = examination.first.paths.known
    return [one for der in sources if (one := revocation_facts(der, known)) is not None]


def _signature(processes: Processes, block: Json, stamped: dict[str, Json], language: str) -> Json:
    one = processes.one
    at = processes.first.at
    report: Json = {"ValidationProcessBasicSignature": _basic(processes, block, language)}
    stamps = [*one.own, *one.archives]
    report["Timestamp"] = [
        _stamp(each, processes.examination, stamped[stamp_id(each)], language)
        for each in stamps
        if stamp_id(each) in stamped
    ]
    report["ValidationProcessLongTermData"] = _long_term(processes, language)
    report["ValidationProcessArchivalData"] = _archival(processes, language)
    final = conclusion(processes.final, language, total=True)
    report["Conclusion"] = final
    report["ValidationProcessBasicSignature"]["ProofOfExistence"] = {"Time": instant(at)}
    return {**report, "Id": processes.id}


def _basic(processes: Processes, block: Json, language: str) -> Json:
    """5.3: the blocks one after another."""
    rows = []
    for name, key in _BLOCKS.items():
        if name not in block:
            break
        row = _depends(key, block[name]["Conclusion"], language)
        rows.append({**row, "Id": f"{processes.id}-{name}"})
    return {
        "Constraint": rows,
        "Conclusion": conclusion(processes.basic, language),
        "Title": said("TITLE_BASIC", language),
    }


def _long_term(processes: Processes, language: str) -> Json:
    """5.5: the signature's own time-stamps, and the chain at the time they prove."""
    found, best = processes.long_term, processes.long_term_time
    rows = [_goes_on("LTV_ABSV", processes.basic, language)]
    for one in processes.stamps:
        broken = [each for each in one.findings if one.broken]
        row = evaluated("BBB_SAV_DMICTSTMCMI", broken, language)
        rows.append({**row, "Id": stamp_id(one)})
        row = _softly("ADEST_IBSVPTC", [] if one.good else list(one.findings), language)
        rows.append({**row, "Id": stamp_id(one), "BlockType": "TST_BBB"})
    order = [one for one in found if one.code == "validation-timestamp-order"]
    early = [one for one in found if one.code == "validation-not-yet-valid"]
    rows.append(evaluated("TSV_IBSTAIDOSC", early, language))
    rows.append(evaluated("TSV_ASTPTCT", order, language))
    rows += _others(found, {*order, *early}, language)
    block: Json = {
        "Constraint": rows,
        "Conclusion": conclusion(found, language),
        "ProofOfExistence": _proof(best, processes.stamps, processes.first.at),
        "Title": said("TITLE_LONG_TERM", language),
    }
    chain = processes.long_term_chain
    if chain is not None and len(chain.certificates) > 1:
        at = best or processes.first.at
        block["RFC"] = list(CertificateBlocks(chain, at, processes.first, language).freshness())
    return block


def _archival(processes: Processes, language: str) -> Json:
    """5.6: every time-stamp from the newest, and the chain at the earliest time proven."""
    one, final = processes.one, processes.final
    row = _goes_on("ARCH_LTVV", processes.long_term, language)
    rows = [{**row, "BlockType": "LTV"}]
    absent = evaluated("ARCH_LTAIVMP", (), language)
    if not one.archives:
        absent["Status"] = "IGNORED"
    rows.append({**absent, "BlockType": "LTA"})
    for stamp in one.archives:
        told = _softly("ADEST_IBSVPTADC", [] if stamp.good else stamp.findings, language)
        rows.append({**told, "Id": stamp_id(stamp), "BlockType": "TST"})
    if processes.past:
        failing = [each for each in final if each.weight is Weight.FAILS]
        rows.append({**evaluated("PSV_IPSVC", failing, language), "BlockType": "PSV"})
    rows += _others(final, set(), language)
    best = one.verdict.best_signature_time
    return {
        "Constraint": rows,
        "Conclusion": conclusion(final, language),
        "ProofOfExistence": _proof(best, [*one.own, *one.archives], processes.first.at),
        "Title": said("TITLE_ARCHIVAL", language),
    }


def _stamp(stamp: Stamp, examination: Examination, block: Json, language: str) -> Json:
    """The basic process of a time-stamp (5.4), and what archive data add to it (5.6)."""
    first = examination.first
    assert first is not None
    rows = [
        {**_depends(key, block[name]["Conclusion"], language), "Id": f"{stamp_id(stamp)}-{name}"}
        for name, key in _BLOCKS.items()
        if name in block
    ]
    made = instant(stamp.info.time if stamp.info else first.at)
    _chain, found = stamp_at(stamp, first)
    over = proof_for(stamp, examination.stamps)
    proof: Json = {"Time": instant(over.time if over else first.at)}
    if over is not None:
        proof["TimestampId"] = stamp_id(over)
    return {
        "ValidationProcessBasicTimestamp": {
            "Constraint": rows,
            "Conclusion": conclusion(found, language),
            "Title": said("TITLE_BASIC_TIMESTAMP", language),
            "Type": "DOCUMENT_TIMESTAMP" if stamp.end else "SIGNATURE_TIMESTAMP",
            "ProductionTime": made,
        },
        "ValidationProcessArchivalDataTimestamp": {
            "Constraint": [
                {**_goes_on("ARCH_IRTVBBA", found, language), "BlockType": "TST_BBB"},
                *_others(stamp.findings, set(), language),
            ],
            "Conclusion": conclusion(stamp.findings, language),
            "ProofOfExistence": proof,
            "Title": said("TITLE_ARCHIVAL_TIMESTAMP", language),
        },
        "Conclusion": conclusion(stamp.findings, language),
        "Id": stamp_id(stamp),
    }


def _depends(key: str, result: Json, language: str) -> Json:
    """A process's question about a block: OK when the block passed."""
    row: Json = {"Name": message(key, said(key, language)), "Status": "OK"}
    if result["Indication"] != "PASSED":
        row["Status"] = "NOT OK"
        row["Error"] = message(f"{key}_ANS", said(f"{key}_ANS", language))
        row["AdditionalInfo"] = result.get("SubIndication", result["Indication"])
    elif result.get("Warnings"):
        row["Status"] = "WARNING"
        row["Warning"] = result["Warnings"][0]
    return row


def _goes_on(key: str, findings: Sequence[Finding], language: str) -> Json:
    """A process's question about the one before: NOT OK only when it cannot go on."""
    row: Json = {"Name": message(key, said(key, language)), "Status": "OK"}
    decisive = worst([one for one in findings if one.weight is Weight.FAILS])
    if not acceptable(findings):
        row["Status"] = "NOT OK"
        row["Error"] = message(f"{key}_ANS", said(f"{key}_ANS", language))
    if decisive is not None:
        row["AdditionalInfo"] = decisive.value
    return row


def _softly(key: str, findings: Sequence[Finding], language: str) -> Json:
    """A time-stamp that cannot be believed proves nothing; by itself it fails nothing."""
    softer = [Finding(one.code, None, one.params, Weight.WARNS) for one in findings]
    return evaluated(key, softer, language)


def _others(found: Sequence[Finding], told: set[Finding], language: str) -> list[Json]:
    """One row a constraint for everything else that was found."""
    rows: dict[str, list[Finding]] = {}
    for one in found:
        if one not in told:
            key = CERTIFICATE_KEYS.get(one.code) or constraint_of(one).key
            rows.setdefault(key, []).append(one)
    return [evaluated(key, each, language) for key, each in rows.items()]


def _proof(best: datetime | None, stamps: Sequence[Stamp], at: datetime) -> Json:
    proof: Json = {"Time": instant(best or at)}
    for one in stamps:
        if one.good and one.time == best:
            return {**proof, "TimestampId": stamp_id(one)}
    return proof
