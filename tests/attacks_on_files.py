"""Forgeries of CAdES, XAdES and ASiC files, made from properly signed ones.

Everything in the file is taken away, doubled, moved or altered, one thing at a time: elements, CMS
parts, entries of a container, octets. Sources: McIntosh & Austel, "XML signature element wrapping
attacks" (2005); EN 319 162-1 §A.7; RFC 5652. A mutant is never TOTAL_PASSED; where it only lacks
what nobody signed (a time-stamp, evidence) it may be, and claims no more than it holds
(`legitimate`).
"""

from __future__ import annotations

import contextlib
import copy
import io
import random
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import utils
from lxml import etree

from ca import der
from signer.cms_parts import CmsParts, SignerParts
from signer.files.file_kinds import Kind, kind_of
from tests.attacks import Mutant
from tests.attacks_on_cms import with_one_more

DS = "http://www.w3.org/2000/09/xmldsig#"
XADES = "http://uri.etsi.org/01903/v1.3.2#"
_UNSIGNED = f"{{{XADES}}}UnsignedProperties"
_UNSIGNED_TEXT = re.compile(
    rb"<!--.*?-->|<(?:\w+:)?UnsignedProperties.*?</(?:\w+:)?UnsignedProperties>", re.DOTALL
)


def forged_files(data: bytes, other: bytes, *, every: int = 150) -> Iterator[Mutant]:
    """Every forgery of one signed file; `other` is one that somebody else signed."""
    kind = kind_of(data)
    yield from _octets(data, every)
    yield Mutant("damage", "doubled", data + data)
    for share in (0.2, 0.5, 0.9):
        yield Mutant("damage", f"cut at {share}", data[: int(len(data) * share)])
    if kind is Kind.CMS:
        yield from _cms(data, other)
    elif kind is Kind.XML:
        yield from _xml(data, other)
    elif kind is Kind.CONTAINER:
        yield from _container(data, other)


def _octets(data: bytes, every: int) -> Iterator[Mutant]:
    """One bit here and there, none that only makes a letter of a name small (RFC 5280, 7.1). In a
    ZIP some octets say nothing (times of files); in XML nobody signs comments (Canonical XML 1.0)
    and what was added to a signature later."""
    chance = random.Random(6)
    kind = kind_of(data)
    skipped = _telling_nothing(data) if kind is Kind.CONTAINER else frozenset()
    loose = [match.span() for match in _UNSIGNED_TEXT.finditer(data)] if kind is Kind.XML else []
    for start in range(0, len(data), every):
        place = min(start + chance.randrange(every), len(data) - 1)
        if place not in skipped:
            forged = bytearray(data)
            forged[place] ^= 1 << chance.randrange(5)
            if _same_letter(data, bytes(forged), place):
                continue
            unsigned = any(low <= place < high for low, high in loose)
            if kind is Kind.CONTAINER:
                touched = _touched(data, bytes(forged))
                if touched == []:
                    continue
                unsigned = touched is not None and all(touched)
            yield Mutant("octet", f"at {place}", bytes(forged), legitimate=unsigned)


def _touched(data: bytes, forged: bytes) -> list[bool] | None:
    """For each entry that differs: whether nobody signs what differs. None when it cannot be read.

    No entry at all: compressed data may say the same in another way (RFC 1951: a match may point
    to any earlier occurrence), and then it is the same container.
    """
    try:
        before, after = _entries(data), _entries(forged)
    except Exception:  # zipfile and zlib find many words for damage
        return None
    if list(before) != list(after):
        return None
    return [
        _loose(name) or _differ_in_unsigned(before[name], after[name])
        for name in before
        if before[name] != after[name]
    ]


def _differ_in_unsigned(one: bytes, other: bytes) -> bool:
    spans = [match.span() for match in _UNSIGNED_TEXT.finditer(one)]
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    rest = len(one) - next(
        (n for n, (a, b) in enumerate(zip(one[::-1], other[::-1], strict=False)) if a != b), 0
    )
    return any(low <= at and rest <= high for low, high in spans)


def _same_letter(data: bytes, forged: bytes, place: int) -> bool:
    """ấ and Ấ are one bit apart, and one name to RFC 5280, 7.1."""
    for start in range(max(0, place - 2), place + 1):
        for end in (start + 2, start + 3):
            with contextlib.suppress(UnicodeDecodeError):
                before, after = data[start:end].decode(), forged[start:end].decode()
                if len(before) == 1 and before.casefold() == after.casefold():
                    return True
    return False


