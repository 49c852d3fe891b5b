"""Compare and read PDF values as qpdf gives them, without following references unasked."""

from __future__ import annotations

import pikepdf

from signer.pdf.byte_range import ObjectId
from signer.verdicts.object_graph import unparse


def reference(value: object) -> ObjectId | None:
    if isinstance(value, pikepdf.Object) and value.is_indirect:
        return value.objgen
    return None


def differs_here(before: object, after: object) -> bool:
    """Whether a key now says something else; the same reference is the same (judged apart)."""
    one, other = reference(before), reference(after)
    if one is not None and one == other:
        return False
    if isinstance(before, pikepdf.Stream) or isinstance(after, pikepdf.Stream):
        return True
    return type(before) is not type(after) or unparse(before) != unparse(after)


def same_object(before: object, after: object) -> bool:
    if type(before) is not type(after) or unparse(before) != unparse(after):
        return False
    if isinstance(before, pikepdf.Stream) and isinstance(after, pikepdf.Stream):
        return before.read_raw_bytes() == after.read_raw_bytes()
    return True


def extends(before: object, after: object, depth: int = 3) -> bool:
    """`after` holds all that `before` held, possibly more."""
    if (
        depth
        and isinstance(before, pikepdf.Dictionary)
        and isinstance(after, pikepdf.Dictionary)
        and not isinstance(before, pikepdf.Stream)
        and not isinstance(after, pikepdf.Stream)
    ):
        return all(extends(one, after.get(key), depth - 1) for key, one in before.items())
    return not differs_here(before, after)


def inherited(node: pikepdf.Object, key: str) -> object:
    for _level in range(32):
        if key in node:
            return node.get(key)
        parent = node.get("/Parent")
        if not isinstance(parent, pikepdf.Dictionary):
            return None
        node = parent
    return None


def widgets_of(node: pikepdf.Object) -> list[pikepdf.Object]:
    kids = node.get("/Kids")
    if isinstance(kids, pikepdf.Array):
        return [kid for kid in list(kids)[:64] if isinstance(kid, pikepdf.Dictionary)]
    return [node]


def streams_of(appearance: object, depth: int = 3) -> list[pikepdf.Object]:
    if isinstance(appearance, pikepdf.Stream):
        return [appearance]
    if depth and isinstance(appearance, pikepdf.Dictionary):
        return [s for _key, one in appearance.items() for s in streams_of(one, depth - 1)]
    return []


def area(box: pikepdf.Object) -> float:
    try:
        left, bottom, right, top = (float(one) for one in box)
    except (TypeError, ValueError):
        return float("inf")
    return abs(right - left) * abs(top - bottom)
