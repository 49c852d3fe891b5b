"""The validation policy: which algorithms until when, which purposes, which limits.

Policies are data with a version (`policies/*.yaml`); every report names the one it used, so a
verdict of today can be explained in twenty years.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CURRENT = "dauso-2026-1"
_FOLDER = Path(__file__).parent / "policies"


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
    signer_key_usage: tuple[str, ...]
    signer_extended_key_usage: frozenset[str]
    clock_skew: timedelta
    widget_share: float
    limits: Limits

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}"

    def digest_good(self, algorithm: str, at: datetime) -> bool:
        """Whether this digest can be believed at that moment."""
        until = self.digests.get(algorithm.replace("-", "_"))
        return until is not None and at < until

    def key_good(self, key: object, at: datetime) -> bool:
        """Whether a key of this kind and size can be believed at that moment."""
        if isinstance(key, rsa.RSAPublicKey):
            kind, bits = "rsa", key.key_size
        elif isinstance(key, ec.EllipticCurvePublicKey):
            kind, bits = "ec", key.curve.key_size
        else:
            return False
        until = [end for size, end in self.keys[kind] if size <= bits]
        return bool(until) and at < until[-1]


@functools.cache
def load_policy(name: str = CURRENT) -> Policy:
    """Read one version; raises FileNotFoundError or KeyError when it is not whole."""
    raw = yaml.safe_load((_FOLDER / f"{name}.yaml").read_text("utf-8"))
    return Policy(
        name=raw["name"],
        version=raw["version"],
        digests={digest: _end(day) for digest, day in raw["digests"].items()},
        keys={
            kind: tuple(sorted((size, _end(day)) for size, day in rows.items()))
            for kind, rows in raw["keys"].items()
        },
        signer_key_usage=tuple(raw["signer"]["key_usage"]),
        signer_extended_key_usage=frozenset(raw["signer"]["extended_key_usage"]),
        clock_skew=timedelta(seconds=raw["clock_skew_seconds"]),
        widget_share=raw["widget_share"],
        limits=Limits(**raw["limits"]),
    )


def _end(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
