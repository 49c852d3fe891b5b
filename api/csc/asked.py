"""What an authorisation request asks for (CSC API §8.4.2), from a query, a form or a push.

Two kinds of refusal: until client and redirect address are known to belong together nobody is sent
anywhere; after that the client hears of it at its address (RFC 6749 §4.1.2.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from api.auth.clients import load
from api.csc import redirects, tokens
from api.csc.algorithms import hash_algorithm, read_hash, require_length
from api.csc.calls import Remote, is_text
from api.csc.consent import QUALIFIERS
from api.csc.errors import CscRefusal
from signer.hash_signing import MOST_SIGNATURES
from signer.keys import credentials

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636 §4.2: SHA-256 in Base64url
_LONGEST = 8_192


def single(pairs: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """RFC 6749 §3.1: no parameter twice, and one without a value is one that was not sent."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if not isinstance(value, str) or name in found or not is_text(value):
            raise CscRefusal("csc-parameter-invalid", name=name[:64])
        if value:
            found[name] = value
    return found


def address_of(remote: Remote, given: Mapping[str, str]) -> str:
    """The registered address to go back to; CscRefusal `csc-redirect-unregistered`.

    RFC 6749 §3.1.2.3: it may be left out by a client that has registered one only.
    """
    database = remote.wired.house.database
    client_id = given.get("client_id", "")[:64]
    client = load(database, client_id)
    if client is None or tokens.CLIENT_SCOPE not in client.scopes:
        raise CscRefusal("csc-redirect-unregistered")
    known = redirects.registered(database, client_id)
    wanted = given.get("redirect_uri")
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted not in known:
        raise CscRefusal("csc-redirect-unregistered")
    return wanted


def read(remote: Remote, given: Mapping[str, str], *, address: str) -> dict[str, Any]:
    """Everything else, checked; CscRefusal with the words for the client."""
    if given.get("response_type") != "code":
        raise CscRefusal("csc-response-type-unsupported")
    # RFC 9700 §2.1.1: PKCE for every client, and S256 alone, whatever the default was.
    if given.get("code_challenge_method") != "S256":
        raise CscRefusal("csc-parameter-invalid", name="code_challenge_method")
    if not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise CscRefusal("csc-parameter-invalid", name="code_challenge")
    if len(given.get("state", "")) > 1024:
        raise CscRefusal("csc-parameter-invalid", name="state")
    asked: dict[str, Any] = {
        "redirect_uri": address,
        "redirect_given": "redirect_uri" in given,
        "state": given.get("state"),
        "code_challenge": given["code_challenge"],
        "lang": "en" if given.get("lang", "vi").lower().startswith("en") else "vi",
    }
    details = given.get("authorization_details")
    if details is not None:
        if "scope" in given:
            raise CscRefusal("csc-scope-invalid")
        return {**asked, "scope": tokens.CREDENTIAL, "rich": True, **_rich(remote, details)}
    scope = given.get("scope", tokens.SERVICE)
    if scope == tokens.SERVICE:
        return {**asked, "scope": scope}
    if scope != tokens.CREDENTIAL:
        raise CscRefusal("csc-scope-invalid")
    return {**asked, "scope": scope, **_credential(remote, given)}


def _credential(remote: Remote, given: Mapping[str, str]) -> dict[str, Any]:
    name = "hashes" if "hashes" in given else "hash"
    listed = [one for one in given.get(name, "").split(",") if one]
    if len(listed) > MOST_SIGNATURES:
        raise CscRefusal("csc-signatures-too-many")
    values = [read_hash(one, name=name) for one in listed]
    if not values:  # SCAL2: the SAD is bound to hashes
        raise CscRefusal("csc-parameter-missing", kind="string", name="hashes")
    oid = given.get("hashAlgorithmOID") or given.get("hashAlgo")
    if oid is not None:
        require_length(values, hash_algorithm(oid, name="hashAlgorithmOID"))
    counted = given.get("numSignatures", "")
    if not re.fullmatch(r"[0-9]{1,6}", counted):
        raise CscRefusal("csc-parameter-missing", kind="integer", name="numSignatures")
    return {
        **_which(remote, given.get("credentialID"), given.get("signatureQualifier")),
        **_bound(values, int(counted)),
        "labels": [],
        "description": given.get("description", "")[:500],
    }


def _rich(remote: Remote, text: str) -> dict[str, Any]:
    """`authorization_details` of type `credential` (RFC 9396, CSC API §8.4.2)."""
    invalid = CscRefusal("csc-parameter-invalid", name="authorization_details")
    try:
        (wanted,) = json.loads(text)
        documents = wanted["documentDigests"]
        pairs = [(one["hash"], str(one.get("label", ""))[:200]) for one in documents]
        oid, kind = wanted["hashAlgorithmOID"], wanted["type"]
        which = (wanted.get("credentialID"), wanted.get("signatureQualifier"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise invalid from None
    texts = (oid, *(one for one in which if one is not None), *(one for one, _ in pairs))
    if kind != tokens.CREDENTIAL or not pairs or not all(isinstance(one, str) for one in texts):
        raise invalid
    if not all(is_text(label) for _, label in pairs) or len(pairs) > MOST_SIGNATURES:
        raise invalid
    values = [read_hash(one) for one, _ in pairs]
    require_length(values, hash_algorithm(oid, name="hashAlgorithmOID"))
    return {
        **_which(remote, *which),
        **_bound(values, len(set(values))),
        "labels": [label for _, label in pairs],
        "description": "",
        "hash_algorithm": oid,
    }


def _which(remote: Remote, credential_id: str | None, qualifier: str | None) -> dict[str, Any]:
    if credential_id is not None:
        credentials.find(remote.wired.house.desk, credential_id[:64])
    elif qualifier is None:
        raise CscRefusal("csc-parameter-missing", kind="string", name="credentialID")
    if qualifier is not None and qualifier not in QUALIFIERS:
        raise CscRefusal("csc-parameter-invalid", name="signatureQualifier")
    return {"credential_id": credential_id, "qualifier": qualifier}


def _bound(values: list[bytes], signatures: int) -> dict[str, Any]:
    if signatures < 1:
        raise CscRefusal("csc-signatures-invalid")
    if not len(set(values)) <= signatures <= MOST_SIGNATURES:
        raise CscRefusal("csc-signatures-too-many")
    return {"hashes": [one.hex() for one in values], "signatures": signatures}


def require_short(given: Mapping[str, str]) -> None:
    """What comes in an address is short; long requests are pushed (RFC 9126)."""
    if sum(map(len, given.values())) > _LONGEST:
        raise CscRefusal("csc-signatures-too-many")
