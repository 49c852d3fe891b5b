"""Batches over HTTP: open, fill, review, one PIN, follow, fetch."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest

from api.batch_work import shelves_of
from bench import batch_served
from signer.batches import batch_work
from signer.verdicts.validation import validate
from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import DEMO, PIN, TownHall

DECISION = (DEMO / "decision.pdf").read_bytes()


def form(*documents: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("files", (name, data, "application/pdf")) for name, data in documents]


def numbered(count: int) -> list[tuple[str, bytes]]:
    return [(f"qđ-{n}.pdf", DECISION + b"%% %d\n" % n) for n in range(count)]


def opened(service: Service, hall: TownHall, headers: dict[str, str], **how: Any) -> str:
    answer = service.http.post(
        "/api/v1/batches",
        json={"credential_id": hall.person.id, "how": {"level": "B-B", **how}},
        headers=headers,
    )
    assert answer.status_code == 201, answer.text
    return f"/api/v1/batches/{answer.json()['id']}"


def work(service: Service, *, size: int = 50) -> None:
    """What the worker processes of `dauso serve` do."""
    shelves = shelves_of(service.house.settings)
    while batch_work.work_once(
        service.house.desk, shelves, holder="test", clock=lambda: service.now, size=size
    ):
        pass


@ONLY_SQLITE
def test_from_upload_to_results(service: Service, hall: TownHall) -> None:
    """Reviewed and unticked, one PIN, each document with its outcome, and the result file."""
    headers = service.bearer("sign")
    place = opened(service, hall, headers)
    broken = ("=hỏng.pdf", DECISION[: len(DECISION) // 2])
    answer = service.http.post(
        f"{place}/documents", files=form(*numbered(3), broken), headers=headers
    )
    assert answer.status_code == 201, answer.text
    assert [one["state"] for one in answer.json()] == ["waiting"] * 3 + ["refused"]
    assert set(answer.json()[3]["messages"]) == {"vi", "en"}
    seen = service.http.get(f"{place}/items?after=1&limit=1", headers=headers).json()
    assert [one["name"] for one in seen] == ["qđ-2.pdf"]
    choice = {"untick": [1]}
    assert service.http.patch(f"{place}/items", json=choice, headers=headers).json()["counts"] == {
        "waiting": 2, "left-out": 1, "refused": 1,
    }  # fmt: skip

    wrong = service.http.post(f"{place}/authorization", json={"pin": "000999"}, headers=headers)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "pin-wrong")
    assert "Còn 4 lần thử" in wrong.json()["messages"]["vi"]
    begun = service.http.post(f"{place}/authorization", json={"pin": PIN}, headers=headers)
    assert begun.json()["state"] == "running", begun.text
    assert PIN not in begun.text
    twice = service.http.post(f"{place}/authorization", json={"pin": PIN}, headers=headers)
    assert (twice.status_code, twice.json()["code"]) == (409, "batch-state-wrong")
    work(service)

    told = service.http.get(f"{place}/events", headers=headers)
    assert told.headers["content-type"].startswith("text/event-stream")
    assert "event: end" in told.text
    last = json.loads(told.text.rsplit("data: ", 1)[1])
    assert (last["state"], last["counts"]) == ("done", {"signed": 2, "left-out": 1, "refused": 1})

    outcome = service.http.get(f"{place}/results?form=json", headers=headers).json()
    signed = [one for one in outcome["documents"] if one["state"] == "signed"]
    for one in signed:
        pdf = service.http.get(one["content_url"], headers=headers)
        assert pdf.headers["etag"] == f'"{one["result"]}"'
        report = validate(
            pdf.content,
            trust=service.house.trust,
            now=service.now,
            revocation=service.house.published_lists(),
        )
        assert len(report.signatures) == 1
        assert report.signatures[0].covers_whole_file
    sheet = service.http.get(f"{place}/results?form=csv", headers=headers).text
    rows = list(csv.reader(io.StringIO(sheet.removeprefix("\ufeff"))))
    assert [row[3] for row in rows[1:]] == ["signed", "left-out", "signed", "refused"]
    assert rows[4][1] == "'=hỏng.pdf", "no cell that a spreadsheet takes for a formula"
    assert service.http.get(f"{place}/items/3/content", headers=headers).status_code == 404
    assert service.tags().count("signature.made") == 2


@ONLY_SQLITE
def test_the_stream_tells_how_it_goes(service: Service, hall: TownHall) -> None:
    """Server-sent events: the whole state at each change; a paused batch ends the stream."""
    headers = service.bearer("sign")
    place = opened(service, hall, headers)
    service.http.post(f"{place}/documents", files=form(*numbered(2)), headers=headers)
    service.http.post(f"{place}/authorization", json={"pin": PIN, "minutes": 1}, headers=headers)
    shelves = shelves_of(service.house.settings)
    batch_work.work_once(
        service.house.desk, shelves, holder="test", clock=lambda: service.now, size=1
    )
    service.later(timedelta(minutes=2))
    work(service)
    last = json.loads(
        service.http.get(f"{place}/events", headers=headers).text.rsplit("data: ", 1)[1]
    )
    assert (last["state"], last["paused_because"]) == ("paused", "authorization-expired")
    assert last["counts"] == {"signed": 1, "waiting": 1}
    stopped = service.http.post(f"{place}/cancellation", headers=headers).json()
    assert (stopped["state"], stopped["counts"]) == ("cancelled", {"signed": 1, "cancelled": 1})


@ONLY_SQLITE
@pytest.mark.parametrize("path", ["", "/items", "/events", "/results", "/items/0/content"])
def test_other_clients_batches_do_not_exist(service: Service, hall: TownHall, path: str) -> None:
    """404, whether it is there or not."""
    headers = service.bearer("sign")
    place = opened(service, hall, headers)
    stranger = service.bearer("sign", name="another-system")
    assert service.http.get(f"{place}{path}", headers=stranger).status_code == 404
    assert service.http.get(f"{place}{path}").status_code == 401


@ONLY_SQLITE
def test_all_in_one_archive(service: Service, hall: TownHall) -> None:
    """What is signed, under its own names, with the result file; two of one name are kept apart."""
    headers = service.bearer("sign")
    place = opened(service, hall, headers)
    same = [("qđ-0.pdf", DECISION + b"%% again\n"), ("ket-qua.csv", DECISION + b"%% odd\n")]
    files = form(*numbered(2), *same)
    assert service.http.post(f"{place}/documents", files=files, headers=headers).is_success
    service.http.patch(f"{place}/items", json={"untick": [1]}, headers=headers)
    service.http.post(f"{place}/authorization", json={"pin": PIN}, headers=headers)
    work(service)
    answer = service.http.get(f"{place}/archive", headers=headers)
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        names = found.namelist()
        first = found.read("qđ-0.pdf")
    assert names == ["ket-qua.csv", "qđ-0.pdf", "qđ-0 (2).pdf", "ket-qua (2).csv"]
    single = service.http.get(f"{place}/items/0/content", headers=headers)
    assert first == single.content
    stranger = service.bearer("sign", name="stranger")
    assert service.http.get(f"{place}/archive", headers=stranger).status_code == 404


@ONLY_SQLITE
def test_a_lost_batch_is_found_again(service: Service, hall: TownHall) -> None:
    """Nothing lost: who never got the answer to the opening finds the batch in the list."""
    headers = service.bearer("sign")
    place = opened(service, hall, headers)
    (found,) = service.http.get("/api/v1/batches", headers=headers).json()
    assert place.endswith(found["id"])
    assert found["total"] == sum(found["counts"].values())
    for wanted, count in (("open", 1), ("done", 0)):
        shown = service.http.get(f"/api/v1/batches?state={wanted}", headers=headers).json()
        assert len(shown) == count
    earlier = service.http.get(
        "/api/v1/batches", params={"before": found["created_at"]}, headers=headers
    )
    assert earlier.json() == []
    stranger = service.bearer("sign", name="stranger")
    assert service.http.get("/api/v1/batches", headers=stranger).json() == []


def test_by_a_served_instance() -> None:
    """`dauso serve` on its embedded default: spawned workers, everything over HTTP."""
    measured = batch_served.measure(60)
    assert measured.outcomes == {"signed": 60}
