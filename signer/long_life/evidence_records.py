"""Evidence records: these objects exist since then, and the proof was renewed in time (RFC 4998).

    proof = read_proof(Evidence(record, (companion,)), digest_of)
    proof.links             # the archive time-stamps, oldest first, not yet believed

A record says nothing by itself about the signatures in a file: it proves since when the file
exists. What shows the status of their authorities at that time travels beside the file, as a
companion object of the same data group. The numbers are those of docs/flows/long-life.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from asn1crypto import cms, tsp

from ca import der
from ca.der import MalformedDer
from signer.cms_parts import CmsParts
from signer.files.cades import with_evidence
from signer.long_life.evidence_syntax import Chain, EvidenceRecord, sequence_of
from signer.long_life.hash_tree import ALGORITHMS, hashed, node, root_of
from signer.trust.chain import Material
from signer.verdicts.mathematics import digest
from signer.verdicts.time_stamps import Stamp, judge_stamp, read_stamp
from signer.verdicts.verdict import Finding, Rejected, informs, warns

if TYPE_CHECKING:
    from signer.pdf import dss

FIELD = "evidence-record"
DigestOf = Callable[[str], bytes]


@dataclass(frozen=True)
class Evidence:
    """An evidence record about a file, and the other objects of its data group, if any."""

    record: bytes
    companions: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Proof:
    """A record after its mathematics: time-stamps oldest first, and what the companions hold."""

    links: tuple[Stamp, ...]
    certificates: frozenset[bytes] = frozenset()
    revocation: frozenset[bytes] = frozenset()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Believed:
    """The outcome: since when everything in the data group is proven to exist, if at all."""

    since: datetime | None
    stamps: tuple[Stamp, ...]
    material: Material
    findings: tuple[Finding, ...]


def read_proof(evidence: Evidence, digest_of: DigestOf) -> Proof:
    """Does the record lead from this file to its time-stamps? (RFC 4998 §4.3 and §5.3)

    `digest_of(algorithm)` is the file's. A record that is damaged or about something else proves
    nothing, and says so: it does not make the file worse than it is without it.
    """
    try:
        record = EvidenceRecord.read(evidence.record)
        objects = [digest_of, *(_digest_of(one) for one in evidence.companions)]
        links = tuple(
            stamp
            for number, chain in enumerate(record.chains)
            for stamp in _chain_stamps(chain, record.chains[:number], objects)
        )
        certificates, revocation = _carried(evidence.companions)
    except _Elsewhere:
        return Proof((), findings=(warns("evidence-about-something-else"),))
    except (MalformedDer, Rejected, ValueError, TypeError, KeyError) as error:
        return Proof((), findings=(warns("evidence-damaged", detail=type(error).__name__),))
    extra = len(record.chains[0][0].lists[0]) if record.chains[0][0].lists else 0
    findings = [informs("evidence-of-more")] if extra > len(objects) else []
    return Proof(links, certificates, revocation, tuple(findings))


def believe(proof: Proof, material: Material) -> Believed:
    """Judge the time-stamps, newest first, each at the moment the newer one proves (§5.3).

    Only when every one is good does the oldest say since when the objects exist.
    """
    moment, proven = material.at, False
    judged: list[Stamp] = []
    for position in range(len(proof.links) - 1, -1, -1):
        one = judge_stamp(proof.links[position], moment, material, proven=proven)
        judged.append(one)
        if not one.good:
            break
        moment, proven = min(moment, one.time), True
        # The whole older token is covered, and so is what it carries for its own status.
        older = [each.signed for each in proof.links[:position] if each.signed is not None]
        covered = (each for signed in older for each in signed.revocation)
        material = _dated(material, covered, moment)
    judged.reverse()
    findings = list(proof.findings)
    if not proof.links or len(judged) < len(proof.links) or not all(one.good for one in judged):
        if proof.links:
            findings.append(warns("evidence-not-believed"))
        return Believed(None, tuple(judged), material, tuple(findings))
    material = _dated(material, proof.revocation, moment)
    findings.append(informs("evidence-since", time=moment.isoformat()))
    return Believed(moment, tuple(judged), material, tuple(findings))


def believe_all(proof: Proof, material: Material, outside: Iterable[bytes]) -> Believed:
    """`believe`, and then everything that came with the file is as old as the record says.

    `outside` is revocation data that did not: what the caller holds fresh.
    """
    believed = believe(proof, material)
    if believed.since is None:
        return replace(believed, material=material)
    links = [link.signed for link in proof.links if link.signed is not None]
    later = {*outside, *(one for signed in links for one in signed.revocation)}
    inside = set(believed.material.evidence) - later
    return replace(believed, material=_dated(believed.material, inside, believed.since))


def companion(material: dss.Material) -> bytes:
    """Certificates and revocation data as one object: a CMS without a signer (RFC 5652 §5)."""
    bare = CmsParts((), der.oid("1.2.840.113549.1.7.1"), None, (), (), ())
    return with_evidence(bare, material).encode()


def completed(token: bytes, material: dss.Material) -> bytes:
    """A time-stamp token with what shows its authority's status, before it is renewed (§5.2)."""
    return with_evidence(CmsParts.read(token), material).encode()


