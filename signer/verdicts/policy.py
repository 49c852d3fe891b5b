"""The validation policy: which algorithms until when, which purposes, which limits.

Policies are data with a version (`policies/*.yaml`); every report names the one it used, so a
verdict of today can be explained in twenty years.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from signer.errors import SignerError
from signer.verdicts.verdict import Finding, SubIndication, Weight, fails

CURRENT = "dauso-2026-3"
ENDLESS = datetime.max.replace(tzinfo=UTC, microsecond=0)
"""The end of what no catalogue gives an end."""
_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_IGNORED = "ignores"
_DEFAULTS = {"validation-time-not-proven": _IGNORED}
WEIGHABLE = frozenset(
    {
        "validation-active-content",
        "validation-claimed-time-later",
        "validation-frame-unsigned",
        "validation-time-not-proven",
        "validation-wrong-purpose",
    }
)
"""What a policy may weigh. Mathematics, structure, changes, chains and status always fail."""
_WEIGHTS = frozenset({*Weight, _IGNORED})
_FOLDER = Path(__file__).parents[1] / "policies"


@dataclass(frozen=True)
class Limits:
    """What a file may ask of the validator before it is called unreadable."""

    bytes: int
    objects: int
    pages: int
    revisions: int
    signatures: int
    fields: int
    depth: int
    path_seconds: int


@dataclass(frozen=True)
class Policy:
    """One version of the rules, as data."""

    name: str
    version: str
    digests: Mapping[str, datetime]
    keys: Mapping[str, tuple[tuple[int, datetime], ...]]
    curves: frozenset[str] | None
    """The elliptic curves that are accepted; None: whatever is long enough (before 2026-3)."""
    mask_digests: frozenset[str] | None
    """The digests that MGF1 of RSASSA-PSS may be built on; None: any (before 2026-3)."""
    rsa_pkcs1: datetime
    """Until when RSA with the padding of PKCS #1 v1.5 is believed, however long the key."""
    signer_key_usage: tuple[str, ...]
    signer_extended_key_usage: frozenset[str]
    clock_skew: timedelta
    widget_share: float
    limits: Limits
    descriptions: Mapping[str, str]
    weights: Mapping[str, str]

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def id(self) -> str:
        """What a caller chooses it by; the name of its file."""
        return f"{self.name}-{self.version}"

    def description(self, language: str) -> str:
        return self.descriptions.get(language) or self.title

    def weighed(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """The findings as this policy weighs them: some fail here and only warn elsewhere."""
        return tuple(one for found in findings if (one := self._weighed(found)) is not None)

    def _weighed(self, found: Finding) -> Finding | None:
        weight = self.weights.get(found.code)
        if weight is None:
            return found
        if weight == _IGNORED:
            return None
        sub = found.sub or SubIndication.SIG_CONSTRAINTS_FAILURE
        decided = Weight(weight)
        return replace(found, weight=decided, sub=sub if decided is Weight.FAILS else None)

    def digest_good(self, algorithm: str, at: datetime) -> bool:
        """Whether this digest can be believed at that moment."""
        until = self.digests.get(algorithm.replace("-", "_"))
        return until is not None and at < until

    def believed_until(self, key: object, digest: str) -> datetime | None:
        """The end of a key and digest together; None when either was never believed."""
        until, end = self.digests.get(digest.replace("-", "_")), self.key_end(key)
        return min(until, end) if until and end else None

    def key_good(self, key: object, at: datetime) -> bool:
        """Whether a key of this kind, curve and size can be believed at that moment."""
        until = self.key_end(key)
        return until is not None and at < until

    def key_end(self, key: object) -> datetime | None:
        """Until when such a key is believed; None when it never was."""
        if isinstance(key, ec.EllipticCurvePublicKey):
            named = self.curves is None or key.curve.name in self.curves
            return self._end_of("ec", key.curve.key_size) if named else None
        return self._end_of("rsa", key.key_size) if isinstance(key, rsa.RSAPublicKey) else None

    def _end_of(self, kind: str, bits: int) -> datetime | None:
        ends = [end for size, end in self.keys.get(kind, ()) if size <= bits]
        return ends[-1] if ends else None

    def padding_findings(
        self, key: object, mask: str | None, moment: datetime, *, proven: bool
    ) -> list[Finding]:
        """What stands against how an RSA key signed: `mask` is the digest that MGF1 of RSASSA-PSS
        was built on, None for PKCS #1 v1.5 (and for other keys)."""
        if mask is None:
            ended = isinstance(key, rsa.RSAPublicKey) and moment >= self.rsa_pkcs1
            code, params = "validation-weak-padding", dict[str, object]()
        else:
            ended = self.mask_digests is not None and mask not in self.mask_digests
            code, params = "validation-weak-mask", {"algorithm": mask.upper()}
        if not ended:
            return []
        sub = (
            SubIndication.CRYPTO_CONSTRAINTS_FAILURE
            if proven
            else SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        )
        return [fails(code, sub, **params)]


@functools.cache
def load_policy(name: str = CURRENT) -> Policy:
    """Read one version; raises SignerError `policy-unknown`, or ValueError when it is not whole."""
    path = _FOLDER / f"{name}.yaml"
    if not _ID.fullmatch(name) or not path.is_file():
        raise SignerError("policy-unknown", policy=name[:40])
    raw = yaml.safe_load(path.read_text("utf-8"))
    if "limits" not in raw:  # another room's policy, kept beside these
        raise SignerError("policy-unknown", policy=name[:40])
    weights = raw.get("constraints", {})
    if not weights.keys() <= WEIGHABLE or not _WEIGHTS.issuperset(weights.values()):
        raise ValueError(f"{name}: a constraint that no policy may weigh so")
    return Policy(
        name=raw["name"],
        version=raw["version"],
        digests={digest: _end(day) for digest, day in raw["digests"].items()},
        keys={
            kind: tuple(sorted((size, _end(day)) for size, day in rows.items()))
            for kind, rows in raw["keys"].items()
        },
        curves=_names(raw.get("curves")),
        mask_digests=_names(raw.get("pss_mask_digests")),
        rsa_pkcs1=_end(raw.get("rsa_pkcs1_v1_5")),
        signer_key_usage=tuple(raw["signer"]["key_usage"]),
        signer_extended_key_usage=frozenset(raw["signer"]["extended_key_usage"]),
        clock_skew=timedelta(seconds=raw["clock_skew_seconds"]),
        widget_share=raw["widget_share"],
        limits=Limits(**raw["limits"]),
        descriptions=raw.get("description", {}),
        weights={**_DEFAULTS, **weights},
    )


def policy_ids() -> tuple[str, ...]:
    """Every version there is, old ones too: a verdict of then must stay explainable."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("dauso*.yaml")))


def policy_text(name: str) -> str:
    """The data of one version as they are kept; raises SignerError `policy-unknown`."""
    load_policy(name)
    return (_FOLDER / f"{name}.yaml").read_text("utf-8")


def _names(listed: list[str] | None) -> frozenset[str] | None:
    return None if listed is None else frozenset(listed)


def _end(day: date | None) -> datetime:
    return ENDLESS if day is None else datetime.combine(day, time(), UTC)
