"""What a check of the authority looked at, and what it found."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it must be. `subject` is a serial, an issuer or a table."""

    code: str
    subject: str
    text: str = ""


@dataclass
class CheckReport:
    """What was looked at and what was wrong."""

    certificates: int = 0
    crls: int = 0
    answers: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def add(self, code: str, subject: str, text: str = "") -> None:
        self.problems.append(Problem(code, subject, text))