def _telling_nothing(data: bytes) -> frozenset[int]:
    """Where a ZIP keeps versions, times and attributes: no reader shows them as content. The last
    octet of what is deflated, before the next header, has bits that nobody reads (RFC 1951)."""
    found: set[int] = set()
    for mark, spans in (
        (b"PK\x03\x04", ((-1, 0), (4, 6), (10, 14))),
        (b"PK\x01\x02", ((-1, 0), (4, 8), (12, 16), (34, 42))),
    ):
        at = data.find(mark)
        while at >= 0:
            for low, high in spans:
                found.update(range(at + low, at + high))
            at = data.find(mark, at + 4)
    return frozenset(found)


def _cms(data: bytes, other: bytes) -> Iterator[Mutant]:
    """Digests named otherwise, and every part without, twice, or somebody else's."""
    sha256 = bytes.fromhex("0609608648016503040201")
    for name, oid in (("sha512", "0609608648016503040203"), ("sha224", "0609608648016503040204")):
        yield Mutant("cms", f"{name} everywhere", data.replace(sha256, bytes.fromhex(oid)))
        for match in list(re.finditer(re.escape(sha256), data))[:12]:
            forged = data[: match.start()] + bytes.fromhex(oid) + data[match.end() :]
            yield Mutant("cms", f"{name} at {match.start()}", forged)
    for name, forged in with_one_more(data):
        yield Mutant("cms", f"one more element in {name}", forged)
    parts, theirs = CmsParts.read(data), CmsParts.read(other)
    (signer,), (stranger,) = parts.signers, theirs.signers
    for index in range(len(parts.certificates)):
        kept = (*parts.certificates[:index], *parts.certificates[index + 1 :])
        yield Mutant("cms", f"without certificate {index}", _with(parts, certificates=kept))
    for index in range(len(parts.revocation)):
        kept = (*parts.revocation[:index], *parts.revocation[index + 1 :])
        yield Mutant("cms", f"without evidence {index}", _with(parts, revocation=kept))
    yield Mutant("cms", "no certificates", _with(parts, certificates=()))
    yield Mutant("cms", "no signer", _with(parts, signers=()))
    yield Mutant("cms", "signer twice", _with(parts, signers=(signer, signer)))
    turned = _turned(signer)
    if turned is not None:
        yield Mutant("cms", "signer turned round", _with(parts, signers=(signer, turned)))
    for member in ("sid", "digest_algorithm", "signed_attributes", "signature"):
        foreign = replace(signer, **{member: getattr(stranger, member)})
        if foreign != signer:
            yield Mutant("cms", f"{member} of another", _with(parts, signers=(foreign,)))
    yield Mutant(
        "cms",
        "time-stamps of another",
        _with(parts, signers=(replace(signer, unsigned=stranger.unsigned),)),
    )
    for index in range(len(signer.unsigned)):
        kept = (*signer.unsigned[:index], *signer.unsigned[index + 1 :])
        bare = _with(parts, signers=(replace(signer, unsigned=kept),))
        yield Mutant("cms", f"without unsigned attribute {index}", bare, legitimate=True)

    for name, algorithm in (("sha1", "300706052b0e03021a"), ("md5", "300a06082a864886f70d0205")):
        declared = replace(signer, digest_algorithm=bytes.fromhex(algorithm))
        yield Mutant("cms", f"{name} declared", _with(parts, signers=(declared,)))


def _turned(signer: SignerParts) -> SignerParts | None:
    """The other value of an ECDSA signature on P-256 that verifies: (r, n − s)."""
    try:
        r, s = utils.decode_dss_signature(signer.signature_value)
    except ValueError:
        return None
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    value = der.octet_string(utils.encode_dss_signature(r, order - s))
    return replace(signer, signature=value, unsigned=())


def _with(parts: CmsParts, **members: object) -> bytes:
    return replace(parts, **members).encode()  # type: ignore[arg-type]  # one member at a time


def _xml(data: bytes, other: bytes) -> Iterator[Mutant]:
    count = sum(1 for _ in etree.fromstring(data).iter("*"))
    for number in range(count):
        for act in (_removed, _doubled, _altered, _renamed, _emptied):
            root = etree.fromstring(data)
            element = list(root.iter("*"))[number]
            tag = etree.QName(element).localname
            loose = any(one.tag == _UNSIGNED for one in (element, *element.iterancestors()))
            if act(element):
                made = etree.tostring(root.getroottree())
                yield Mutant("xml", f"{act.__name__} {tag} {number}", made, legitimate=loose)
    yield from _said_in_between(data)
    theirs = etree.fromstring(other).find(f".//{{{DS}}}Signature")
    root = etree.fromstring(data)
    own = root.find(f".//{{{DS}}}Signature")
    if own is not None and theirs is not None and own is not root:
        own.getparent().replace(own, theirs)
        yield Mutant("xml", "signature of another document", etree.tostring(root.getroottree()))


