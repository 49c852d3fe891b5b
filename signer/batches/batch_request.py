"""What a batch keeps as JSON: how its documents are to be signed, and why one was refused."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from records.errors import DomainError
from signer.cms import Scheme
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.signature import SignatureRequest


def failure_of(refusal: DomainError | None) -> dict[str, Any] | None:
    """A refusal as it is kept with its document."""
    if refusal is None:
        return None
    params = {
        name: value if isinstance(value, int | float) else str(value)
        for name, value in refusal.params.items()
    }
    return {"code": refusal.code, "params": params}


def packed(request: SignatureRequest) -> dict[str, Any]:
    """How to sign, as JSON."""
    return {**asdict(replace(request, signing_time=None)), "level": request.level.value}


def unpacked(kept: dict[str, Any]) -> SignatureRequest:
    """The request again."""
    values = {**kept, "level": Level(kept["level"])}
    look_ = values.pop("appearance")
    if look_ is not None:
        box = look_["box"]
        look_ = Appearance(
            **{
                **look_,
                "box": (box[0], box[1], box[2], box[3]) if box is not None else None,
                "lines": tuple(look_["lines"]),
            }
        )
    for name in ("lock_fields", "lock_fields_except"):
        locked = values.get(name)
        values[name] = tuple(locked) if locked is not None else None
    if values.get("scheme") is not None:
        values["scheme"] = Scheme(values["scheme"])
    return SignatureRequest(**values, appearance=look_)
