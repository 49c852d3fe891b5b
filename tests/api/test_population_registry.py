"""The registry's adapter against a server that answers, is away, and lies."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from api.adapters.population_registry import HttpPopulationRegistry
from api.settings import Settings, SettingsError
from ca.errors import CaError
from ca.identity import Claim, Outcome, RegistryUnavailable
from tests.registry_simulator import Person, Registry, running

PEOPLE = {
    "038800000001": Person("NGUYỄN THỊ MẪU", "1980-09-02"),
    "038800000002": Person("Lê Văn Thử", "1979-05-19"),
    "038800000003": Person("Phạm Minh Ví Dụ", deceased=True),
}


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running(PEOPLE) as made:
        yield made


def client_of(registry: Registry) -> HttpPopulationRegistry:
    return HttpPopulationRegistry(registry.url, token=registry.token, seconds=5)


def test_a_registry_that_is_away_decides_nothing(registry: Registry) -> None:
    claim = Claim("038800000001", "Nguyễn Thị Mẫu")
    http = client_of(registry)
    registry.failures = 2
    assert http.check([claim])[0].outcome is Outcome.MATCH  # the third try
    registry.down = True
    with pytest.raises(RegistryUnavailable) as caught:
        http.check([claim])
    assert caught.value.params["retry_after"] == 9
    # One that trickles in byte by byte would hold the clerk's request for hours.
    registry.down, registry.pause, began = False, 0.05, time.monotonic()
    with pytest.raises(RegistryUnavailable):
        HttpPopulationRegistry(registry.url, token=registry.token, seconds=0.2).check([claim])
    assert time.monotonic() - began < 20
    with pytest.raises(RegistryUnavailable):
        HttpPopulationRegistry("http://127.0.0.1:1", seconds=2).check([claim])


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"null", b"[]", b"{}", b'{"answers": 1}', b'{"answers": []}',
        b'{"answers": [{"outcome": "sure"}]}', b'{"answers": [{}, {}]}', b"\xff" * 50,
        b'{"answers": [{"outcome": "match", "differs": 5}]}', b"[" * 100_000, b"x" * (2 << 20),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_decides_nothing(registry: Registry, raw: bytes) -> None:
    """Somebody else's system: whatever it sends, of any size, is a match only when it says so."""
    registry.raw = raw
    with pytest.raises(CaError) as caught:
        client_of(registry).check([Claim("038800000001", "Nguyễn Thị Mẫu")])
    assert caught.value.code == "registry-answer-malformed"


def test_many_claims_go_in_parts(registry: Registry) -> None:
    answers = client_of(registry).check([Claim(f"{n:012d}", "Ai") for n in range(250)])
    assert (len(answers), len(registry.asked)) == (250, 250)
    assert {one.outcome for one in answers} == {Outcome.UNKNOWN}


def test_a_registry_with_another_token_is_told_from_an_answer(registry: Registry) -> None:
    with pytest.raises(CaError) as caught:
        HttpPopulationRegistry(registry.url, token="another").check([Claim("1", "Ai")])
    assert caught.value.code == "registry-answer-malformed"


@pytest.mark.parametrize(
    "url", ["http://registry.example/v1", "ftp://x", "https://user:pw@registry.example", "x"]
)
def test_people_are_named_over_https_only(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"DAUSO_REGISTRY_URL": url})
    assert caught.value.code == "setting-outside-url"
