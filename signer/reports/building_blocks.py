"""The basic building blocks of one signature or time-stamp (EN 319 102-1, clause 5.2).

They are told as of the validation time, as if nothing were proven; what proofs of existence
change is told by the processes (`detailed`) and, where they were needed, by PSV, PCV and VTS.
"""

from __future__ import annotations

from collections.abc import Sequence

from signer.reports.certificate_blocks import CertificateBlocks, chain_items
from signer.reports.constraints import (
    CERTIFICATE_KEYS,
    CONSTRAINTS,
    Block,
    Constraint,
    conclusion,
    constraint_of,
    evaluated,
)
from signer.reports.naming import (
    Json,
    certificate_id,
    digest_name,
    instant,
    key_name,
    key_size,
    said,
    signature_uri,
)
from signer.reports.processes import Processes, stamp_id
from signer.reports.revocation_facts import RevocationFacts
from signer.trust.chain import Chain, Material, judge_chain
from signer.verdicts.examination import Examination
from signer.verdicts.policy import Policy
from signer.verdicts.signed_data import SignedData
from signer.verdicts.time_stamps import Stamp
from signer.verdicts.verdict import Finding, SubIndication, Weight, worst


def signature_blocks(processes: Processes, language: str) -> Json:
    """FC to SAV, AOV, and PSV, PCV, VTS where only archive data could answer."""
    one, made = processes.one, _Writer(processes.family, processes.basic, language)
    block: Json = {"FC": made.block(Block.FC), "ISC": made.block(Block.ISC)}
    source = "SIGNATURE"
    items = chain_items(processes.basic_chain, processes.first.paths.anchors, source)
    block["ISC"]["CertificateChain"] = {"ChainItem": items}
    block["VCI"] = made.block(Block.VCI)
    if processes.basic_chain is not None:
        chain = CertificateBlocks(
            processes.basic_chain, processes.first.at, processes.first, language, processes.basic
        )
        block["XCV"] = chain.xcv()
    block["CV"] = made.block(Block.CV)
    if one.signed is not None and processes.basic_chain is not None:
        block["SAV"] = made.block(Block.SAV)
        block["AOV"] = _obsolescence(
            one.signed, processes.basic_chain, processes.first, processes.id, language
        )
    if processes.past:
        block |= _past(processes, language)
    block["CertificateChain"] = {"ChainItem": items}
    block["Conclusion"] = conclusion(processes.basic, language)
    return {**block, "Id": processes.id, "Type": "SIGNATURE"}


def stamp_blocks(stamp: Stamp, examination: Examination, language: str) -> Json:
    """The same of a time-stamp: identification, certificate, mathematics, acceptance."""
    first = examination.first
    assert first is not None
    chain, findings = stamp_at(stamp, first)
    made = _Writer("timestamp", findings, language)
    block: Json = {}
    if stamp.end:
        block["FC"] = made.block(Block.FC)
    items = chain_items(chain, first.paths.anchors, "TIMESTAMP")
    block["ISC"] = {**made.block(Block.ISC), "CertificateChain": {"ChainItem": items}}
    if chain is not None:
        block["XCV"] = CertificateBlocks(chain, first.at, first, language, findings).xcv()
    block["CV"] = made.block(Block.CV)
    if stamp.signed is not None and chain is not None:
        block["SAV"] = made.block(Block.SAV)
        block["AOV"] = _obsolescence(stamp.signed, chain, first, stamp_id(stamp), language)
    block["CertificateChain"] = {"ChainItem": items}
    block["Conclusion"] = conclusion(findings, language)
    return {**block, "Id": stamp_id(stamp), "Type": "TIMESTAMP"}


def stamp_at(stamp: Stamp, material: Material) -> tuple[Chain | None, list[Finding]]:
    """A time-stamp's chain and findings at the validation time, nothing proven."""
    if stamp.signed is None:
        return None, list(stamp.findings)
    passing = list(stamp.chain.findings) if stamp.chain else []
    weak = "validation-weak-digest"
    kept = [one for one in stamp.findings if one not in passing and one.code != weak]
    chain = judge_chain(stamp.signed.certificate, material.at, False, material)
    names = {stamp.signed.digest, *((stamp.info.digest,) if stamp.info else ())}
    sub = SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
    for name in sorted(names):
        if not material.policy.digest_good(name, material.at):
            kept.append(Finding(weak, sub, {"algorithm": name.upper()}))
    return chain, [*kept, *chain.findings]


def revocation_blocks(one: RevocationFacts, anchors: frozenset[object], language: str) -> Json:
    """Of revocation data that were accepted: somebody known signed them."""
    made = _Writer("revocation", (), language)
    items = [{"Source": "OTHER", "Id": certificate_id(one.signer)}] if one.signer else []
    if one.signer in anchors and items:
        items[0]["Source"] = "TRUSTED_STORE"
    isc = {**made.block(Block.ISC, "BBB_ICS_ISCI"), "CertificateChain": {"ChainItem": items}}
    return {
        "ISC": isc,
        "CV": made.block(Block.CV, "BBB_CV_ISIR"),
        "CertificateChain": {"ChainItem": items},
        "Conclusion": conclusion((), language),
        "Id": one.id,
        "Type": "REVOCATION",
    }


