"""Batches as their pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from signer.batches.batch_reading import Item
from signer.batches.batch_review import WAITING, Offered

_TONES = {
    "open": "open",
    "running": "open",
    "paused": "bad",
    "done": "good",
    "cancelled": "plain",
    "waiting": "open",
    "left-out": "plain",
    "signing": "open",
    "signed": "good",
    "refused": "bad",
}


@dataclass(frozen=True)
class BatchView:
    """A batch: `asks` when it waits for its signer, `runs` while it is worked on."""

    id: str
    key_name: str
    client: str
    state: str
    tone: str
    total: int
    asked: int
    """Without those that were left out."""
    signed: int
    refused: int
    waiting: int
    settled: bool
    failure: str
    created_at: datetime

    @property
    def asks(self) -> bool:
        return self.state in WAITING

    @property
    def signable(self) -> bool:
        """Whether any of its documents can be chosen."""
        return self.refused < self.total

    @property
    def runs(self) -> bool:
        return self.state == "running" or (self.state == "cancelled" and not self.settled)


@dataclass(frozen=True)
class ItemView:
    """A document of a batch; `choosable` while its tick may change."""

    position: int
    name: str
    pages: int
    state: str
    tone: str
    why: str
    fetchable: bool

    @property
    def choosable(self) -> bool:
        return self.state in {"waiting", "left-out"}


def batch_view(found: Offered, key_name: str) -> BatchView:
    one = found.batch
    client = found.client
    return BatchView(
        id=one.id,
        key_name=key_name,
        client=client.removeprefix("client:") if client.startswith("client:") else "",
        state=one.state,
        tone=_TONES.get(one.state, "plain"),
        total=one.total,
        asked=one.total - one.counts.get("left-out", 0),
        signed=one.counts.get("signed", 0),
        refused=one.counts.get("refused", 0),
        waiting=one.counts.get("waiting", 0),
        settled=one.settled,
        failure=one.failure or "",
        created_at=one.created_at,
    )


def item_view(one: Item, language: str) -> ItemView:
    return ItemView(
        position=one.position,
        name=one.name,
        pages=one.pages or 0,
        state=one.state,
        tone=_TONES.get(one.state, "plain"),
        why=one.failure.message(language) if one.failure is not None else "",
        fetchable=one.result is not None,
    )
