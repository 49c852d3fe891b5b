"""Documents that stay with their owner: a signature is judged by the digests of what it is about.

    DocumentDigests.single("sha256", hashlib.sha256(document).digest())

A client that may not hand out a document sends the detached signature (CAdES, XAdES, or the
/Contents of a PDF) and the digest its program computed. The verdict is then about whatever has
that digest, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from signer.verdicts.verdict import Rejected, SubIndication, fails


@dataclass(frozen=True)
class DocumentDigests:
    """By file name (empty for the only one): digest algorithm, as `sha256`, to digest."""

    named: Mapping[str, Mapping[str, bytes]]

    @classmethod
    def single(cls, algorithm: str, digest: bytes) -> DocumentDigests:
        return cls({"": {algorithm: digest}})

    def to_json(self) -> dict[str, dict[str, str]]:
        """For the pipe to a worker."""
        return {
            name: {algorithm: value.hex() for algorithm, value in known.items()}
            for name, known in self.named.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Mapping[str, str]]) -> DocumentDigests:
        return cls(
            {
                name: {algorithm: bytes.fromhex(value) for algorithm, value in known.items()}
                for name, known in data.items()
            }
        )

    def of(self, algorithm: str, name: str = "") -> bytes:
        """Raises Rejected when this document's digest by that algorithm was not given."""
        known = self.named.get(name)
        if known is None and len(self.named) == 1:
            known = self.named.get("")
        found = known.get(algorithm) if known else None
        if found is None:
            sub = SubIndication.SIGNED_DATA_NOT_FOUND
            raise Rejected(fails("validation-digest-missing", sub, algorithm=algorithm.upper()))
        return found