def _said_in_between(data: bytes) -> Iterator[Mutant]:
    """Where no signature is, or a canonical form looks away and a reader does not: a comment in a
    text, text between elements, elements of no schema, a style for the whole document.

    The comment: CVE-2018-0489 and its kin in SAML; the style: W3C, xml-stylesheet.
    """

    def told(name: str, root: etree._Element) -> Mutant:
        return Mutant("xml", name, etree.tostring(root.getroottree()))

    for number, one in enumerate(etree.fromstring(data).iter("*")):
        if not any(each.tag == f"{{{DS}}}Signature" for each in (one, *one.iterancestors())):
            continue
        root = etree.fromstring(data)
        element = list(root.iter("*"))[number]
        tag, text = etree.QName(element).localname, element.text or ""
        if len(element):
            element.text = "I owe you nothing"
            yield told(f"text in {tag} {number}", root)
        elif len(text) > 1:
            half = 10 if tag == "SigningTime" else len(text) // 2
            element.text, comment = text[:half], etree.Comment("")
            comment.tail = text[half:]
            element.append(comment)
            yield told(f"comment in {tag} {number}", root)
    for name in ("UnsignedProperties", "QualifyingProperties"):
        root = etree.fromstring(data)
        holder = root.find(f".//{{{XADES}}}{name}")
        if holder is not None:
            etree.SubElement(holder, "{urn:forged}Promise").text = "I owe you nothing"
            yield told(f"element in {name}", root)
            root = etree.fromstring(data)
            twice = root.find(f".//{{{XADES}}}{name}")
            twice.addnext(copy.deepcopy(twice))
            yield told(f"{name} twice", root)
    for act in ("addprevious", "addnext"):
        root = etree.fromstring(data)
        getattr(root, act)(etree.PI("xml-stylesheet", 'type="text/xsl" href="forged.xsl"'))
        yield told(f"style by {act}", root)


def _removed(element: etree._Element) -> bool:
    parent = element.getparent()
    if parent is None:
        return False
    parent.remove(element)
    return True


def _doubled(element: etree._Element) -> bool:
    parent = element.getparent()
    if parent is None:
        return False
    parent.insert(parent.index(element) + 1, copy.deepcopy(element))
    return True


def _altered(element: etree._Element) -> bool:
    if element.text is None or not element.text.strip():
        return False
    text = element.text
    element.text = ("A" if text[0] != "A" else "B") + text[1:]
    return True


def _renamed(element: etree._Element) -> bool:
    element.tag = "{urn:forged}" + etree.QName(element).localname
    return True


def _emptied(element: etree._Element) -> bool:
    if not len(element):
        return False
    for child in list(element):
        element.remove(child)
    return True


def _container(data: bytes, other: bytes) -> Iterator[Mutant]:
    entries = _entries(data)
    foreign = _entries(other)
    for name in entries:
        if name == "mimetype":
            yield Mutant("asic", "another mimetype", _packed({**entries, name: b"text/plain"}))
            continue
        rest = {one: value for one, value in entries.items() if one != name}
        loose = _loose(name)
        needed = name == "META-INF/manifest.xml"
        yield Mutant("asic", f"without {name}", _packed(rest), loose and not needed)
        yield Mutant("asic", f"{name} cut", _packed({**rest, name: entries[name][:-1]}), loose)
        yield Mutant("asic", f"{name} renamed", _packed({**rest, f"x-{name}": entries[name]}))
        yield Mutant("asic", f"{name} empty", _packed({**rest, name: b""}), loose)
        if name in foreign and foreign[name] != entries[name]:
            yield Mutant("asic", f"{name} of another", _packed({**rest, name: foreign[name]}))
        yield Mutant("asic", f"{name} twice", _packed(entries, again=(name, b"forged")))
    for name in ("thêm.txt", "META-INF/x.txt.exe", "../out.txt", "/root.txt", "a\\b.txt"):
        loose = name.startswith("META-INF/")
        yield Mutant("asic", f"{name} added", _packed({**entries, name: b"forged"}), loose)


def _loose(name: str) -> bool:
    """What no signature is over: its archive's parts, and the list of files (told as a warning)."""
    return "ArchiveManifest" in name or name.endswith((".tst", "META-INF/manifest.xml"))


def _entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {one.filename: archive.read(one) for one in archive.infolist()}


def _packed(entries: dict[str, bytes], again: tuple[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, value in entries.items():
            archive.writestr(zipfile.ZipInfo(name), value)
            if again is not None and again[0] == name:
                archive.writestr(zipfile.ZipInfo(name), again[1])
    return out.getvalue()
