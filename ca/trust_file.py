"""Whom else we believe: anchors, intermediates and trusted lists, from one reviewed file.

    configured = load_trust(Path("trust.yaml"))
    configured.store            # anchors with their terms, intermediates
    configured.lists            # where trusted lists are and who signs them

Every anchor is named, has a kind, purposes and (if wanted) dates, and is pinned by the SHA-256 of
its certificate, which a person wrote down. A file that contradicts itself is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509

from ca.errors import CaError
from ca.trust import AnchorTerms, TrustStore, certificates_in, fingerprint

KINDS = ("own", "government", "national-public", "foreign")
PURPOSES = ("signatures", "time-stamps")
_ANCHOR_KEYS = frozenset({"name", "kind", "file", "sha256", "purposes", "from", "until"})
_LIST_KEYS = frozenset({"name", "file", "url", "kind", "territory", "signers"})
_LARGEST = 1 << 20
_ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class TrustFileError(CaError):
    """The trust file cannot be meant as it stands; the text says where and why."""


@dataclass(frozen=True)
class ListSource:
    """A trusted list (TS 119 612): where it is, and which certificates may sign it."""

    name: str
    kind: str
    territory: str
    signers: tuple[x509.Certificate, ...]
    file: Path | None = None
    url: str | None = None


@dataclass(frozen=True)
class ConfiguredTrust:
    """What the file says, checked."""

    store: TrustStore
    lists: tuple[ListSource, ...]


def load_trust(path: Path) -> ConfiguredTrust:
    """Read and check the file; certificates are files beside it. Raises TrustFileError."""
    raw = _mapping(_yaml(path), path.name)
    _only(raw, frozenset({"version", "anchors", "intermediates", "trusted_lists"}), path.name)
    if raw.get("version") != 1:
        raise TrustFileError("trust-file-version", file=path.name)
    anchors: dict[str, tuple[x509.Certificate, AnchorTerms]] = {}
    names: set[str] = set()
    for row in _rows(raw, "anchors"):
        certificate, terms = _anchor(row, path.parent)
        mark = fingerprint(certificate)
        if mark in anchors or terms.name in names:
            raise TrustFileError("trust-anchor-twice", name=terms.name)
        names.add(terms.name)
        anchors[mark] = certificate, terms
    helping = [_pinned(row, path.parent) for row in _rows(raw, "intermediates")]
    for one in helping:
        if fingerprint(one) in anchors:
            raise TrustFileError("trust-anchor-and-intermediate", name=_subject(one))
    store = TrustStore(
        tuple(certificate for certificate, _terms in anchors.values()),
        tuple(helping),
        {mark: terms for mark, (_certificate, terms) in anchors.items()},
    )
    lists = tuple(_list(row, path.parent) for row in _rows(raw, "trusted_lists"))
    if len({one.name for one in lists}) < len(lists):
        raise TrustFileError("trust-list-twice")
    return ConfiguredTrust(store, lists)


def _anchor(row: Mapping[str, Any], folder: Path) -> tuple[x509.Certificate, AnchorTerms]:
    name = _word(row, "name", "?")
    _only(row, _ANCHOR_KEYS, name)
    if row.get("kind") not in KINDS:
        raise TrustFileError("trust-anchor-kind", name=name, known=", ".join(KINDS))
    purposes = row.get("purposes")
    if not isinstance(purposes, list) or not purposes or set(purposes) - set(PURPOSES):
        raise TrustFileError("trust-anchor-purposes", name=name, known=", ".join(PURPOSES))
    certificate = _pinned(row, folder)
    begin, end = _moment(row, "from", name), _moment(row, "until", name)
    begin, end = begin or _ALWAYS[0], end or _ALWAYS[1]
    if begin >= end:
        raise TrustFileError("trust-anchor-dates", name=name)
    lives = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if end <= lives[0] or begin >= lives[1]:
        raise TrustFileError("trust-anchor-dates-outside", name=name, until=f"{lives[1]:%d-%m-%Y}")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        authority = constraints.ca
    except (x509.ExtensionNotFound, ValueError):
        # Version 1 roots have no extensions; their pin says that somebody looked.
        authority = certificate.version is x509.Version.v1
    if not authority:
        raise TrustFileError("trust-anchor-not-ca", name=name)
    terms = AnchorTerms(
        name=name,
        kind=row["kind"],
        purposes=frozenset(purposes),
        periods=((begin, end),),
    )
    return certificate, terms


def _list(row: Mapping[str, Any], folder: Path) -> ListSource:
    name = _word(row, "name", "?")
    _only(row, _LIST_KEYS, name)
    if row.get("kind") not in KINDS[1:]:
        raise TrustFileError("trust-anchor-kind", name=name, known=", ".join(KINDS[1:]))
    file, url = row.get("file"), row.get("url")
    if (file is None) == (url is None):
        raise TrustFileError("trust-list-place", name=name)
    if url is not None and urlsplit(str(url)).scheme not in ("http", "https"):
        raise TrustFileError("trust-list-place", name=name)
    signers = tuple(_pinned(one, folder) for one in _rows(row, "signers"))
    if not signers:
        raise TrustFileError("trust-list-signers", name=name)
    return ListSource(
        name=name,
        kind=row["kind"],
        territory=_word(row, "territory", name),
        signers=signers,
        file=folder / str(file) if file is not None else None,
        url=str(url) if url is not None else None,
    )


def _pinned(row: Mapping[str, Any], folder: Path) -> x509.Certificate:
    """The one certificate of a row's file, which must be the one that was written down."""
    name = _word(row, "file", "?")
    pin = str(row.get("sha256", "")).replace(":", "").replace(" ", "").lower()
    if len(pin) != 64 or set(pin) - set("0123456789abcdef"):
        raise TrustFileError("trust-pin-missing", file=name)
    found = certificates_in(folder / name)
    if len(found) != 1:
        raise TrustFileError("trust-file-of-many", file=name, count=len(found))
    if fingerprint(found[0]) != pin:
        raise TrustFileError("anchor-not-pinned", file=name, sha256=fingerprint(found[0]))
    return found[0]


def _yaml(path: Path) -> object:
    try:
        if path.stat().st_size > _LARGEST:
            raise TrustFileError("trust-file-unreadable", file=path.name, reason="size")
        return yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = type(error).__name__
        raise TrustFileError("trust-file-unreadable", file=path.name, reason=reason) from None


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TrustFileError("trust-file-shape", where=where)
    return value


def _rows(raw: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = raw.get(key) or []
    if not isinstance(rows, list):
        raise TrustFileError("trust-file-shape", where=key)
    return [_mapping(row, key) for row in rows]


def _only(row: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in sorted(set(map(str, row)) - set(known)):
        raise TrustFileError("trust-file-key", key=key, where=where)


def _word(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise TrustFileError("trust-file-missing", key=key, where=where)
    return value.strip()


def _moment(row: Mapping[str, Any], key: str, name: str) -> datetime | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise TrustFileError("trust-anchor-dates", name=name)


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()
