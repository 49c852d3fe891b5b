"""Steps 5 to 8 of `sign_pdf` for many documents of one signer, stage by stage in small groups.

    for result in write_in_groups(desk, tasks, request, credential, pen, stamp_of, now=now):
        result.revisions, result.digest      # or the SignerError that this document met

Laying out, the token, checking and writing are four programs that drive each other out of the
processor's caches when they take turns for every document; a group gains a quarter. Each document
has its own outcome, and nothing about a single signature differs from `place_signature`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from signer.errors import ActivationRefused, CredentialUnusable, SignerError
from signer.long_life import augmentation
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender
from signer.signature import LaidOut, Pen, SignatureRequest, lay_out, stamp_value

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential
    from signer.looks.drawing import Placed

GROUP = 32
P = ParamSpec("P")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Written:
    """What was appended to one document."""

    revisions: tuple[bytes, ...] = field(repr=False)
    digest: str
    field_name: str


def write_in_groups(
    desk: Desk,
    originals: Sequence[Original],
    request: SignatureRequest,
    credential: Credential,
    pen: Pen,
    stamp_of: Callable[[Document], Placed | None],
    *,
    now: datetime,
    group: int = GROUP,
) -> Iterator[Written | SignerError]:
    """One result for each document, in order. What concerns all of them is raised.

    ActivationRefused and CredentialUnusable end the work; other SignerErrors are one document's.
    """
    for start in range(0, len(originals), group):
        some = originals[start : start + group]
        yield from _Group(desk, request, credential, pen, stamp_of, now).written(some)


@dataclass(frozen=True)
class _Group:
    desk: Desk
    request: SignatureRequest
    credential: Credential
    pen: Pen
    stamp_of: Callable[[Document], Placed | None]
    now: datetime

    def written(self, originals: Sequence[Original]) -> list[Written | SignerError]:
        documents: list[Document] = []
        try:
            # 1. Lay out.
            laid = [_tried(self._lay_out, one, documents) for one in originals]
            # 2. Sign in the token, 3. check with the public key, 4. time-stamp.
            values = [_then(self._value, one) for one in laid]
            checked = [_then(self._checked, *pair) for pair in zip(laid, values, strict=True)]
            stamped = [_then(self._stamped, one) for one in checked]
            # 5. Write, and add what the level asks for.
            return [
                _then(self._close, *three) for three in zip(laid, checked, stamped, strict=True)
            ]
        finally:
            for document in documents:
                document.close()

    def _lay_out(self, original: Original, opened: list[Document]) -> LaidOut:
        document = Document.open(original, self.desk.limits)
        opened.append(document)
        document.require_signable()
        return lay_out(
            Appender(document),
            self.pen,
            self.request,
            stamp=self.stamp_of(document),
            time_stamper=self.desk.tsa,
            now=self.now,
        )

    def _value(self, laid: LaidOut) -> bytes:
        return self.pen.sign(laid.attributes)

    def _checked(self, laid: LaidOut, value: bytes) -> bytes:
        self.pen.template.check(value, laid.attributes)
        return value

    def _stamped(self, value: bytes) -> bytes | None:
        if not self.request.level.time_stamped:
            return None
        return stamp_value(self.desk.tsa, value, now=self.now)

    def _close(self, laid: LaidOut, value: bytes, token: bytes | None) -> Written:
        laid.close(self.pen.template, value, token)
        appender = laid.appender
        if self.request.level.long_term:
            path = (self.credential.certificate, *self.credential.chain)
            augmentation.long_term(self.desk, appender, path, now=self.now)
        if self.request.level.archived:
            augmentation.archive(self.desk, appender, now=self.now)
        digest = appender.state().hexdigest()
        return Written(tuple(appender.revisions), digest, laid.field)


def _then(step: Callable[..., Made], *given: Any) -> Made | SignerError:
    """The next step of a document that has come so far, or why it has not."""
    for one in given:
        if isinstance(one, SignerError):
            return one
    return _tried(step, *given)


def _tried(step: Callable[P, Made], *args: P.args, **named: P.kwargs) -> Made | SignerError:
    try:
        return step(*args, **named)
    except (ActivationRefused, CredentialUnusable):
        raise
    except SignerError as refusal:
        return refusal
