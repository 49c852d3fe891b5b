"""What requests and answers about visits, appointments and refusals look like."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, Field, field_validator

from api.routes.certification_shapes import CaseShape, OriginalShape, RequesterShape
from api.routes.shapes import Shape
from certify.counter.appointments import Appointment, Slot
from certify.counter.cases import Requester
from certify.counter.intake import Wanted
from certify.counter.refusal import Refusal
from certify.counter.visit_lookup import Visit
from certify.digital_copies import DigitalCopy


class DocumentOrder(Shape):
    """One original of which copies are wanted."""

    document_kind: str = Field(max_length=64, examples=["transcript"])
    original: OriginalShape
    copies: int = Field(1, ge=1, le=100)
    long: bool = Field(False, description="So long that it may take two working days more")
    agreed_day: date | None = Field(None, description="A later day, agreed in writing")

    def wanted(self) -> Wanted:
        return Wanted(
            self.document_kind,
            self.original.description(),
            self.copies,
            self.long,
            self.agreed_day,
        )


class Hour(Shape):
    """The beginning of an hour from the list of free ones."""

    starts_at: datetime = Field(description="With a zone", examples=["2026-11-24T08:00:00+07:00"])

    @field_validator("starts_at")
    @classmethod
    def with_zone(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("a zone is needed")
        return value


class VisitOrder(Shape):
    """A request of the procedure system for one of its dossiers."""

    unit: str = Field(max_length=16, examples=["14797"])
    requester: RequesterShape
    documents: list[DocumentOrder] = Field(min_length=1, max_length=20)
    dossier_code: str = Field(max_length=64, examples=["H56.17.22-261123-AA0001"])
    appointment: Hour | None = None

    def person(self) -> Requester:
        return Requester(**self.requester.model_dump())


class CounterOrder(Shape):
    """Who saw the originals, and where."""

    place: str = Field(max_length=200, examples=["Bộ phận Một cửa phường Hạc Thành"])
    official: str = Field(max_length=100, examples=["Phạm Minh Ví Dụ"])


class ReasonOrder(Shape):
    """Why."""

    reason: str = Field(min_length=1, max_length=1000)


class AssignmentOrder(Shape):
    """An official of the unit, by holder identifier."""

    official: str = Field(max_length=64, examples=["CCCD:038800000001"])


class SlotShape(BaseModel):
    """A free hour, and when the copy of an original shown then would be due."""

    starts_at: datetime
    ends_at: datetime
    free: int
    due_at: datetime
    same_day: bool

    @classmethod
    def of(cls, slot: Slot) -> SlotShape:
        return cls(
            starts_at=slot.starts_at,
            ends_at=slot.ends_at,
            free=slot.free,
            due_at=slot.due_at,
            same_day=slot.same_day,
        )


class SlotList(BaseModel):
    """Soonest first."""

    slots: list[SlotShape]


class AppointmentShape(BaseModel):
    """The newest appointment of a visit."""

    starts_at: datetime
    ends_at: datetime
    state: str = Field(examples=["booked"])
    reason: str | None

    @classmethod
    def of(cls, found: Appointment) -> AppointmentShape:
        return cls(
            starts_at=found.starts_at,
            ends_at=found.ends_at,
            state=found.state.value,
            reason=found.reason,
        )


class VisitShape(BaseModel):
    """A visit with its cases; `follow_url` is the public page of its slip."""

    id: str
    code: str = Field(examples=["K7QF-2M9X-H4TB-0DVW-C6RE"])
    unit: str
    channel: str
    dossier_code: str | None
    opened_at: datetime
    due_at: datetime
    presented: bool
    over: bool
    appointment: AppointmentShape | None
    cases: list[CaseShape]
    follow_url: str
    slip_url: str

    @classmethod
    def of(cls, visit: Visit, base_url: str) -> VisitShape:
        return cls(
            id=visit.id,
            code=visit.code,
            unit=visit.unit,
            channel=visit.channel,
            dossier_code=visit.dossier_code,
            opened_at=visit.opened_at,
            due_at=visit.due_at,
            presented=visit.presented,
            over=visit.over,
            appointment=AppointmentShape.of(visit.appointment) if visit.appointment else None,
            cases=[CaseShape.of(case) for case in visit.cases],
            follow_url=f"{base_url.rstrip('/')}/visits/{visit.code}",
            slip_url=f"/api/v1/certified-copies/visits/{visit.id}/slip",
        )


class VisitList(BaseModel):
    """Newest first."""

    visits: list[VisitShape]


class RefusalShape(BaseModel):
    """A signed refusal; it is in the requester's store under `item_id`."""

    case_id: str
    code: str
    digest: str
    item_id: str
    made_at: datetime
    grounds: list[str]
    content_url: str

    @classmethod
    def of(cls, made: Refusal) -> RefusalShape:
        return cls(
            case_id=made.case_id,
            code=made.code,
            digest=made.digest,
            item_id=made.item_id,
            made_at=made.made_at,
            grounds=[ground.value for ground in made.grounds],
            content_url=f"/api/v1/certified-copies/cases/{made.case_id}/refusal",
        )


class DigitalCopyShape(BaseModel):
    """An agency's copy of a digital document; no certified copy, no register number."""

    id: str
    unit: str
    form: str = Field(examples=["SAO Y"])
    title: str
    source_digest: str
    report_digest: str
    digest: str
    made_at: datetime
    content_url: str

    @classmethod
    def of(cls, made: DigitalCopy) -> DigitalCopyShape:
        return cls(
            id=made.id,
            unit=made.unit,
            form=made.form,
            title=made.title,
            source_digest=made.source_digest,
            report_digest=made.report_digest,
            digest=made.digest,
            made_at=made.made_at,
            content_url=f"/api/v1/digital-copies/{made.id}/content",
        )
