"""X.509 certificate validation as a report tells it: XCV, one SubXCV a certificate, CRS, RFC.

EN 319 102-1, clauses 5.2.5 and 5.2.6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from signer.reports.constraints import CERTIFICATE_KEYS, Block, conclusion, evaluated
from signer.reports.naming import Json, certificate_id, instant, said
from signer.reports.revocation_facts import RevocationFacts, revocation_facts
from signer.trust.certificates import Certificate, is_authority
from signer.trust.chain import Chain, Material
from signer.trust.revocation_status import is_answered
from signer.verdicts.verdict import Finding

_ALONE = frozenset({"validation-no-chain", "validation-chain-constraints"})
_STATUS = (
    "BBB_XCV_IRDPFC",
    "BBB_XCV_IARDPFC",
    "BBB_XCV_ISCR",
    "BBB_XCV_ISCOH",
)
_EARLY = "validation-not-yet-valid"


class CertificateBlocks:
    """The blocks of one chain, judged at one moment."""

    def __init__(
        self,
        chain: Chain,
        moment: datetime,
        material: Material,
        language: str,
        purpose: Sequence[Finding] = (),
    ) -> None:
        self.chain, self.moment, self.material, self.language = chain, moment, material, language
        self.purpose = [one for one in purpose if one.code in CERTIFICATE_KEYS]
        self.findings = [*chain.findings, *self.purpose]
        self.by_certificate = self._shared_out()
        known = material.paths.known
        told = (revocation_facts(der, known) for der in sorted(chain.sources))
        self.sources = [one for one in told if one is not None]

    @property
    def anchored(self) -> bool:
        return not any(one.code == "validation-no-chain" for one in self.chain.findings)

    def xcv(self) -> Json:
        """The XCV block with its SubXCV blocks."""
        said_alone = [one for one in self.chain.findings if one.code in _ALONE]
        broken = [one for one in said_alone if one.code == "validation-no-chain"]
        rows = [evaluated("BBB_XCV_CCCBB", broken, self.language)]
        subs: list[Json] = []
        if self.anchored:
            rules = [one for one in said_alone if one not in broken]
            rows.append(evaluated("DAUSO_XCV_RULES", rules, self.language))
            for position, certificate in enumerate(self.chain.certificates):
                sub = self._sub(position, certificate)
                subs.append(sub)
                row = evaluated("BBB_XCV_SUB", self.by_certificate[position], self.language)
                rows.append({**row, "Id": sub["Id"], "BlockType": "SUB_XCV"})
        return {
            "Constraint": rows,
            "Conclusion": conclusion(self.findings, self.language),
            "SubXCV": subs,
            "Title": Block.XCV.heading(self.language),
        }

    def freshness(self) -> Iterator[Json]:
        """One RFC block a certificate below the anchor."""
        for position in range(len(self.chain.certificates) - 1):
            yield self._rfc(position)

    def _shared_out(self) -> list[list[Finding]]:
        """Each finding to the certificate it names; what names none is the signer's."""
        names = [one.common_name() for one in self.chain.certificates]
        shared: list[list[Finding]] = [[] for _each in names]
        for one in self.findings:
            holder = one.params.get("holder")
            position = names.index(str(holder)) if holder in names else 0
            if one.code == "validation-weak-digest":
                position = self._made_with(str(one.params.get("algorithm")))
            shared[position].append(one)
        return shared

    def _made_with(self, algorithm: str) -> int:
        for position, one in enumerate(self.chain.certificates):
            digest = one.x509.signature_hash_algorithm
            if digest is not None and digest.name.upper() == algorithm.upper():
                return position
        return 0

    def _sub(self, position: int, certificate: Certificate) -> Json:
        last = position == len(self.chain.certificates) - 1
        found, language = self.by_certificate[position], self.language
        block: Json = {
            "Constraint": [],
            "Conclusion": conclusion(found, language),
            "Title": said("TITLE_CERTIFICATE", language),
            "Id": certificate_id(certificate),
            "TrustAnchor": last,
            "SelfSigned": certificate.subject == certificate.issuer,
        }
        if last:
            return block
        keys = ["BBB_XCV_ICSI", "BBB_XCV_DCIDNMSDNIC", "BBB_XCV_ISCGKU", "BBB_XCV_ISCGEKU"]
        if is_authority(certificate):
            keys = ["BBB_XCV_ICAC", *keys[:3]]
        early = any(one.code == _EARLY for one in found)
        keys += [] if early else _STATUS
        keys += ["ACCM", "BBB_XCV_ICTIVRSC"]
        block["Constraint"] = [self._asked(key, found) for key in keys]
        if not early:
            block["CRS"] = self._crs(position)
            block["RFC"] = self._rfc(position)
            row = evaluated("BBB_XCV_RFC", self._stale(position), language)
            block["Constraint"].insert(-2, {**row, "BlockType": "RFC"})
        return block

    def _asked(self, key: str, found: Sequence[Finding]) -> Json:
        hits = [one for one in found if self._key(one) == key]
        return evaluated(key, hits, self.language)

    @staticmethod
    def _key(found: Finding) -> str:
        return CERTIFICATE_KEYS.get(found.code, "ACCM")

    def _stale(self, position: int) -> list[Finding]:
        codes = ("validation-revocation-stale", "validation-revocation-missing")
        return [one for one in self.by_certificate[position] if one.code in codes]

    def about(self, position: int) -> list[RevocationFacts]:
        """The revocation data that answered for one certificate, newest last."""
        child, issuer = self.chain.certificates[position : position + 2]
        told = [one for one in self.sources if is_answered(child, issuer, (one.der,))]
        return sorted(told, key=lambda one: one.this_update)

    def _crs(self, position: int) -> Json:
        """Which revocation data were accepted (the standard's revocation selector)."""
        accepted, language = self.about(position), self.language
        block: Json = {
            "Constraint": [evaluated("BBB_XCV_IARDPFC", self._stale(position), language)],
            "Conclusion": conclusion(self._stale(position), language),
            "RAC": [self._rac(one) for one in accepted],
            "Title": said("TITLE_CRS", language),
            "Id": certificate_id(self.chain.certificates[position]),
        }
        if accepted:
            block["LatestAcceptableRevocationId"] = accepted[-1].id
        return block

    def _rac(self, one: RevocationFacts) -> Json:
        keys = (
            "BBB_XCV_REVOC_ISSUER_KNOWN",
            "BBB_CV_ISIR",
            "BBB_XCV_REVOC_THIS_UPDATE_PRESENT",
            "BBB_XCV_REVOC_ISSUER_VALID_AT_PROD",
            "BBB_XCV_REVOC_HAS_CERT_INFO",
        )
        return {
            "Constraint": [evaluated(key, (), self.language) for key in keys],
            "Conclusion": conclusion((), self.language),
            "RevocationThisUpdate": instant(one.this_update),
            "RevocationProductionDate": instant(one.produced),
            "Title": said("TITLE_RAC", self.language),
            "Id": one.id,
        }

    def _rfc(self, position: int) -> Json:
        """Revocation freshness (clause 5.2.5): issued after the moment, or still fresh then."""
        accepted, stale = self.about(position), self._stale(position)
        block: Json = {
            "Constraint": [evaluated("BBB_RFC_IRIF", stale, self.language)],
            "Conclusion": conclusion(stale, self.language),
            "Title": said("TITLE_RFC", self.language),
        }
        if accepted:
            block["Id"] = accepted[-1].id
        return block


def chain_items(chain: Chain | None, anchors: frozenset[Certificate], source: str) -> list[Json]:
    """DSS's ChainItem list: each certificate and where it is believed to come from."""
    return [
        {"Source": "TRUSTED_STORE" if one in anchors else source, "Id": certificate_id(one)}
        for one in (chain.certificates if chain else ())
    ]