def imprint_algorithm(token: bytes) -> str:
    """The digest a token is about; raises MalformedDer when it is none of SHA-2."""
    try:
        signed = cms.ContentInfo.load(token)["content"]
        info = tsp.TSTInfo.load(bytes(signed["encap_content_info"]["content"]))
        name: str = info["message_imprint"]["hash_algorithm"]["algorithm"].native
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedDer("a token without TSTInfo") from error
    if name not in ALGORITHMS:
        raise MalformedDer("a digest that is not SHA-2")
    return name


class _Elsewhere(Exception):
    """The record's first list does not hold this object's digest."""


def _chain_stamps(
    chain: Chain, before: Sequence[Chain], objects: Sequence[DigestOf]
) -> list[Stamp]:
    algorithm = chain[0].algorithm or imprint_algorithm(chain[0].token)
    values = [digest_of(algorithm) for digest_of in objects]
    if before:
        # A renewed hash tree is about each object together with the whole earlier sequence.
        earlier = hashed(sequence_of(before), algorithm)
        values = [hashed(value + earlier, algorithm) for value in values]
    stamps = []
    for number, one in enumerate(chain):
        if (one.algorithm or imprint_algorithm(one.token)) != algorithm:
            raise MalformedDer("one chain, two digests")
        if number:
            values = [hashed(chain[number - 1].token, algorithm)]
        if one.lists:
            if not set(values) <= set(one.lists[0]):
                raise _Elsewhere
            root = root_of(one.lists, algorithm)
        else:
            root = node(values, algorithm)
        stamps.append(read_stamp(one.token, _only(algorithm, root), field=FIELD))
    return stamps


def _only(algorithm: str, value: bytes) -> DigestOf:
    """The tree's digest and the token's are one (§4.2, step 5)."""
    return lambda name: value if name == algorithm else b""


def _digest_of(value: bytes) -> DigestOf:
    return lambda algorithm: digest(algorithm, value)


def _carried(companions: Sequence[bytes]) -> tuple[frozenset[bytes], frozenset[bytes]]:
    from signer.verdicts.validation_cades import statement  # which imports what imports this module

    certificates: set[bytes] = set()
    revocation: set[bytes] = set()
    for one in companions:
        parts = CmsParts.read(one)
        certificates |= {each for each in parts.certificates if each[0] == der.SEQUENCE}
        told = (statement(each) for each in parts.revocation)
        revocation |= {each for each in told if each is not None}
    return frozenset(certificates), frozenset(revocation)


def _dated(material: Material, values: Iterable[bytes], moment: datetime) -> Material:
    known = material.evidence
    earlier = {one: min(moment, known[one]) for one in values if one in known}
    return replace(material, evidence={**known, **earlier})
