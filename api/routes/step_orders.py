"""What a program asks of a document on its route, over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from api.routes.shapes import Shape
from signer.routing.step_routes import LONGEST_DAYS, MOST_STEPS, Look, PlannedStep, StepKind

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTABLE)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=_PRINTABLE)]
UnitCode = Annotated[
    str, StringConstraints(min_length=1, max_length=35, pattern=r"^[A-Za-z0-9.-]+$")
]
HolderId = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Z]+:[A-Za-z0-9.-]+$")
]
DocumentKind = Annotated[
    str, StringConstraints(min_length=1, max_length=12, pattern=r"^[^\x00-\x20\x7f/]+$")
]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Coordinate = Annotated[float, Field(ge=-20_000, le=20_000, allow_inf_nan=False)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=_PRINTABLE)]


class StepOrder(Shape):
    """One step of a route."""

    kind: Literal["initial", "signature", "number", "seal"]
    unit: UnitCode = Field(examples=["14797"])
    official: HolderId | None = Field(
        None, description="Absent: the unit's signers or clerks", examples=["CCCD:038800000001"]
    )
    days: int = Field(1, ge=0, le=LONGEST_DAYS, description="Working days; 0: the same day")
    page: int = Field(-1, ge=-1, le=100_000, description="For a box: 1 is the first, -1 the last")
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = Field(
        None,
        description="Where lines, picture and name are drawn, in points from the lower left; "
        "absent: the picture at the signer's name in the text",
        examples=[None],
    )
    anchor: Line | None = Field(None, description="Text instead of the signer's name")

    @model_validator(mode="after")
    def one_place(self) -> Self:
        if self.box is not None and self.anchor is not None:
            raise ValueError("give a box or an anchor, not both")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("a box is x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        if self.page == 0:
            raise ValueError("pages count from 1; -1 is the last")
        return self

    def planned(self) -> PlannedStep:
        return PlannedStep(
            kind=StepKind(self.kind),
            unit=self.unit,
            holder_id=self.official,
            days=self.days,
            look=Look(self.page, self.box, self.anchor),
        )


Steps = Annotated[list[StepOrder], Field(min_length=1, max_length=MOST_STEPS)]


class RouteOrder(Shape):
    """A template for a unit's documents."""

    unit: UnitCode = Field(examples=["14797"])
    name: Line = Field(examples=["Quyết định của Chủ tịch"])
    steps: Steps


class SubmissionOrder(Shape):
    """What a document is and which way it goes: a route, or steps of its own."""

    unit: UnitCode = Field(examples=["14797"])
    title: Title = Field(examples=["Về việc thành lập Tổ công nghệ số cộng đồng"])
    kind: DocumentKind = Field(description="Series of its number", examples=["QĐ"])
    symbol: Line = Field(description="What follows the number's stroke", examples=["QĐ-UBND"])
    drafter: HolderId = Field(examples=["CCCD:038900000009"])
    route_id: Annotated[str, StringConstraints(max_length=64, pattern=r"^[0-9a-f]+$")] | None = None
    steps: Steps | None = None

    @model_validator(mode="after")
    def one_way(self) -> Self:
        if (self.route_id is None) == (self.steps is None):
            raise ValueError("give route_id or steps")
        return self


class InitialOrder(Shape):
    """An official agrees that the file with this digest goes on (ký nháy)."""

    official: HolderId | None = Field(
        None, description="Who agrees; needed where the step names a person"
    )
    digest: Digest = Field(description="Of the file that was shown")


class ActOrder(Shape):
    """A signature of a step: the digest that was shown, and who opens the key for it."""

    official: HolderId | None = Field(
        None, description="Who acts; absent: the credential's holder, or the clerk of the unit"
    )
    digest: Digest = Field(description="Of the file that was shown")
    credential_id: str = Field(max_length=64, pattern=r"^[0-9a-f]*$", examples=["4b1c7a…"])
    pin: SecretStr | None = Field(None, description="Never logged, never kept")
    mandate_id: str | None = Field(
        None, max_length=64, description="For a seal under the clerk's mandate, instead of a PIN"
    )

    @model_validator(mode="after")
    def one_key(self) -> Self:
        if (self.pin is None) == (self.mandate_id is None):
            raise ValueError("give pin or mandate_id")
        return self


class RefusalOrder(Shape):
    """Why whose turn it is will not do their step."""

    official: HolderId | None = None
    reason: Reason = Field(examples=["Sai căn cứ pháp lý"])


class RecallOrder(Shape):
    """Why the sender takes the document back."""

    reason: Reason = Field(examples=["Gửi nhầm tệp"])


class AssignmentOrder(Shape):
    """Who does a step from now on; null: the unit's signers or clerks."""

    official: HolderId | None


class DelegationOrder(Shape):
    """A standing permission to sign for a unit."""

    unit: UnitCode = Field(examples=["14797"])
    official: HolderId = Field(examples=["CCCD:038800000001"])
    name: Line = Field(examples=["Lê Văn Thử"])
    authority_lines: list[Line] = Field(
        min_length=1, max_length=4, examples=[["KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"]]
    )
    kinds: list[DocumentKind] = Field(
        default_factory=list, max_length=50, description="Empty: every kind of document"
    )
    basis: Line = Field(examples=["Quyết định số 01/QĐ-UBND ngày 02/01/2026"])
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    @model_validator(mode="after")
    def aware(self) -> Self:
        for one in (self.valid_from, self.valid_to):
            if one is not None and (one.tzinfo is None or not 2000 <= one.year <= 2200):
                raise ValueError("times need a zone, such as +07:00")
        return self
