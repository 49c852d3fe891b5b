"""What a validation says: to a program (JSON), and to a citizen (words).

    report = validate(data, trust=trust, now=now)
    report.to_json()        # exactly the public fields
    report.to_text("vi")    # HỢP LỆ / KHÔNG HỢP LỆ / CHƯA ĐỦ CĂN CỨ, and why

`details()` holds every finding and the policy's name; it is also how a report travels out of
the limited child process, as plain JSON and never as a pickle.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

from records.errors import text
from signer.verdicts.verdict import Finding, Indication, SubIndication, Weight, indication_of

_HANOI = timezone(timedelta(hours=7))


class Changes(StrEnum):
    """What was added to the file after a signature, judged revision by revision."""

    UNTOUCHED = "untouched"
    ARCHIVE_DATA_ONLY = "archive_data_only"
    PERMITTED = "permitted"
    NOT_ALLOWED = "not_allowed"

    @property
    def severity(self) -> int:
        return list(Changes).index(self)


@dataclass(frozen=True)
class SignatureVerdict:
    """One signature: the public fields of `dauso validate`, and the evidence behind them."""

    sub_indication: SubIndication | None
    signer: str | None
    level: str | None
    signing_time: datetime | None
    best_signature_time: datetime | None
    covers_whole_file: bool
    changes: Changes
    field: str
    findings: tuple[Finding, ...] = ()
    signer_certificate: bytes | None = None
    covered_bytes: int = 0
    certification: int | None = None
    countersigns: bool = False
    """Whether it confirms another signature and not the document."""

    @property
    def indication(self) -> Indication:
        return indication_of(self.sub_indication)

    @property
    def changes_known(self) -> bool:
        """Whether there is anything to say of changes: not where no signature could be checked."""
        return self.signer is not None or self.changes is not Changes.UNTOUCHED

    def to_json(self) -> dict[str, object]:
        return {
            "indication": self.indication.value,
            "sub_indication": self.sub_indication and self.sub_indication.value,
            "signer": self.signer,
            "level": self.level,
            "signing_time": _instant(self.signing_time),
            "best_signature_time": _instant(self.best_signature_time),
            "covers_whole_file": self.covers_whole_file,
            "changes": self.changes.value,
        }


@dataclass(frozen=True)
class TimestampVerdict:
    """One time-stamp: of the whole file (a document time-stamp) or of one signature."""

    sub_indication: SubIndication | None
    time: datetime | None
    authority: str | None
    field: str
    covers_file: bool
    findings: tuple[Finding, ...] = ()
    certificate: bytes | None = None

    @property
    def indication(self) -> Indication:
        return indication_of(self.sub_indication)


@dataclass(frozen=True)
class Report:
    """The verdict on one file. TOTAL_PASSED only when every signature in it is."""

    sub_indication: SubIndication | None
    signatures: tuple[SignatureVerdict, ...] = ()
    timestamps: tuple[TimestampVerdict, ...] = ()
    findings: tuple[Finding, ...] = ()
    file: str | None = None
    policy: str = ""
    validation_time: datetime | None = None
    # What the file offered for building paths, for whoever asks the network for more.
    certificates: tuple[bytes, ...] = field(default=(), compare=False, repr=False)
    papers: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)
    """Every form of `signer.reports`, when they were asked for."""

    @property
    def indication(self) -> Indication:
        return indication_of(self.sub_indication)

    @property
    def policy_id(self) -> str:
        """What the policy is chosen by; empty when none was come to."""
        return self.policy.replace(" ", "-")

    @property
    def passed(self) -> bool:
        return self.indication is Indication.TOTAL_PASSED

    @property
    def readable(self) -> bool:
        return self.sub_indication is not SubIndication.UNREADABLE

    @property
    def exit_code(self) -> int:
        """0 passed, 1 failed, 2 indeterminate, 3 unreadable (the command line's promise)."""
        if not self.readable:
            return 3
        return {
            Indication.TOTAL_PASSED: 0,
            Indication.TOTAL_FAILED: 1,
            Indication.INDETERMINATE: 2,
        }[self.indication]

    def named(self, file: str) -> Report:
        """The same report for a file of that name."""
        return replace(self, file=file)

    def to_json(self) -> dict[str, object]:
        """Exactly the fields promised for `dauso validate --json`."""
        return {
            "file": self.file,
            "indication": self.indication.value,
            "sub_indication": self.sub_indication and self.sub_indication.value,
            "signatures": [signature.to_json() for signature in self.signatures],
        }

    def to_text(self, language: str = "vi") -> str:
        """The report in words a citizen understands; no term of the standard unexplained."""

        def say(code: str, **params: object) -> str:
            return text(code, params, language)

        lines = [say(f"validation-{_kebab(self.indication.value)}", file=self.file or "PDF")]
        lines += [f"  {_bullet(found)} {_say(found, language)}" for found in self.findings]
        for number, one in enumerate(self.signatures, start=1):
            lines.append("")
            lines.append(
                say(
                    "validation-signature-line",
                    number=number,
                    signer=one.signer or say("validation-unknown-signer"),
                    verdict=say(f"validation-short-{_kebab(one.indication.value)}"),
                )
            )
            if one.best_signature_time:
                lines.append(say("validation-time-proven", time=_local(one.best_signature_time)))
            elif one.signing_time:
                lines.append(say("validation-time-claimed", time=_local(one.signing_time)))
            if one.level:
                lines.append(say("validation-level-line", level=one.level))
            if one.changes_known:
                lines.append(say(f"validation-changes-{one.changes.value.replace('_', '-')}"))
            if one.covers_whole_file:
                lines.append(say("validation-covers-whole-file"))
            lines += [f"  {_bullet(found)} {_say(found, language)}" for found in one.findings]
        stamps = [stamp for stamp in self.timestamps if stamp.covers_file]
        if stamps:
            lines.append("")
        for stamp in stamps:
            lines.append(
                say(
                    "validation-timestamp-line",
                    authority=stamp.authority or say("validation-unknown-signer"),
                    time=_local(stamp.time) if stamp.time else "?",
                    verdict=say(f"validation-short-{_kebab(stamp.indication.value)}"),
                )
            )
            lines += [f"  {_bullet(found)} {_say(found, language)}" for found in stamp.findings]
        lines.append("")
        lines.append(
            say(
                "validation-policy-line",
                policy=self.policy,
                time=_local(self.validation_time) if self.validation_time else "?",
            )
        )
        return "\n".join(lines)

    def details(self) -> dict[str, object]:
        """Every finding, the time-stamps and the policy, as JSON."""
        return {
            **self.to_json(),
            "policy": self.policy,
            "validation_time": _instant(self.validation_time),
            "findings": _findings(self.findings),
            "certificates": [base64.b64encode(one).decode() for one in self.certificates],
            "signatures": [
                {
                    **one.to_json(),
                    "field": one.field,
                    "findings": _findings(one.findings),
                    "certificate": one.signer_certificate
                    and base64.b64encode(one.signer_certificate).decode(),
                    "covered_bytes": one.covered_bytes,
                    "certification": one.certification,
                    "countersigns": one.countersigns,
                }
                for one in self.signatures
            ],
            "timestamps": [
                {
                    "indication": one.indication.value,
                    "sub_indication": one.sub_indication and one.sub_indication.value,
                    "time": _instant(one.time),
                    "authority": one.authority,
                    "field": one.field,
                    "covers_file": one.covers_file,
                    "certificate": one.certificate and base64.b64encode(one.certificate).decode(),
                    "findings": _findings(one.findings),
                }
                for one in self.timestamps
            ],
        }

    @classmethod
    def from_details(cls, data: Mapping[str, object]) -> Report:
        """Read back `details()`; raises KeyError, TypeError or ValueError on anything else."""
        return cls(
            sub_indication=_sub(data["sub_indication"]),
            file=_text(data["file"]),
            policy=_text(data["policy"]) or "",
            validation_time=_when(data["validation_time"]),
            findings=_read_findings(data["findings"]),
            certificates=_octet_list(data.get("certificates")),
            signatures=tuple(_read_signature(one) for one in _rows(data["signatures"])),
            timestamps=tuple(
                TimestampVerdict(
                    sub_indication=_sub(one["sub_indication"]),
                    time=_when(one["time"]),
                    authority=_text(one["authority"]),
                    field=_text(one["field"]) or "",
                    covers_file=bool(one["covers_file"]),
                    certificate=_octets(one.get("certificate")),
                    findings=_read_findings(one["findings"]),
                )
                for one in _rows(data["timestamps"])
            ),
        )


def unreadable(
    code: str, *, file: str | None = None, params: Mapping[str, object] | None = None
) -> Report:
    """A file no verdict can be given on, with the reason."""
    sub = SubIndication.UNREADABLE
    return Report(sub, findings=(Finding(code, sub, params or {}),), file=file)


def _read_signature(one: Mapping[str, object]) -> SignatureVerdict:
    certificate = _text(one["certificate"])
    covered, certification = one["covered_bytes"], one["certification"]
    if not isinstance(covered, int) or not isinstance(certification, int | None):
        raise TypeError("numbers expected")
    return SignatureVerdict(
        sub_indication=_sub(one["sub_indication"]),
        signer=_text(one["signer"]),
        level=_text(one["level"]),
        signing_time=_when(one["signing_time"]),
        best_signature_time=_when(one["best_signature_time"]),
        covers_whole_file=bool(one["covers_whole_file"]),
        changes=Changes(str(one["changes"])),
        field=_text(one["field"]) or "",
        findings=_read_findings(one["findings"]),
        signer_certificate=base64.b64decode(certificate) if certificate else None,
        covered_bytes=covered,
        certification=certification,
        countersigns=bool(one.get("countersigns")),
    )


def _findings(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [
        {
            "code": found.code,
            "sub_indication": found.sub and found.sub.value,
            "params": {name: str(value) for name, value in found.params.items()},
            "weight": found.weight.value,
        }
        for found in findings
    ]


def _read_findings(data: object) -> tuple[Finding, ...]:
    found = []
    for row in _rows(data):
        params = row["params"]
        if not isinstance(params, Mapping):
            raise TypeError("an object expected")
        code = str(row["code"])
        found.append(Finding(code, _sub(row["sub_indication"]), params, Weight(str(row["weight"]))))
    return tuple(found)


def _rows(data: object) -> list[Mapping[str, object]]:
    if not isinstance(data, list) or not all(isinstance(row, Mapping) for row in data):
        raise TypeError("a list of objects expected")
    return data


def _sub(value: object) -> SubIndication | None:
    return None if value is None else SubIndication(str(value))


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("a string expected")
    return value


def _octets(value: object) -> bytes | None:
    encoded = _text(value)
    return base64.b64decode(encoded) if encoded else None


def _octet_list(value: object) -> tuple[bytes, ...]:
    return tuple(base64.b64decode(str(one)) for one in value) if isinstance(value, list) else ()


def _when(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(str(value))


def _instant(value: datetime | None) -> str | None:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value else None


def _local(value: datetime) -> str:
    return f"{value.astimezone(_HANOI):%d-%m-%Y %H:%M:%S} +07:00"


def _kebab(value: str) -> str:
    return value.lower().replace("_", "-")


def _bullet(found: Finding) -> str:
    return {Weight.FAILS: "✗", Weight.WARNS: "!", Weight.INFORMS: "•"}[found.weight]


def _say(found: Finding, language: str) -> str:
    return text(found.code, found.params, language)
