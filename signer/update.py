"""One saved update of a PDF: what it did, in a closed list of deeds.

The old and the new revision are walked side by side from the trailer. Each overwritten object
must be explained by the one role it plays (catalog, form, field, annotation list of a page,
archive data) and must have played no other. What is left unexplained is a violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import pikepdf

from signer.object_graph import Graph, Path, changed_objects, paths_to, unparse
from signer.policy import Policy
from signer.structure import ObjectId


class Act(StrEnum):
    """What an update did."""

    ARCHIVE = "archive"
    SIGNATURE = "signature"
    FORM = "form"
    VIOLATION = "violation"


@dataclass(frozen=True)
class Deed:
    """One act; `what` is the field or place, `code` the message of a violation."""

    act: Act
    what: str = ""
    code: str = ""


Home = Callable[[ObjectId | None, Path], bool]
_FREE_IN_CATALOG = frozenset({"/AcroForm", "/DSS", "/Extensions", "/Metadata", "/Version"})
_FIELD_KEYS = frozenset(
    "/Type /Subtype /FT /T /TU /Ff /V /F /P /Rect /AP /AS /MK /DA /DR /Q /BS /Border /Lock /SV "
    "/Kids /Parent /StructParent /M /NM".split()
)


def judge_update(old: Graph, new: Graph, policy: Policy) -> list[Deed]:
    """Every deed between two consecutive revisions; an empty list changes nothing."""
    return _Update(old, new, policy).judge()


class _Update:
    def __init__(self, old: Graph, new: Graph, policy: Policy) -> None:
        self.old, self.new, self.policy = old, new, policy
        self.changed = changed_objects(old.places, new.places)
        self.homes: dict[ObjectId, Home] = {}
        self.arrays: set[ObjectId] = set()
        self.new_widgets: set[ObjectId] = set()
        self.deeds: list[Deed] = []

    def judge(self) -> list[Deed]:
        self._trailer()
        before, after = self.old.pdf.Root, self.new.pdf.Root
        self._catalog(before, after)
        self._pages()
        self._explain_the_rest()
        return list(dict.fromkeys(self.deeds))

    # -- small words ---------------------------------------------------------------------

    def _violation(self, code: str, what: object = "") -> None:
        self.deeds.append(Deed(Act.VIOLATION, str(what), code))

    def _archive(self, what: str) -> None:
        self.deeds.append(Deed(Act.ARCHIVE, what))

    def _explain(self, value: object, home: Home) -> None:
        """This old object may be overwritten, provided it is only reached from `home`."""
        if isinstance(value, pikepdf.Object) and value.is_indirect:
            self.homes.setdefault(value.objgen, home)

    def _differs(self, before: object, after: object) -> bool:
        """Whether a value says something else, its own indirect object included."""
        if _reference(before) != _reference(after):
            both = isinstance(before, pikepdf.Stream) or isinstance(after, pikepdf.Stream)
            return both or unparse(before) != unparse(after)
        if _reference(before) in self.changed:
            return not _same_object(before, after)
        return unparse(before) != unparse(after)

    def _other_keys(
        self, before: pikepdf.Object, after: pikepdf.Object, free: Iterable[str]
    ) -> list[str]:
        keys = (set(before.keys()) | set(after.keys())) - set(free)
        return sorted(key for key in keys if _differs_here(before.get(key), after.get(key)))

    # -- the walk ------------------------------------------------------------------------

    def _trailer(self) -> None:
        before, after = self.old.pdf.trailer, self.new.pdf.trailer
        if _reference(before.get("/Root")) != _reference(after.get("/Root")):
            self._violation("validation-change-catalog", "/Root")
        first = [list(one.get("/ID", []))[:1] for one in (before, after)]
        if first[0] and [bytes(one) for one in first[0]] != [bytes(one) for one in first[1]]:
            self._violation("validation-change-catalog", "/ID")
        info = [one.get("/Info") for one in (before, after)]
        if self._differs(info[0], info[1]):
            known = [one if isinstance(one, pikepdf.Dictionary) else pikepdf.Dictionary()
                     for one in info]
            if self._other_keys(known[0], known[1], {"/ModDate", "/Producer"}):
                self._violation("validation-change-catalog", "/Info")
            self._explain(info[0], lambda holder, _path: holder is None)

    def _catalog(self, before: pikepdf.Object, after: pikepdf.Object) -> None:
        for key in self._other_keys(before, after, _FREE_IN_CATALOG):
            self._violation("validation-change-catalog", key)
        # A FieldMDP signature names the catalog as the data it speaks of (12.8.2.4).
        data = ("/Reference", "*", "/Data")
        self._explain(before, lambda holder, path: holder is None or path == data)
        root = before.objgen

        def at(key: str) -> Home:
            return lambda holder, path: holder == root and path[:1] == (key,)

        form = before.get("/AcroForm"), after.get("/AcroForm")
        if any(one is not None for one in form):
            self._form(*(one if isinstance(one, pikepdf.Dictionary) else None for one in form))
        self._archive_data(before.get("/DSS"), after.get("/DSS"), root)
        for key in ("/Extensions", "/Metadata", "/Version"):
            if self._differs(before.get(key), after.get(key)):
                self._archive(key)
                self._explain(before.get(key), at(key))
        metadata = after.get("/Metadata")
        if metadata is not None and not isinstance(metadata, pikepdf.Stream):
            self._violation("validation-change-catalog", "/Metadata")

    def _archive_data(self, before: object, after: object, root: ObjectId) -> None:
        """The DSS may grow or be rewritten: it shows nothing (EN 319 142-1, 5.4.2)."""
        parts: set[ObjectId] = set()
        stack: list[tuple[object, int]] = [(before, 0)]
        while stack:
            node, depth = stack.pop()
            if not isinstance(node, pikepdf.Object) or depth > 6:
                continue
            if node.is_indirect:
                if node.objgen in parts:
                    continue
                parts.add(node.objgen)
            if isinstance(node, pikepdf.Array):
                stack += [(one, depth + 1) for one in node]
            elif isinstance(node, pikepdf.Dictionary):
                stack += [(one, depth + 1) for _key, one in node.items()]

        def inside(holder: ObjectId | None, path: Path) -> bool:
            return holder in parts or (holder == root and path[:1] == ("/DSS",))

        for part in parts:
            self.homes.setdefault(part, inside)
        if parts & self.changed or _differs_here(before, after):
            if after is not None and not isinstance(after, pikepdf.Dictionary):
                self._violation("validation-change-catalog", "/DSS")
            self._archive("/DSS")

    def _form(self, before: pikepdf.Object | None, after: pikepdf.Object | None) -> None:
        root = self.old.pdf.Root.objgen
        if after is None:
            self._violation("validation-change-form-structure", "/AcroForm")
            return
        known = before if before is not None else pikepdf.Dictionary()
        self._explain(
            before, lambda holder, path: holder == root and path == ("/AcroForm",)
        )
        for key in self._other_keys(known, after, {"/Fields", "/SigFlags", "/DR", "/DA"}):
            if before is None and key == "/NeedAppearances" and after.get(key) is not True:
                continue
            self._violation("validation-change-form-structure", key)
        for key in ("/DR", "/DA"):
            if key in known and not _extends(known.get(key), after.get(key)):
                self._violation("validation-change-form-structure", key)
        form = _reference(before)
        fields = known.get("/Fields")
        self._explain(
            fields,
            lambda holder, path: path[-1:] == ("/Fields",) and holder in (form, root),
        )
        resources = known.get("/DR")
        self._explain(resources, lambda holder, path: path[-1:] == ("/DR",))
        self._fields(fields, after.get("/Fields"), "", 0)

    def _fields(self, before: object, after: object, prefix: str, depth: int) -> None:
        old_list = list(before) if isinstance(before, pikepdf.Array) else []
        new_list = list(after) if isinstance(after, pikepdf.Array) else []
        if isinstance(before, pikepdf.Array) and before.is_indirect:
            self.arrays.add(before.objgen)
        if depth > self.policy.limits.depth or len(new_list) < len(old_list):
            self._violation("validation-change-form-structure", prefix or "/Fields")
            return
        for one, other in zip(old_list, new_list, strict=False):
            if _reference(one) != _reference(other) or _reference(one) is None:
                if _differs_here(one, other):
                    self._violation("validation-change-form-structure", prefix or "/Fields")
                continue
            if isinstance(one, pikepdf.Dictionary) and isinstance(other, pikepdf.Dictionary):
                self._field(one, other, prefix, depth)
        extra = new_list[len(old_list) :]
        for other in extra:
            if depth:
                self._violation("validation-change-form-structure", prefix)
            else:
                self._new_field(other)

    def _field(
        self, before: pikepdf.Object, after: pikepdf.Object, prefix: str, depth: int
    ) -> None:
        own = before.get("/T")
        name = ".".join(part for part in (prefix, str(own) if own is not None else "") if part)
        kids = before.get("/Kids")
        if isinstance(kids, pikepdf.Array) or "/Kids" in after:
            self._fields(kids, after.get("/Kids"), name, depth + 1)
        appearance = self._appearance_changed(before, after)
        if before.objgen not in self.changed and not appearance:
            return
        changed = self._other_keys(before, after, {"/Kids"})
        if not changed and not appearance:
            return
        self._explain(before, self._field_home)
        is_signature = _inherited(after, "/FT") == "/Sig"
        signing = is_signature and "/V" not in before and "/V" in after
        free = {"/V", "/AP", "/AS", "/M"} | ({"/MK", "/F"} if signing else {"/I"})
        if (is_signature and not signing) or set(changed) - free:
            self._violation("validation-change-field", name)
        elif signing:
            self._signed(name, after, list(_widgets(after)))
        else:
            for stream in _streams(before.get("/AP")):
                self._explain(stream, lambda holder, path: "/AP" in path)
            self.deeds.append(Deed(Act.FORM, name))

    def _appearance_changed(self, before: pikepdf.Object, after: pikepdf.Object) -> bool:
        touched = {one.objgen for one in _streams(before.get("/AP"))} & self.changed
        return bool(touched) or _differs_here(before.get("/AP"), after.get("/AP"))

    def _new_field(self, value: object) -> None:
        """A field that was not there: only a signature, signed or invisible."""
        if not isinstance(value, pikepdf.Dictionary) or value.get("/FT") != "/Sig":
            self._violation("validation-change-form-structure", "/Fields")
            return
        name = str(value.get("/T", ""))
        widgets = list(_widgets(value))
        for one in (value, *widgets):
            if set(one.keys()) - _FIELD_KEYS:
                self._violation("validation-change-field", name)
        if "/Parent" in value:
            self._violation("validation-change-form-structure", name)
        self.new_widgets |= {one.objgen for one in widgets if one.is_indirect}
        if "/V" in value:
            self._signed(name, value, widgets)
        elif any(self._share(one) > 0 for one in widgets):
            self._violation("validation-change-visible-empty-field", name)
        else:
            self.deeds.append(Deed(Act.SIGNATURE, name))

    def _signed(
        self, name: str, node: pikepdf.Object, widgets: list[pikepdf.Object]
    ) -> None:
        value = node.get("/V")
        if not isinstance(value, pikepdf.Dictionary) or "/ByteRange" not in value:
            self._violation("validation-change-field", name)
            return
        shares = [self._share(one) for one in widgets]
        if value.get("/SubFilter") == "/ETSI.RFC3161":
            if any(share > 0 for share in shares):
                self._violation("validation-change-visible-timestamp", name)
            self._archive(name)
            return
        if any(share > self.policy.widget_share for share in shares):
            self._violation("validation-change-covers-page", name)
        self.deeds.append(Deed(Act.SIGNATURE, name))

    def _share(self, widget: pikepdf.Object) -> float:
        """How much of its page a widget may cover: 0 when it shows nothing."""
        box = widget.get("/Rect")
        if "/AP" not in widget or not isinstance(box, pikepdf.Array) or len(box) != 4:
            return 0.0
        area = _area(box)
        page = self._page_of(widget)
        media = page and _inherited(page, "/MediaBox")
        whole = _area(media) if isinstance(media, pikepdf.Array) and len(media) == 4 else 0.0
        if area <= 0:
            return 0.0
        return area / whole if whole > 0 else 1.0

    def _page_of(self, widget: pikepdf.Object) -> pikepdf.Object | None:
        page = widget.get("/P")
        if isinstance(page, pikepdf.Dictionary) and _reference(page) in self.new.pages:
            return page
        first = next(iter(self.new.pages), None)
        return self.new.pdf.get_object(first) if first else None

    def _field_home(self, holder: ObjectId | None, path: Path) -> bool:
        return holder in self.arrays or bool(
            {"/Fields", "/Kids", "/Annots", "/Parent", "/Obj"} & set(path)
        )

    def _pages(self) -> None:
        if list(self.old.pages) != list(self.new.pages):
            self._violation("validation-change-pages")
        for og, number in self.old.pages.items():
            if og not in self.new.pages:
                continue
            before, after = self.old.pdf.get_object(og), self.new.pdf.get_object(og)
            lists = before.get("/Annots"), after.get("/Annots")
            if og not in self.changed and _reference(lists[0]) not in self.changed:
                if isinstance(lists[0], pikepdf.Array) and lists[0].is_indirect:
                    self.arrays.add(lists[0].objgen)
                continue
            if set(self._other_keys(before, after, {"/Annots"})):
                self._violation("validation-change-page", number + 1)
            self._explain(before, lambda _holder, _path: True)
            self._annotations(lists[0], lists[1], og, number + 1)

    def _annotations(self, before: object, after: object, page: ObjectId, number: int) -> None:
        old_list = list(before) if isinstance(before, pikepdf.Array) else []
        new_list = list(after) if isinstance(after, pikepdf.Array) else []
        if isinstance(before, pikepdf.Array):
            self._explain(
                before, lambda holder, path: holder == page and path == ("/Annots",)
            )
            if before.is_indirect:
                self.arrays.add(before.objgen)
        kept = new_list[: len(old_list)]
        if len(kept) < len(old_list) or any(
            _differs_here(one, other) for one, other in zip(old_list, kept, strict=True)
        ):
            self._violation("validation-change-annotation", number)
        for extra in new_list[len(old_list) :]:
            if _reference(extra) not in self.new_widgets:
                self._violation("validation-change-annotation", number)

    def _explain_the_rest(self) -> None:
        """No overwritten object that was reachable is left without exactly its own role."""
        touched = set()
        for og in self.changed & self.old.reachable:
            before = self.old.pdf.get_object(og) if og in self.old.places else None
            after = self.new.pdf.get_object(og) if og in self.new.places else None
            if before is None or after is None or not _same_object(before, after):
                touched.add(og)
        if not touched:
            return
        for og in sorted(touched - self.homes.keys()):
            self._violation("validation-change-object", f"{og[0]} {og[1]}")
        for holder, target in self.old.parents(touched & self.homes.keys()):
            home = self.homes[target]
            paths: list[Path] = [()]
            if holder is not None:
                paths = paths_to(self.old.pdf.get_object(holder), target) or [("?",)]
            if not all(home(holder, path) for path in paths):
                self._violation("validation-change-object", f"{target[0]} {target[1]}")


def _reference(value: object) -> ObjectId | None:
    if isinstance(value, pikepdf.Object) and value.is_indirect:
        return value.objgen
    return None


def _differs_here(before: object, after: object) -> bool:
    """Whether a key now says something else; the same reference is the same (judged apart)."""
    one, other = _reference(before), _reference(after)
    if one is not None and one == other:
        return False
    if isinstance(before, pikepdf.Stream) or isinstance(after, pikepdf.Stream):
        return True
    return type(before) is not type(after) or unparse(before) != unparse(after)


def _same_object(before: object, after: object) -> bool:
    if type(before) is not type(after) or unparse(before) != unparse(after):
        return False
    if isinstance(before, pikepdf.Stream) and isinstance(after, pikepdf.Stream):
        return before.read_raw_bytes() == after.read_raw_bytes()
    return True


def _extends(before: object, after: object, depth: int = 3) -> bool:
    """`after` holds all that `before` held, possibly more."""
    if (
        depth
        and isinstance(before, pikepdf.Dictionary)
        and isinstance(after, pikepdf.Dictionary)
        and not isinstance(before, pikepdf.Stream)
        and not isinstance(after, pikepdf.Stream)
    ):
        return all(_extends(one, after.get(key), depth - 1) for key, one in before.items())
    return not _differs_here(before, after)


def _inherited(node: pikepdf.Object, key: str) -> object:
    for _level in range(32):
        if key in node:
            return node.get(key)
        parent = node.get("/Parent")
        if not isinstance(parent, pikepdf.Dictionary):
            return None
        node = parent
    return None


def _widgets(node: pikepdf.Object) -> list[pikepdf.Object]:
    kids = node.get("/Kids")
    if isinstance(kids, pikepdf.Array):
        return [kid for kid in list(kids)[:64] if isinstance(kid, pikepdf.Dictionary)]
    return [node]


def _streams(appearance: object, depth: int = 3) -> list[pikepdf.Object]:
    if isinstance(appearance, pikepdf.Stream):
        return [appearance]
    if depth and isinstance(appearance, pikepdf.Dictionary):
        return [s for _key, one in appearance.items() for s in _streams(one, depth - 1)]
    return []


def _area(box: pikepdf.Object) -> float:
    try:
        left, bottom, right, top = (float(one) for one in box)  # type: ignore[arg-type]  # numbers or it raises
    except (TypeError, ValueError):
        return float("inf")
    return abs(right - left) * abs(top - bottom)
