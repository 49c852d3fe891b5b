"""Which constraint of which building block each finding of a validation is about.

The keys are EU DSS's (its `dss-messages`), so that a reader of its reports finds the same
constraint under the same key; `DAUSO_…` are ours, for what DSS does not ask. A finding that no
row names falls to the row of its sub-indication: nothing found is left out of a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from records.errors import text
from signer.reports.naming import Json, message, said
from signer.verdicts.verdict import Finding, Indication, SubIndication, Weight, indication_of, worst


class Block(StrEnum):
    """The basic building blocks of EN 319 102-1, clause 5.2."""

    FC = "FC"
    ISC = "ISC"
    VCI = "VCI"
    XCV = "XCV"
    CV = "CV"
    SAV = "SAV"

    def heading(self, language: str) -> str:
        return said(f"TITLE_{self.value}", language)


@dataclass(frozen=True)
class Constraint:
    """`codes` are the findings that say it is not met. `only` names the families it is for."""

    key: str
    block: Block
    codes: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()

    def asked_of(self, family: str) -> bool:
        return not self.only or family in self.only


_PDF = frozenset({"PAdES", "PKCS7", "PDF"})
_XML = frozenset({"XAdES"})
_CONTAINER = frozenset({"ASiC"})
"""No family: asked of containers, and shown where it is not met."""


def _row(key: str, block: Block, *codes: str, only: frozenset[str] = frozenset()) -> Constraint:
    return Constraint(key, block, frozenset(f"validation-{one}" for one in codes), only)


CONSTRAINTS = (
    _row(
        "BBB_FC_IEFF",
        Block.FC,
        "unknown-format",
        "cms-damaged",
        "cms-content",
        "cms-attribute",
        "cms-doubled-attribute",
        "cms-unsigned-attributes",
        "cms-digest-algorithms",
        "cms-unreadable",
        "not-der",
        "xml-structure",
        "xml-damaged",
        "xml-transform",
        "xml-base64",
        "xml-reference",
        "manifest-missing",
        "manifest-doubled",
        "asic-simple",
        "timestamp-damaged",
    ),
    _row(
        "BBB_FC_IMFP_ASICE",
        Block.FC,
        "container-list-missing",
        "container-list-unreadable",
        "container-list-kind",
        only=_CONTAINER,
    ),
    _row("BBB_FC_ISRIA", Block.FC, "xml-id-doubled", only=_XML),
    _row("BBB_FC_IOSIP", Block.FC, "cms-signers", only=_PDF),
    _row("BBB_FC_IBRV", Block.FC, "byte-range", "padding", "revision-incomplete", only=_PDF),
    _row("BBB_FC_DBTOOST", Block.FC, "overlapping-ranges", only=_PDF),
    _row(
        "BBB_FC_ISDC",
        Block.FC,
        "signature-dictionary",
        "doubled-key",
        "duplicate-field",
        "docmdp",
        only=_PDF,
    ),
    _row(
        "DAUSO_FC_TWO_READERS",
        Block.FC,
        "parsers-disagree-on-objects",
        "needs-repair",
        "hybrid",
        "trailing-data",
        only=_PDF,
    ),
    _row("BBB_FC_DSFREAP", Block.FC, "change-pages", only=_PDF),
    _row("BBB_FC_IAOD", Block.FC, "change-covers-page", only=_PDF),
    _row(
        "BBB_FC_IVDBSFR",
        Block.FC,
        "change-page",
        "change-visible-empty-field",
        "change-visible-timestamp",
        only=_PDF,
    ),
    _row("BBB_FC_ISVADMDPD", Block.FC, "change-certified", only=_PDF),
    _row("BBB_FC_ISVAFMDPD", Block.FC, "change-locked", only=_PDF),
    _row("BBB_FC_DSCNFFSM", Block.FC, "change-form", only=_PDF),
    _row("BBB_FC_DSCNACMDM", Block.FC, "change-annotation", only=_PDF),
    _row(
        "BBB_FC_DSCNUOM",
        Block.FC,
        "change-object",
        "change-catalog",
        "change-form-structure",
        "change-field",
        only=_PDF,
    ),
    _row("BBB_ICS_ISCI", Block.ISC, "no-certificate-reference", "certificate-missing"),
    _row("BBB_ICS_ICDVV", Block.ISC, "certificate-substituted"),
    _row("BBB_VCI_ISPK", Block.VCI),
    _row("BBB_CV_IRDOF", Block.CV, "content-missing", "others-missing", "xml-reference-missing"),
    _row("BBB_CV_IRDOI", Block.CV, "hash", "content-differs", "original-differs", "timestamp-hash"),
    _row("BBB_CV_ISI", Block.CV, "signature-wrong"),
    _row("BBB_SAV_ISSV", Block.SAV, "bag-damaged", "cms-version", "unknown-attribute"),
    _row("BBB_SAV_ISQPSTP", Block.SAV),
    _row("DAUSO_SAV_CLAIMED_TIME", Block.SAV, "claimed-time-later", "claimed-time-local"),
    _row("BBB_SAV_ISQPMDOSPP", Block.SAV),
    _row(
        "BBB_CV_IAFS",
        Block.SAV,
        "partly-signed",
        "original-surplus",
        "frame-unsigned",
        "container-foreign",
        "container-list-differs",
        "container-comment",
    ),
    _row("DAUSO_SAV_SHOWN_IS_FIXED", Block.SAV, "xfa", "active-content", only=_PDF),
    _row(
        "BBB_SAV_ITVS",
        Block.SAV,
        "signature-timestamp-broken",
        "timestamp-not-believed",
        "timestamp-certificate-missing",
    ),
    _row("ACCM", Block.SAV, "weak-digest", "weak-mask", "weak-padding", "unknown-algorithm"),
)
"""What is asked of a signature; the certificates have their own rows in `certificate_blocks`."""

ARCHIVE = frozenset(
    {
        "validation-archive-timestamp-broken",
        "validation-archive-damaged",
        "validation-archive-not-compared",
    }
)
"""About archive data: the basic process does not know of them."""
ABOUT_STAMPS = frozenset({"validation-signature-timestamp-broken", "validation-timestamp-order"})

_FALLBACK = {
    SubIndication.HASH_FAILURE: "BBB_CV_IRDOI",
    SubIndication.SIG_CRYPTO_FAILURE: "BBB_CV_ISI",
    SubIndication.SIGNED_DATA_NOT_FOUND: "BBB_CV_IRDOF",
    SubIndication.NO_SIGNING_CERTIFICATE_FOUND: "BBB_ICS_ISCI",
    SubIndication.CRYPTO_CONSTRAINTS_FAILURE: "ACCM",
    SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: "ACCM",
    SubIndication.SIG_CONSTRAINTS_FAILURE: "BBB_SAV_ISSV",
}
_BY_CODE = {code: one for one in CONSTRAINTS for code in one.codes}
_BY_KEY = {one.key: one for one in CONSTRAINTS}


def constraint_of(found: Finding) -> Constraint:
    """Where a finding belongs; a warning of no row is about the structure."""
    if found.code in _BY_CODE:
        return _BY_CODE[found.code]
    fallback = "BBB_SAV_ISSV" if found.sub is None else "BBB_FC_IEFF"
    return _BY_KEY[_FALLBACK.get(found.sub, fallback) if found.sub else fallback]


def evaluated(
    key: str, findings: Sequence[Finding], language: str, *, block_id: str | None = None
) -> Json:
    """One constraint with its status: OK, or what the worst of its findings makes of it."""
    row: Json = {"Name": message(key, said(key, language)), "Status": "OK"}
    for weight, status, member in (
        (Weight.FAILS, "NOT OK", "Error"),
        (Weight.WARNS, "WARNING", "Warning"),
        (Weight.INFORMS, "INFORMATION", "Info"),
    ):
        hits = [one for one in findings if one.weight is weight]
        if hits:
            row["Status"] = status
            row[member] = message(f"{key}_ANS", text(hits[0].code, hits[0].params, language))
            if len(hits) > 1:
                more = (text(one.code, one.params, language) for one in hits[1:])
                row["AdditionalInfo"] = " ".join(more)
            break
    if block_id is not None:
        row["Id"] = block_id
    return row


def conclusion(
    findings: Iterable[Finding], language: str, *, total: bool = False, messages: bool = True
) -> Json:
    """What a block or a process comes to: PASSED, FAILED, INDETERMINATE (`total`: TOTAL_…)."""
    listed = list(dict.fromkeys(findings))
    sub = worst([one for one in listed if one.weight is Weight.FAILS])
    indication = indication_of(sub)
    value = indication.value
    if not total and indication is not Indication.INDETERMINATE:
        value = value.removeprefix("TOTAL_")
    made: Json = {"Indication": value}
    if sub is not None:
        made["SubIndication"] = sub.value
    if messages:
        for weight, member in (
            (Weight.FAILS, "Errors"),
            (Weight.WARNS, "Warnings"),
            (Weight.INFORMS, "Infos"),
        ):
            told = [
                message(_answer_key(one), text(one.code, one.params, language))
                for one in listed
                if one.weight is weight
            ]
            if told:
                made[member] = told
    return made


def _answer_key(found: Finding) -> str:
    return f"{CERTIFICATE_KEYS.get(found.code) or constraint_of(found).key}_ANS"


CERTIFICATE_KEYS = {
    "validation-no-chain": "BBB_XCV_CCCBB",
    "validation-chain-constraints": "DAUSO_XCV_RULES",
    "validation-wrong-purpose": "BBB_XCV_ISCGKU",
    "validation-not-a-tsa": "BBB_XCV_ISCGEKU",
    "validation-revocation-missing": "BBB_XCV_IRDPFC",
    "validation-revocation-stale": "BBB_XCV_IARDPFC",
    "validation-revoked": "BBB_XCV_ISCR",
    "validation-suspended": "BBB_XCV_ISCOH",
    "validation-weak-key": "ACCM",
    "validation-expired": "BBB_XCV_ICTIVRSC",
    "validation-not-yet-valid": "BBB_XCV_ICTIVRSC",
    "validation-timestamp-outside": "BBB_XCV_ICTIVRSC",
    "validation-timestamp-order": "TSV_ASTPTCT",
    "validation-archive-timestamp-broken": "ADEST_IBSVPTADC",
    "validation-archive-damaged": "ARCH_LTAIVMP",
    "validation-archive-not-compared": "ADEST_IBSVPTADC",
}
"""The findings of certificate chains and of archive data, each with its key."""
