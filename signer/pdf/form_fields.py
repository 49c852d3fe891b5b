"""The signature fields of a form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pikepdf

from signer.errors import DocumentRefused

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class SignatureField:
    """A field of type Sig; `signed` when it has a value."""

    name: str
    object: Any = field(repr=False)
    signed: bool
    sub_filter: str | None


def signature_fields(form: pikepdf.Object | None, most: int) -> Iterator[SignatureField]:
    """Those of the form in its order; names are fully qualified (ISO 32000-1 §12.7.3).

    DocumentRefused `document-damaged` where it has more than `most` fields of any kind.
    """
    if form is None:
        return
    budget = most
    waiting = [(one, "") for one in reversed(list(form.get("/Fields", pikepdf.Array())))]
    seen: set[tuple[int, int]] = set()
    while waiting:
        budget -= 1
        if budget < 0:
            raise DocumentRefused("document-damaged", reason="too many form fields")
        one, prefix = waiting.pop()
        if not isinstance(one, pikepdf.Dictionary) or one.objgen in seen:
            continue
        if one.is_indirect:
            seen.add(one.objgen)
        own = str(one.get("/T", ""))
        name = f"{prefix}.{own}" if prefix and own else prefix or own
        if one.get("/FT") == pikepdf.Name.Sig:
            value = one.get("/V")
            signed = isinstance(value, pikepdf.Dictionary)
            sub_filter = value.get("/SubFilter") if isinstance(value, pikepdf.Dictionary) else None
            yield SignatureField(name, one, signed, str(sub_filter)[1:] if sub_filter else None)
        waiting.extend((kid, name) for kid in one.get("/Kids", pikepdf.Array()))
