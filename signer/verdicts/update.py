"""One saved update of a PDF: what it did, in a closed list of deeds.

The old and the new revision are walked side by side from the trailer. Each overwritten object
must be explained by the one role it plays (catalog, form, field, annotation list of a page,
archive data) and must have played no other. What is left unexplained is a violation.
"""

from __future__ import annotations

import pikepdf

from signer.pdf.byte_range import ObjectId
from signer.pdf.pdf_values import differs_here, reference, same_object
from signer.verdicts.form_update import FormUpdate
from signer.verdicts.object_graph import Graph, Path, paths_to
from signer.verdicts.policy import Policy
from signer.verdicts.update_ledger import Deed, Home, Ledger

_FREE_IN_CATALOG = frozenset({"/AcroForm", "/DSS", "/Extensions", "/Metadata", "/Version"})

_EXTENSION_KEYS = frozenset(
    {"/Type", "/BaseVersion", "/ExtensionLevel", "/ExtensionRevision", "/URL"}
)


def judge_update(old: Graph, new: Graph, policy: Policy) -> list[Deed]:
    """Every deed between two consecutive revisions; an empty list changes nothing."""
    return _Update(Ledger(old, new, policy)).judge()


def _are_extensions(value: object) -> bool:
    """A developer extensions dictionary, or none: ISO 32000-2, 7.12, with nothing else in it."""
    if value is None:
        return True
    if not isinstance(value, pikepdf.Dictionary) or isinstance(value, pikepdf.Stream):
        return False
    for key, entry in value.items():
        for one in entry if isinstance(entry, pikepdf.Array) else [entry]:
            if key == "/Type":
                continue
            if not isinstance(one, pikepdf.Dictionary) or set(one.keys()) - _EXTENSION_KEYS:
                return False
            if not {"/BaseVersion", "/ExtensionLevel"} <= set(one.keys()):
                return False
    return True


class _Update:
    def __init__(self, books: Ledger) -> None:
        self._books = books

    def judge(self) -> list[Deed]:
        books = self._books
        self._trailer()
        self._catalog(books.old.pdf.Root, books.new.pdf.Root)
        self._pages()
        self._explain_the_rest()
        return list(dict.fromkeys(books.deeds))

    def _trailer(self) -> None:
        before, after = self._books.old.pdf.trailer, self._books.new.pdf.trailer
        if reference(before.get("/Root")) != reference(after.get("/Root")):
            self._books.violation("validation-change-catalog", "/Root")
        first = [list(one.get("/ID", []))[:1] for one in (before, after)]
        if first[0] and [bytes(one) for one in first[0]] != [bytes(one) for one in first[1]]:
            self._books.violation("validation-change-catalog", "/ID")
        info = [one.get("/Info") for one in (before, after)]
        if self._books.differs(info[0], info[1]):
            known = [
                one if isinstance(one, pikepdf.Dictionary) else pikepdf.Dictionary() for one in info
            ]
            if self._books.other_keys(known[0], known[1], {"/ModDate", "/Producer"}):
                self._books.violation("validation-change-catalog", "/Info")
            self._books.explain(info[0], lambda holder, _path: holder is None)

    def _catalog(self, before: pikepdf.Object, after: pikepdf.Object) -> None:
        for key in self._books.other_keys(before, after, _FREE_IN_CATALOG):
            self._books.violation("validation-change-catalog", key)
        # A FieldMDP signature names the catalog as the data it speaks of (12.8.2.4).
        data = ("/Reference", "*", "/Data")
        self._books.explain(before, lambda holder, path: holder is None or path == data)
        root = before.objgen

        def at(key: str) -> Home:
            return lambda holder, path: holder == root and path[:1] == (key,)

        form = before.get("/AcroForm"), after.get("/AcroForm")
        if any(one is not None for one in form):
            FormUpdate(self._books).judge(
                *(one if isinstance(one, pikepdf.Dictionary) else None for one in form)
            )
        self._archive_data(before.get("/DSS"), after.get("/DSS"), root)
        for key in ("/Extensions", "/Metadata", "/Version"):
            if self._books.differs(before.get(key), after.get(key)):
                self._books.archive(key)
                self._books.explain(before.get(key), at(key))
        if not _are_extensions(after.get("/Extensions")):
            self._books.violation("validation-change-catalog", "/Extensions")
        metadata = after.get("/Metadata")
        if metadata is not None and not isinstance(metadata, pikepdf.Stream):
            self._books.violation("validation-change-catalog", "/Metadata")

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
            self._books.homes.setdefault(part, inside)
        if parts & self._books.changed or differs_here(before, after):
            if after is not None and not isinstance(after, pikepdf.Dictionary):
                self._books.violation("validation-change-catalog", "/DSS")
            self._books.archive("/DSS")

    def _pages(self) -> None:
        if list(self._books.old.pages) != list(self._books.new.pages):
            self._books.violation("validation-change-pages")
        for og, number in self._books.old.pages.items():
            if og not in self._books.new.pages:
                continue
            before, after = self._books.old.pdf.get_object(og), self._books.new.pdf.get_object(og)
            lists = before.get("/Annots"), after.get("/Annots")
            if og not in self._books.changed and reference(lists[0]) not in self._books.changed:
                if isinstance(lists[0], pikepdf.Array) and lists[0].is_indirect:
                    self._books.arrays.add(lists[0].objgen)
                continue
            if set(self._books.other_keys(before, after, {"/Annots"})):
                self._books.violation("validation-change-page", number + 1)
            self._books.explain(before, lambda _holder, _path: True)
            self._annotations(lists[0], lists[1], og, number + 1)

    def _annotations(self, before: object, after: object, page: ObjectId, number: int) -> None:
        old_list = list(before) if isinstance(before, pikepdf.Array) else []
        new_list = list(after) if isinstance(after, pikepdf.Array) else []
        if isinstance(before, pikepdf.Array):
            self._books.explain(
                before, lambda holder, path: holder == page and path == ("/Annots",)
            )
            if before.is_indirect:
                self._books.arrays.add(before.objgen)
        kept = new_list[: len(old_list)]
        if len(kept) < len(old_list) or any(
            differs_here(one, other) for one, other in zip(old_list, kept, strict=True)
        ):
            self._books.violation("validation-change-annotation", number)
        for extra in new_list[len(old_list) :]:
            if reference(extra) not in self._books.new_widgets:
                self._books.violation("validation-change-annotation", number)

    def _explain_the_rest(self) -> None:
        """No overwritten object that was reachable is left without exactly its own role."""
        for og in self._books.old.reachable - self._books.changed:
            # It referred to an object that did not exist when it was signed.
            if og in self._books.new.edges and (
                self._books.old.edges[og] != self._books.new.edges[og]
            ):
                self._books.violation("validation-change-object", f"{og[0]} {og[1]}")
        touched = set()
        for og in self._books.changed & self._books.old.reachable:
            before = self._books.old.pdf.get_object(og) if og in self._books.old.places else None
            after = self._books.new.pdf.get_object(og) if og in self._books.new.places else None
            if before is None or after is None or not same_object(before, after):
                touched.add(og)
        if not touched:
            return
        for og in sorted(touched - self._books.homes.keys()):
            self._books.violation("validation-change-object", f"{og[0]} {og[1]}")
        for holder, target in self._books.old.parents(touched & self._books.homes.keys()):
            home = self._books.homes[target]
            paths: list[Path] = [()]
            if holder is not None:
                paths = paths_to(self._books.old.pdf.get_object(holder), target) or [("?",)]
            if not all(home(holder, path) for path in paths):
                self._books.violation("validation-change-object", f"{target[0]} {target[1]}")