class _Writer:
    """Blocks of one token from its findings."""

    def __init__(self, family: str, findings: Sequence[Finding], language: str) -> None:
        self.family, self.language = family, language
        own = [one for one in findings if one.code not in CERTIFICATE_KEYS]
        self.by_constraint: dict[Constraint, list[Finding]] = {}
        for one in own:
            self.by_constraint.setdefault(constraint_of(one), []).append(one)

    def block(self, block: Block, *keys: str) -> Json:
        """`keys` instead of all constraints of the block."""
        rows, findings = [], []
        for one in CONSTRAINTS:
            found = self.by_constraint.get(one, [])
            if one.block is not block or not (one.asked_of(self.family) or found) or keys:
                continue
            rows.append(evaluated(one.key, found, self.language))
            findings += found
        rows += [evaluated(key, (), self.language) for key in keys]
        return {
            "Constraint": rows,
            "Conclusion": conclusion(findings, self.language),
            "Title": block.heading(self.language),
        }


def _obsolescence(
    signed: SignedData, chain: Chain, material: Material, token: str, language: str
) -> Json:
    """Until when the policy lets each algorithm be believed (TS 119 312)."""
    policy, at = material.policy, material.at
    leaf = signed.certificate.x509.public_key()
    own = _algorithm(leaf, signed.digest, policy, material, language)
    chained = []
    for one in chain.certificates[:-1]:
        issuer_key = next(
            (
                above.x509.public_key()
                for above in chain.certificates
                if above.subject == one.issuer
            ),
            leaf,
        )
        digest = one.x509.signature_hash_algorithm
        name = digest.name.replace("-", "_") if digest else "unknown"
        made = _algorithm(issuer_key, name, policy, material, language)
        chained.append({**made, "TokenId": certificate_id(one)})
    weak = [one for one in (own, *chained) if one["Conclusion"]["Indication"] != "PASSED"]
    row = evaluated("ACCM", (), language)
    if weak:
        found = Finding(
            "validation-weak-digest",
            SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
            {"algorithm": weak[0]["Algorithm"]["Name"]},
        )
        row = evaluated("ACCM", [found], language)
    block: Json = {
        "Constraint": [row],
        "Conclusion": weak[0]["Conclusion"] if weak else conclusion((), language),
        "Title": said("TITLE_AOV", language),
        "SignatureCryptographicValidation": {**own, "TokenId": token},
    }
    if chained:
        block["CertificateChainCryptographicValidation"] = {
            "CertificateCryptographicValidation": chained
        }
    return {**block, "ValidationTime": instant(at)}


def _algorithm(key: object, digest: str, policy: Policy, material: Material, language: str) -> Json:
    until = policy.believed_until(key, digest)
    found = []
    if until is None or until <= material.at:
        sub = SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        name = f"{key_name(key)} {key_size(key)} / {digest_name(digest)}"
        found.append(Finding("validation-weak-digest", sub, {"algorithm": name}))
    made: Json = {
        "Algorithm": {
            "Name": f"{key_name(key)} with {digest_name(digest)}",
            "Uri": signature_uri(key, digest),
            "KeyLength": str(key_size(key)),
        }
    }
    if until is not None:
        made["NotAfter"] = instant(until)
    return {**made, "Conclusion": conclusion(found, language)}


def _past(processes: Processes, language: str) -> Json:
    """Clauses 5.6.2.1, 5.6.2.2 and 5.6.2.4: judged at the moment that archive data prove."""
    moment = processes.one.verdict.best_signature_time or processes.first.at
    chain = processes.one.chain
    found = list(chain.findings) if chain else []
    control = instant(moment)
    slid = conclusion(found, language)
    whole = conclusion(processes.final, language)
    proof = (
        [one for one in processes.final if one.sub is not None]
        if worst([one for one in processes.final if one.weight is Weight.FAILS])
        else []
    )
    return {
        "PSV": {
            "Constraint": [
                evaluated("PSV_IPCVA", found, language),
                evaluated("PSV_ITPOSVAOBCT", proof, language),
            ],
            "Conclusion": whole,
            "ControlTime": control,
            "Title": said("TITLE_PSV", language),
        },
        "PCV": {
            "Constraint": [evaluated("PCV_IVTSC", found, language)],
            "Conclusion": slid,
            "ControlTime": control,
            "Title": said("TITLE_PCV", language),
        },
        "VTS": {
            "Constraint": [evaluated("PSV_ICTD", (), language)],
            "Conclusion": slid,
            "ControlTime": control,
            "Title": said("TITLE_VTS", language),
        },
    }
