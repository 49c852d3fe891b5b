"""ASiC containers read for validation: which signature covers which files (EN 319 162-1).

A container passes only when each of its signatures covers every file in it: what nobody signed has
no business in there. ASiC-E is what we write; ASiC-S and archive manifests of others are read too.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from urllib.parse import unquote

from signer.files.xml_names import ASIC, ds
from signer.files.xml_reading import Element, parse
from signer.files.xml_references import Document, decoded, digest_named, refused
from signer.files.zip_reading import Entry, comments, read_zip
from signer.verdicts.ades_verdict import ArchiveStamp, Claim, Claims
from signer.verdicts.container_parts import FOLDER, list_missing, remarks, said_beside
from signer.verdicts.examination import SignedReference
from signer.verdicts.mathematics import digest
from signer.verdicts.policy import Limits
from signer.verdicts.time_stamps import Stamp, read_stamp
from signer.verdicts.validation_cades import FAMILY, age, read_detached
from signer.verdicts.validation_xades import read_signatures
from signer.verdicts.verdict import Finding, Rejected, SubIndication, Unreadable, fails

_EXTENDED = b"application/vnd.etsi.asic-e+zip"
_SIMPLE = b"application/vnd.etsi.asic-s+zip"
_MOST_SIGNATURES = 50


@dataclass(frozen=True)
class _Manifest:
    """An ASiCManifest or ASiCArchiveManifest: what its signature or time-stamp is over."""

    name: str
    data: bytes
    root: Element

    @property
    def signature(self) -> str:
        found = self.root.findall(f"{{{ASIC}}}SigReference")
        return unquote(found[0].get("URI") or "") if len(found) == 1 else ""

    @cached_property
    def listed(self) -> dict[str, tuple[str, bytes]]:
        """Name → (digest algorithm, digest). Raises Rejected when it is not well made."""
        found: dict[str, tuple[str, bytes]] = {}
        for one in self.root.findall(f"{{{ASIC}}}DataObjectReference"):
            name = unquote(one.get("URI") or "")
            if name in found:
                raise refused("validation-manifest-doubled", name=name[:60])
            algorithm = digest_named(one.find(ds("DigestMethod")))
            found[name] = (algorithm, decoded(one.findtext(ds("DigestValue"))))
        return found


@dataclass(frozen=True)
class _Container:
    entries: dict[str, bytes]
    simple: bool

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The data: everything but `mimetype` and what is in META-INF."""
        return {
            name: data
            for name, data in self.entries.items()
            if name != "mimetype" and not name.startswith(FOLDER)
        }

    def inside(self, part: str, suffix: str) -> Iterator[str]:
        for name in sorted(self.entries):
            own = name.removeprefix(FOLDER)
            if name != own and "/" not in own and part in own and own.endswith(suffix):
                yield name

    @cached_property
    def manifests(self) -> list[_Manifest]:
        return [
            _Manifest(one, self.entries[one], parse(self.entries[one], Unreadable).getroot())
            for one in self.inside("Manifest", ".xml")
            if "ASiC" in one
        ]


def read_claims(data: bytes, limits: Limits) -> Claims:
    """Everything signed in a container; raises Unreadable for what is no harmless container."""
    entries = read_zip(data, limit=limits.bytes, refusal=Unreadable)
    container = _Container({one.name: one.data for one in entries}, _is_simple(entries))
    cades, xades = list(_cades(container)), list(_xades(container))
    found = [*cades, *xades]
    if len(found) > _MOST_SIGNATURES:
        raise Unreadable("validation-too-many-signatures", limit=_MOST_SIGNATURES)
    told = (*remarks(container.entries, frozenset(_read(container))), *said_beside(comments(data)))
    missing = list_missing(container.entries, simple=container.simple, xades=bool(xades))
    return Claims(
        tuple(replace(one, findings=(*one.findings, *told)) for one in found),
        spoils=(*_spoils(container, found), *missing),
    )


def _read(container: _Container) -> Iterator[str]:
    """What in META-INF the verdict takes into account."""
    yield from container.inside("signatures", ".xml")
    signatures = set(container.inside("signature", ".p7s"))
    yield from signatures
    for manifest in container.manifests:
        if not _archival(manifest):
            if manifest.signature in signatures:
                yield manifest.name
        elif signatures & _names(manifest) and manifest.signature in container.entries:
            yield from (manifest.name, manifest.signature)


def _names(manifest: _Manifest) -> set[str]:
    try:
        return set(manifest.listed)
    except Rejected:
        return set()


def _is_simple(entries: list[Entry]) -> bool:
    first = entries[0] if entries else None
    if first is None or first.name != "mimetype" or not first.stored:
        raise Unreadable("validation-not-asic")
    if first.data.strip() not in (_EXTENDED, _SIMPLE):
        raise Unreadable("validation-not-asic")
    return first.data.strip() == _SIMPLE


