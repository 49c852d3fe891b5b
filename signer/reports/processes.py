"""Each signature judged thrice, as EN 319 102-1 has it: alone, with time-stamps, with archive data.

Only the last is the verdict (it knows most); the others say what could be said without time-stamps
(clause 5.3) and without archive time-stamps (5.5). They are judged with the same functions, given
less to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from signer.reports.constraints import ABOUT_STAMPS, ARCHIVE
from signer.reports.naming import token_id
from signer.trust.chain import Chain, Material, judge_chain
from signer.verdicts.acceptance import acceptance_findings, own_stamp_findings
from signer.verdicts.examination import Examination, ExaminedSignature
from signer.verdicts.policy import Policy
from signer.verdicts.time_stamps import Stamp, judge_stamp
from signer.verdicts.verdict import Finding, SubIndication, worst

_NEEDS_PROOF = frozenset(
    {
        SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
        SubIndication.REVOKED_NO_POE,
        SubIndication.REVOKED_CA_NO_POE,
        SubIndication.TRY_LATER,
        SubIndication.OUT_OF_BOUNDS_NO_POE,
        SubIndication.OUT_OF_BOUNDS_NOT_REVOKED,
    }
)
"""With these the next process goes on: a proof of existence may answer (5.5.4, 5.6.3.4)."""


def acceptable(findings: Sequence[Finding]) -> bool:
    """Whether the next process goes on after these."""
    decisive = worst(list(findings))
    return decisive is None or decisive in _NEEDS_PROOF


@dataclass(frozen=True)
class Processes:
    """One signature and what each process finds."""

    examination: Examination
    one: ExaminedSignature

    @cached_property
    def id(self) -> str:
        signed, verdict = self.one.signed, self.one.verdict
        value = signed.signature if signed else b""
        return token_id("S", value + verdict.field.encode() + str(verdict.covered_bytes).encode())

    @property
    def family(self) -> str:
        if self.one.place is not None:
            return "PAdES"
        return (self.one.verdict.level or "CAdES").partition("-")[0]

    @property
    def first(self) -> Material:
        assert self.examination.first is not None
        return self.examination.first

    @cached_property
    def final(self) -> tuple[Finding, ...]:
        """All that was found, as the verdict has it."""
        return tuple(dict.fromkeys([*self.one.verdict.findings, *self.one.spoils]))

    @cached_property
    def lasting(self) -> tuple[Finding, ...]:
        """What was found of the signature itself: true at any moment."""
        verdict, signed, chain = self.one.verdict, self.one.signed, self.one.chain
        passing: list[Finding] = list(chain.findings) if chain else []
        if signed is not None:
            best = verdict.best_signature_time
            moment = best or self.first.at
            passing += acceptance_findings(signed, moment, best is not None, self.policy)
        return tuple(one for one in self.final if one not in passing)

    @property
    def policy(self) -> Policy:
        return self.examination.policy

    @cached_property
    def basic_chain(self) -> Chain | None:
        signed = self.one.signed
        if signed is None:
            return None
        return judge_chain(signed.certificate, self.first.at, False, self.first)

    @cached_property
    def basic(self) -> tuple[Finding, ...]:
        """Clause 5.3: as if nothing were proven."""
        own = [one for one in self.lasting if one.code not in ARCHIVE | ABOUT_STAMPS]
        return tuple(own) + self._at(self.first.at, False, self.basic_chain)

    @cached_property
    def stamps(self) -> tuple[Stamp, ...]:
        """The signature's own time-stamps as they can be believed without archive data."""
        return tuple(
            judge_stamp(one, self.first.at, self.first, proven=False) for one in self.one.read
        )

    @cached_property
    def long_term_time(self) -> datetime | None:
        return min((one.time for one in self.stamps if one.good), default=None)

    @cached_property
    def long_term_chain(self) -> Chain | None:
        signed, best = self.one.signed, self.long_term_time
        if signed is None:
            return None
        return judge_chain(signed.certificate, best or self.first.at, best is not None, self.first)

    @cached_property
    def long_term(self) -> tuple[Finding, ...]:
        """Clause 5.5: with its own time-stamps and the evidence at hand."""
        best = self.long_term_time
        own = [one for one in self.lasting if one.code not in ARCHIVE]
        own += [one for one in own_stamp_findings(self.stamps) if one not in own]
        return tuple(own) + self._at(best or self.first.at, best is not None, self.long_term_chain)

    @cached_property
    def past(self) -> bool:
        """Whether only archive data could answer: past signature validation was done."""
        return (
            bool(self.one.archives)
            and not self._passes(self.long_term)
            and acceptable(self.long_term)
        )

    def _at(self, moment: datetime, proven: bool, chain: Chain | None) -> tuple[Finding, ...]:
        signed = self.one.signed
        if signed is None or chain is None:
            return ()
        found = acceptance_findings(signed, moment, proven, self.policy)
        return (*found, *chain.findings)

    @staticmethod
    def _passes(findings: Sequence[Finding]) -> bool:
        return worst(list(findings)) is None


def stamp_id(stamp: Stamp) -> str:
    """Of a time-stamp: its signature's value tells it from every other."""
    value = stamp.signed.signature if stamp.signed else stamp.field.encode()
    return token_id("T", value + stamp.end.to_bytes(8, "big"))


def all_stamps(examination: Examination) -> list[Stamp]:
    """Every time-stamp once: the signatures' own, then those over the file."""
    own = [stamp for one in examination.signatures for stamp in one.own]
    found = {stamp_id(stamp): stamp for stamp in [*own, *examination.stamps]}
    return list(found.values())


def proof_for(stamp: Stamp, stamps: Sequence[Stamp]) -> Stamp | None:
    """The oldest good document time-stamp over this one, if any."""
    over = [one for one in stamps if one.good and one.end > stamp.end]
    return min(over, key=lambda one: one.time, default=None)
