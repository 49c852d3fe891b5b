"""What requests and answers of certification look like."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr

from api.errors import ApiError
from api.routes.shapes import Shape
from certify.counter.cases import Case, OriginalDescription, Presentation
from certify.issuance import CertifiedCopy
from certify.money.payments import Receipt
from certify.scans.captures import Capture
from certify.scans.comparison import Comparison


class RequesterShape(Shape):
    """Who asks for the copy."""

    name: str = Field(max_length=200, examples=["Nguyễn Thị Mẫu"])
    identifier: str = Field(
        max_length=20, description="Citizen number or tax code", examples=["038812345678"]
    )
    kind: Literal["person", "organisation"] = "person"
    email: str | None = Field(None, max_length=200)


class OriginalShape(Shape):
    """The paper original, as declared at the counter."""

    title: str = Field(max_length=400, examples=["Bảng điểm tốt nghiệp đại học"])
    issuer: str = Field(max_length=200, examples=["Trường Đại học Hồng Đức"])
    pages: int = Field(ge=1, le=2000, examples=[2])
    number: str | None = Field(None, max_length=100)
    issued_on: date | None = None
    foreign: bool = False
    legalised: bool = False
    private_paper: bool = False
    confirmed_by_agency: bool = False
    security_elements: list[Annotated[str, Field(max_length=100)]] = Field(
        default_factory=list, max_length=20
    )

    def description(self) -> OriginalDescription:
        fields = self.model_dump() | {"security_elements": tuple(self.security_elements)}
        return OriginalDescription(**fields)


class PresentationShape(Shape):
    """The original was shown in person."""

    at: datetime = Field(description="With a zone", examples=["2026-11-23T08:30:00+07:00"])
    place: str = Field(max_length=200, examples=["Bộ phận Một cửa phường Hạc Thành"])
    to: str = Field(max_length=200, description="The official who saw it")

    def presentation(self) -> Presentation:
        if self.at.tzinfo is None:
            raise ApiError("time-unreadable", value=self.at.isoformat())
        return Presentation(self.at, self.place, self.to)


class CaseOrder(Shape):
    """A new case."""

    unit: str = Field(max_length=16, examples=["14797"])
    requester: RequesterShape
    document_kind: str = Field(max_length=64, examples=["transcript"])
    original: OriginalShape
    copies: int = Field(1, ge=1, le=100)
    presented: PresentationShape | None = None
    dossier_code: str | None = Field(None, max_length=64, examples=["H56.17.22-261123-0001"])


class CaseShape(BaseModel):
    """A case as its unit sees it; the requester's number is not repeated."""

    id: str
    unit: str
    state: str = Field(examples=["open"])
    requester_name: str
    document_kind: str
    original: str
    pages: int
    copies: int
    presented: bool
    dossier_code: str | None
    received_at: datetime
    due_at: datetime
    appointment_slip: bool
    closing_reason: str | None

    @classmethod
    def of(cls, case: Case) -> CaseShape:
        return cls(
            id=case.id,
            unit=case.unit,
            state=case.state.value,
            requester_name=case.requester.name,
            document_kind=case.document_kind,
            original=case.original.sentence(),
            pages=case.original.pages,
            copies=case.copies,
            presented=case.presented,
            dossier_code=case.dossier_code,
            received_at=case.received_at,
            due_at=case.due_at,
            appointment_slip=case.slip,
            closing_reason=case.closing_reason,
        )


class CaseList(BaseModel):
    """Those due first at the top."""

    cases: list[CaseShape]


class CaptureShape(BaseModel):
    """What was captured; warnings are for the official to judge."""

    id: str
    pages: int
    digests: list[str]
    warnings: list[dict[str, int | str]]

    @classmethod
    def of(cls, capture: Capture) -> CaptureShape:
        return cls(
            id=capture.id,
            pages=capture.pages,
            digests=list(capture.digests),
            warnings=[{"page": page, "warning": text} for page, text in capture.warnings],
        )


class FindingShape(Shape):
    """One page, side by side with the original."""

    matches: bool
    note: str = Field("", max_length=500)


class ChecklistShape(Shape):
    """The six grounds of refusal; true means that the ground is met."""

    altered: bool = False
    damaged: bool = False
    secret: bool = False
    unlawful: bool = False
    not_legalised: bool = False
    private_unconfirmed: bool = False


class ComparisonOrder(Shape):
    """The comparing official's finding."""

    pages: list[FindingShape] = Field(min_length=1, max_length=2000)
    checklist: ChecklistShape = Field(default_factory=ChecklistShape)
    security_elements: list[Annotated[str, Field(max_length=100)]] | None = Field(
        None, max_length=20
    )
    official: str = Field(max_length=100, description="Who compared", examples=["Phạm Minh Ví Dụ"])


class ComparisonShape(BaseModel):
    """Only a passed comparison opens the way to a number."""

    id: str
    passed: bool
    grounds: list[str]
    reasons: dict[str, list[str]]
    mismatched_pages: list[int]

    @classmethod
    def of(cls, found: Comparison) -> ComparisonShape:
        return cls(
            id=found.id,
            passed=found.passed,
            grounds=[one.value for one in found.grounds],
            reasons={one: found.reasons(one) for one in ("vi", "en")},
            mismatched_pages=list(found.mismatched_pages),
        )


class PaymentOrder(Shape):
    """The fee: taken, or waived for a reason."""

    method: str = Field("cash", max_length=20, examples=["cash"])
    amount: int | None = Field(None, ge=0, description="In đồng; checked against the tariff")
    reference: str | None = Field(None, max_length=64)
    waiver_reason: str | None = Field(None, max_length=300)


class ReceiptShape(BaseModel):
    """What the requester takes home."""

    id: str
    kind: str = Field(description="payment or waiver", examples=["payment"])
    amount: int = Field(description="In đồng", examples=[4000])
    at: datetime

    @classmethod
    def of(cls, receipt: Receipt) -> ReceiptShape:
        return cls(id=receipt.id, kind=receipt.kind, amount=receipt.amount, at=receipt.at)


class Hand(Shape):
    """A credential and its PIN."""

    credential_id: str = Field(max_length=64)
    pin: SecretStr = Field(max_length=64)

    def pair(self) -> tuple[str, str]:
        return self.credential_id, self.pin.get_secret_value()


class CertificationOrder(Shape):
    """Who signs and who seals, in this order."""

    person: Hand
    seal: Hand


class CopyShape(BaseModel):
    """The certified copy; fetch it at `content_url`."""

    copy_id: str
    number: str = Field(examples=["01"])
    register_symbol: str = Field(examples=["SCTĐT/BS"])
    book: str = Field(examples=["01/2026-SCTĐT/BS"])
    code: str = Field(examples=["K7QF-2M9X-H4TB-0DVW-C6RE"])
    verification_url: str
    digest: str
    pages: int
    content_url: str

    @classmethod
    def of(cls, made: CertifiedCopy, case_id: str) -> CopyShape:
        return cls(
            copy_id=made.copy_id,
            number=made.number,
            register_symbol=made.register,
            book=made.book,
            code=made.code,
            verification_url=made.address,
            digest=made.digest,
            pages=made.pages,
            content_url=f"/api/v1/certified-copies/cases/{case_id}/copy",
        )
