"""What a validation looked at, kept for whoever wants more than the verdict.

`validate(…, examined=…)` hands this over once, after the verdict: the parsed signatures, their
chains, time-stamps and proofs, as `signer.reports` needs them. It is never written to a pipe or a
database; reports are made from it in the process that read the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from signer.pdf.signature_objects import SignatureObject
from signer.trust.chain import Chain, Material
from signer.verdicts.policy import Policy
from signer.verdicts.report import Report, SignatureVerdict
from signer.verdicts.signed_data import SignedData
from signer.verdicts.time_stamps import Stamp
from signer.verdicts.verdict import Finding


@dataclass(frozen=True)
class SignedReference:
    """One digest that a signature vouches for, and whether the octets in hand come to it.

    `kind` is DSS's word: MESSAGE_DIGEST, REFERENCE, SIGNED_PROPERTIES, MANIFEST_ENTRY.
    """

    kind: str
    digest: str
    value: bytes
    name: str = ""
    found: bool = True
    intact: bool = True


@dataclass(frozen=True)
class ExaminedSignature:
    """One signature with everything its verdict rests on.

    `own` and `archives` are time-stamps as they were judged; `own` as read are in `read`.
    `signed` and `chain` are None when the mathematics failed: nothing else was looked at then.
    `spoils` are findings of the file that keep every signature of it from passing.
    """

    verdict: SignatureVerdict
    signed: SignedData | None = None
    chain: Chain | None = None
    read: tuple[Stamp, ...] = ()
    own: tuple[Stamp, ...] = ()
    archives: tuple[Stamp, ...] = ()
    references: tuple[SignedReference, ...] = ()
    certificates: frozenset[bytes] = frozenset()
    revocation: frozenset[bytes] = frozenset()
    material: Material | None = None
    place: SignatureObject | None = None
    spoils: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Examination:
    """A whole file: `first` is the material before anything was proven to be older than now."""

    report: Report
    policy: Policy
    first: Material | None = None
    signatures: tuple[ExaminedSignature, ...] = field(default=())
    stamps: tuple[Stamp, ...] = ()


Examined = Callable[[Examination], None]
"""Who is told of an examination."""
