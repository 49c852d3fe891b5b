"""Steps 5 to 8 of `sign_pdf` for many documents of one signer, stage by stage in small groups.

    for result in write_in_groups(desk, tasks, request, credential, pen, stamp_of, now=now):
        result.revisions, result.digest      # or the SignerError that this document met

Opening, writing the field, laying out, the token, checking and closing are programs that drive each
other out of the processor's caches when they take turns for every document (docs/decisions/0204).
Each document has its own outcome, and nothing about a single signature differs from
`place_signature`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from signer.errors import ActivationRefused, CredentialUnusable, SignerError
from signer.long_life import augmentation
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender
from signer.signature import Begun, LaidOut, Pen, SignatureRequest, begin, stamp_value

if TYPE_CHECKING:
    from signer.desk import Desk
    from signer.keys.credentials import Credential
    from signer.looks.drawing import Placed

GROUP = 32
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
            # 1. Inspect, write the field, lay out the revision.
            opened = _each(partial(self._open, documents), originals)
            begun = _each(self._begin, opened)
            laid = _each(self._lay_out, begun)
            # 2. Sign in the token, 3. check with the public key, 4. time-stamp.
            values = _each(self._value, laid)
            checked = _each(self._checked, laid, values)
            stamped = _each(self._stamped, checked)
            # 5. Put the value in its place, and add what the level asks for.
            return _each(self._close, laid, checked, stamped)
        finally:
            for document in documents:
                document.close()

    def _open(self, opened: list[Document], original: Original) -> Document:
        document = Document.open(original, self.desk.limits)
        opened.append(document)
        document.require_signable()
        return document

    def _begin(self, document: Document) -> Begun:
        return begin(
            Appender(document),
            self.pen,
            self.request,
            stamp=self.stamp_of(document),
            time_stamper=self.desk.tsa,
            now=self.now,
        )

    def _lay_out(self, begun: Begun) -> LaidOut:
        return begun.lay_out(self.pen.template)

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


def _each(step: Callable[..., Made], *columns: Sequence[Any]) -> list[Made | SignerError]:
    """The next step of every document that has come so far, or why it has not."""
    results: list[Made | SignerError] = []
    for given in zip(*columns, strict=True):
        for one in given:
            if isinstance(one, SignerError):
                results.append(one)
                break
        else:
            results.append(_tried(step, given))
    return results


def _tried(step: Callable[..., Made], given: tuple[Any, ...]) -> Made | SignerError:
    try:
        return step(*given)
    except (ActivationRefused, CredentialUnusable):
        raise
    except SignerError as refusal:
        return refusal