def _spoils(container: _Container, found: list[Claim]) -> Iterator[Finding]:
    if found and not container.files:
        yield fails("validation-content-missing", SubIndication.SIGNED_DATA_NOT_FOUND)
    if container.simple and len(container.files) > 1:
        yield fails("validation-asic-simple", SubIndication.FORMAT_FAILURE)


def _xades(container: _Container) -> Iterator[Claim]:
    names = frozenset(container.files)
    for name in container.inside("signatures", ".xml"):
        data = container.entries[name]
        document = Document(parse(data, Unreadable), container.files.get)
        if document.root.tag != f"{{{ASIC}}}XAdESSignatures" or any(
            one.tag != ds("Signature") for one in document.root.iterchildren("*")
        ):
            raise Unreadable("validation-not-asic")
        yield from read_signatures(document, name=name, size=len(data), files=names)


def _cades(container: _Container) -> Iterator[Claim]:
    for name in container.inside("signature", ".p7s"):
        try:
            content, covered = _signed_by(container, name)
        except Rejected as rejected:
            yield Claim(name, FAMILY, None, (rejected.finding,))
            continue
        whole = set(container.files) <= covered
        for claim in read_detached(container.entries[name], content, name=name):
            if claim.countersigns:
                yield claim
                continue
            findings = list(claim.findings)
            if not whole:
                sub = SubIndication.SIG_CONSTRAINTS_FAILURE
                findings.append(fails("validation-partly-signed", sub))
            yield replace(
                claim,
                findings=tuple(findings),
                whole_file=whole,
                digests=claim.digests | _manifest_digests(container, name),
                archives=(*claim.archives, *_archives(container, name, claim)),
                size=sum(map(len, container.files.values())),
                references=(*claim.references, *_entries(container, name)),
            )


def _signed_by(container: _Container, name: str) -> tuple[bytes, set[str]]:
    """What a `.p7s` is over, and which files that covers."""
    if container.simple:
        data = next(iter(container.files.values()), None)
        if data is None:
            sub = SubIndication.SIGNED_DATA_NOT_FOUND
            raise Rejected(fails("validation-content-missing", sub))
        return data, set(container.files)
    manifest = _manifest_of(container, name)
    if manifest is None:
        raise refused("validation-manifest-missing")
    _check(container, manifest)
    return manifest.data, set(manifest.listed)


def _manifest_of(container: _Container, name: str) -> _Manifest | None:
    found = [one for one in container.manifests if one.signature == name and not _archival(one)]
    return found[0] if len(found) == 1 else None


def _archival(manifest: _Manifest) -> bool:
    return "ASiCArchiveManifest" in manifest.name


def _manifest_digests(container: _Container, name: str) -> frozenset[str]:
    manifest = None if container.simple else _manifest_of(container, name)
    return frozenset(one for one, _ in manifest.listed.values()) if manifest else frozenset()


def _entries(container: _Container, name: str) -> Iterator[SignedReference]:
    manifest = None if container.simple else _manifest_of(container, name)
    for listed, (algorithm, value) in manifest.listed.items() if manifest else ():
        yield SignedReference("MANIFEST_ENTRY", algorithm, value, listed)


def _check(container: _Container, manifest: _Manifest) -> None:
    """Every listed file is there and is what it was."""
    for name, (algorithm, wanted) in manifest.listed.items():
        data = container.entries.get(name)
        if data is None:
            sub = SubIndication.SIGNED_DATA_NOT_FOUND
            raise Rejected(fails("validation-content-missing", sub))
        if not hmac.compare_digest(digest(algorithm, data), wanted):
            raise Rejected(fails("validation-hash", SubIndication.HASH_FAILURE))


def _archives(container: _Container, name: str, claim: Claim) -> Iterator[ArchiveStamp]:
    """Time-stamps over archive manifests that list this signature (annex A.7), oldest first."""
    found = []
    for manifest in container.manifests:
        token = container.entries.get(manifest.signature)
        if not _archival(manifest) or token is None or name not in manifest.listed:
            continue
        found.append(
            ArchiveStamp(
                _archive_stamp(container, manifest, token),
                claim.certificates | claim.revocation,
            )
        )
    yield from sorted(found, key=age)


def _archive_stamp(container: _Container, manifest: _Manifest, token: bytes) -> Stamp:
    try:
        _check(container, manifest)
    except Rejected as rejected:
        return Stamp(manifest.signature, 0, None, None, (rejected.finding,))
    return read_stamp(token, partial(_digest_of, manifest.data), field=manifest.signature)


def _digest_of(data: bytes, algorithm: str) -> bytes:
    return digest(algorithm, data)
