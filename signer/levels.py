"""The four baseline levels of a PDF signature (EN 319 142-1 §6.1) and what each one adds."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """Ordered: each level contains the ones before it."""

    B_B = "B-B"
    B_T = "B-T"
    B_LT = "B-LT"
    B_LTA = "B-LTA"

    @property
    def rank(self) -> int:
        return _ORDER.index(self)

    @property
    def time_stamped(self) -> bool:
        """A signature time-stamp in the CMS proves the signature existed then (§6.3 table 1)."""
        return self is not Level.B_B

    @property
    def long_term(self) -> bool:
        """Certificates and revocation data in a DSS: verifiable when the CA is silent (§5.4.2)."""
        return self.rank >= Level.B_LT.rank

    @property
    def archived(self) -> bool:
        """A document time-stamp over signature and DSS: outlives keys and algorithms (§5.4.3)."""
        return self is Level.B_LTA

    @property
    def pades(self) -> str:
        """The name validators print."""
        return f"PAdES-BASELINE-{self.value[2:]}"

    @classmethod
    def parse(cls, text: str) -> Level:
        """`B-LT`, `b_lt`, `PAdES-BASELINE-LT`: what people and programs write."""
        short = text.upper().replace("_", "-").removeprefix("PADES-").replace("BASELINE-", "B-")
        return cls(short)


_ORDER = (Level.B_B, Level.B_T, Level.B_LT, Level.B_LTA)
