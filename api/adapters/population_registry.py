"""The population registry over HTTP: the implementation of `ca.identity.PopulationRegistry`.

    POST {url}/identity-checks
    {"claims": [{"citizen_id": "0388…", "name": "Nguyễn Thị Mẫu", "born": "1980-09-02"}]}
    → {"answers": [{"outcome": "match", "differs": [], "reference": "…"}]}

One answer for each claim, in order. What is not such an answer, of whatever size or shape, is no
answer: nothing is decided by it. Only citizen number, name and day of birth leave this house.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import httpx

from api.settings import Settings, read_secret
from ca.identity import (
    MOST_CLAIMS,
    Answer,
    Claim,
    Outcome,
    PopulationRegistry,
    RegistryAnswerMalformed,
    RegistryUnavailable,
)

_LARGEST_ANSWER = 1 << 20
_TRIES = 3
_FIELDS = ("name", "born", "citizen_id")


class HttpPopulationRegistry:
    """Safe to share between threads; one connection pool."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        seconds: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`token` goes into a Bearer header. Certificates are verified, redirects not followed.

        `seconds` is for each step of a try, and for its whole answer: one that trickles in is none.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url.rstrip("/")
        self._seconds = seconds
        self._client = httpx.Client(
            timeout=seconds, headers=headers, follow_redirects=False, transport=transport
        )

    @property
    def name(self) -> str:
        return httpx.URL(self._url).host[:100]

    def check(self, claims: Sequence[Claim]) -> list[Answer]:
        """Raises RegistryUnavailable, RegistryAnswerMalformed."""
        answers: list[Answer] = []
        for start in range(0, len(claims), MOST_CLAIMS):
            answers += self._ask(claims[start : start + MOST_CLAIMS])
        return answers

    def close(self) -> None:
        self._client.close()

    def _ask(self, claims: Sequence[Claim]) -> list[Answer]:
        body = {"claims": [_told(claim) for claim in claims]}
        for left in reversed(range(_TRIES)):
            try:
                return _answers(self._post(body), len(claims))
            except RegistryAnswerMalformed:
                raise
            except RegistryUnavailable:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")

    def _post(self, body: dict[str, Any]) -> bytes:
        try:
            with self._client.stream("POST", f"{self._url}/identity-checks", json=body) as answer:
                if answer.status_code == 429 or answer.status_code >= 500:
                    raise RegistryUnavailable(
                        f"HTTP {answer.status_code}", retry_after=_seconds(answer)
                    )
                if answer.status_code != 200:
                    raise RegistryAnswerMalformed(f"HTTP {answer.status_code}")
                received = bytearray()
                until = time.monotonic() + self._seconds
                for piece in answer.iter_bytes():
                    received += piece
                    if time.monotonic() > until:
                        raise RegistryUnavailable("too slow")
                    if len(received) > _LARGEST_ANSWER:
                        raise RegistryAnswerMalformed("size")
                return bytes(received)
        except httpx.HTTPError as error:
            raise RegistryUnavailable(type(error).__name__) from None


def registry_of(settings: Settings) -> PopulationRegistry | None:
    """The registry that the settings name, or None: then no identity is checked."""
    if settings.registry_url is None:
        return None
    secret = settings.secrets / "registry.token"
    token = read_secret(secret) if secret.exists() else ""
    return HttpPopulationRegistry(settings.registry_url, token=token)


def _told(claim: Claim) -> dict[str, str]:
    told = {"citizen_id": claim.citizen_id, "name": claim.name}
    if claim.born is not None:
        told["born"] = claim.born.isoformat()
    return told


def _seconds(answer: httpx.Response) -> int:
    given = answer.headers.get("Retry-After", "")
    return min(int(given), 3600) if given.isascii() and given.isdigit() and len(given) < 6 else 30


def _answers(body: bytes, count: int) -> list[Answer]:
    try:
        listed = json.loads(body)["answers"]
        answers = [
            Answer(
                Outcome(one["outcome"]),
                tuple(field for field in _FIELDS if field in list(one.get("differs", ()))),
                str(one.get("reference", ""))[:100],
            )
            for one in listed
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RegistryAnswerMalformed(type(error).__name__) from None
    if len(answers) != count:
        raise RegistryAnswerMalformed("count")
    return answers
