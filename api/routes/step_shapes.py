"""How a document on its route, its steps and what it goes by are shown over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self

from pydantic import BaseModel, Field

from api.routes.step_orders import StepOrder
from signer.routing.delegations import SigningDelegation
from signer.routing.outgoing_numbers import OutgoingNumber
from signer.routing.routed_documents import Event, RoutedDocument, Step
from signer.routing.step_routes import Route


class StepShape(BaseModel):
    """A step and what became of it."""

    position: int
    kind: str = Field(description="initial, signature, number or seal")
    unit: str
    role: str = Field(description="Who in the unit does it when nobody is named")
    official: str | None
    name: str | None
    state: str = Field(description="waiting, current or done")
    days: int
    due_at: datetime | None
    overdue: bool
    done_at: datetime | None
    done_by: str | None = Field(description="Name of who did it")
    authority_lines: list[str] = Field(description="Under which the person signed")
    digest: str | None = Field(description="Of the file that was shown")
    field: str | None = Field(description="The signature's field in the file")

    @classmethod
    def of(cls, one: Step) -> Self:
        return cls(
            position=one.position,
            kind=one.kind.value,
            unit=one.unit,
            role=one.role,
            official=one.holder_id,
            name=one.holder_name,
            state=one.state,
            days=one.days,
            due_at=one.due_at,
            overdue=one.overdue,
            done_at=one.done_at,
            done_by=one.done_name or one.done_by,
            authority_lines=list(one.authority_lines),
            digest=one.shown,
            field=one.field,
        )


class RoutedDocumentShape(BaseModel):
    """A document as it stands."""

    id: str = Field(examples=["rd_0d3cb1a2…"])
    unit: str
    title: str
    kind: str
    symbol: str
    name: str
    drafter: str
    state: str = Field(description="under-way, returned, complete, refused or recalled")
    reason: str | None = Field(description="Why it was returned, refused or recalled")
    version: int
    position: int = Field(description="The step whose turn it is")
    digest: str = Field(description="SHA-256 of the file: what is shown and signed next")
    size: int
    pages: int
    signed: bool = Field(description="From the first signature on the file cannot be replaced")
    number: str | None = Field(examples=["12/QĐ-UBND"])
    number_day: date | None
    created_at: datetime
    finished_at: datetime | None
    steps: list[StepShape]
    content_url: str

    @classmethod
    def of(cls, one: RoutedDocument) -> Self:
        return cls(
            id=one.id,
            unit=one.unit,
            title=one.title,
            kind=one.kind,
            symbol=one.symbol,
            name=one.name,
            drafter=one.drafter,
            state=one.state,
            reason=one.reason,
            version=one.version,
            position=one.position,
            digest=one.file,
            size=one.size,
            pages=one.pages,
            signed=one.signed,
            number=one.number_text,
            number_day=one.number_day,
            created_at=one.created_at,
            finished_at=one.finished_at,
            steps=[StepShape.of(step) for step in one.steps],
            content_url=f"/api/v1/routed-documents/{one.id}/content",
        )


class EventShape(BaseModel):
    """A line of a document's history."""

    at: datetime
    by: str
    person: str | None
    act: str = Field(
        description="submitted, turn, initialled, signed, numbered, sealed, complete, refused, "
        "replaced, assigned, overdue or recalled"
    )
    step: int | None
    digest: str | None
    reason: str | None

    @classmethod
    def of(cls, one: Event) -> Self:
        return cls(
            at=one.at,
            by=one.by,
            person=one.person,
            act=one.act,
            step=one.position,
            digest=one.digest,
            reason=one.reason,
        )


class RouteShape(BaseModel):
    """A template."""

    id: str
    unit: str
    name: str
    retired: bool
    steps: list[StepOrder]

    @classmethod
    def of(cls, one: Route) -> Self:
        return cls(
            id=one.id,
            unit=one.unit,
            name=one.name,
            retired=one.retired,
            steps=[
                StepOrder(
                    kind=step.kind.value,
                    unit=step.unit,
                    official=step.holder_id,
                    days=step.days,
                    page=step.look.page,
                    box=step.look.box,
                    anchor=step.look.anchor,
                )
                for step in one.steps
            ],
        )


class DelegationShape(BaseModel):
    """A delegation as it stands."""

    id: str
    unit: str
    official: str
    name: str
    authority_lines: list[str]
    kinds: list[str]
    basis: str
    valid_from: datetime
    valid_to: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, one: SigningDelegation) -> Self:
        return cls(
            id=one.id,
            unit=one.unit,
            official=one.holder_id,
            name=one.name,
            authority_lines=list(one.authority_lines),
            kinds=list(one.kinds),
            basis=one.basis,
            valid_from=one.valid_from,
            valid_to=one.valid_to,
            ended_at=one.ended_at,
        )


class NumberShape(BaseModel):
    """A line of the register of outgoing documents."""

    series: str
    number: int
    text: str = Field(examples=["12/QĐ-UBND"])
    day: date
    document_id: str
    title: str
    signer: str
    state: str = Field(description="taken, issued or void")
    reason: str | None

    @classmethod
    def of(cls, one: OutgoingNumber) -> Self:
        return cls(
            series=one.series,
            number=one.number,
            text=one.text,
            day=one.day,
            document_id=one.document_id,
            title=one.title,
            signer=one.signer,
            state=one.state,
            reason=one.reason,
        )
