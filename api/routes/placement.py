"""Where and how a signature is shown, as a request says it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Form
from pydantic import Field, model_validator

from api.errors import ApiError
from api.routes.shapes import Shape
from signer.cms import Scheme
from signer.levels import Level
from signer.looks.appearance import Appearance
from signer.signature import SignatureRequest


class Placement(Shape):
    """A box on a page, or an anchor: text of the document under which the signature belongs."""

    template: Literal["person", "seal", "annex", "copy-note", "number"] = Field(
        "person", description="The case of decree 30/2020 annex I", examples=["person"]
    )
    page: int = Field(-1, description="1 is the first page, -1 the last", ge=-1, le=100_000)
    box: tuple[float, float, float, float] | None = Field(
        None, description="x1, y1, x2, y2 in points from the bottom left", examples=[None]
    )
    anchor: str | None = Field(
        None,
        description="Text of the document: the full name (the picture goes above it) or a title in "
        "capitals (below it); for a seal the name of the field that it lies over",
        max_length=200,
        examples=["PHÓ CHỦ TỊCH"],
    )
    lines: list[Annotated[str, Field(max_length=200)]] = Field(
        default_factory=list,
        description="The titles above a person's picture (KT. CHỦ TỊCH, PHÓ CHỦ TỊCH); an annex's "
        "number and symbol; a copy's form and agency; number, symbol and date (ISO)",
        max_length=10,
        examples=[["KT. CHỦ TỊCH", "PHÓ CHỦ TỊCH"]],
    )
    name: str | None = Field(
        None,
        description="The full name below the picture, where the text does not have it",
        max_length=200,
        examples=["Lê Văn Thử"],
    )
    show_time: bool | None = Field(
        None, description="Absent: with a person only where there is no picture; with notes always"
    )

    @model_validator(mode="after")
    def one_place(self) -> Placement:
        if self.box is not None and self.anchor is not None:
            raise ValueError("give a box or an anchor, not both")
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("a box is x1, y1, x2, y2 with x1 < x2 and y1 < y2")
        return self

    def appearance(self) -> Appearance:
        return Appearance(
            template=self.template,
            page=self.page,
            box=self.box,
            anchor=self.anchor,
            lines=tuple(self.lines),
            name=self.name,
            show_time=self.show_time,
        )


FieldNames = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=200)]


class How(Shape):
    """How one document is to be signed."""

    level: str = Field("B-LTA", description="B-B, B-T, B-LT or B-LTA", examples=["B-LTA"])
    reason: str | None = Field(None, max_length=200, examples=["Phê duyệt"])
    location: str | None = Field(None, max_length=200, examples=["Thanh Hóa"])
    field_name: str | None = Field(None, max_length=60)
    appearance: Placement | None = Field(None, description="Absent: the signature is not shown")
    certify: Literal[1, 2, 3] | None = Field(
        None,
        description="Certification (DocMDP), only as the first signature. 1: nothing may change "
        "after it; 2: form filling and signatures may; 3: annotations too",
    )
    lock_fields: FieldNames | None = Field(
        None, description="Form fields locked with this signature (FieldMDP); [] locks all"
    )
    lock_fields_except: FieldNames | None = Field(
        None, description="Every form field but these is locked"
    )

    scheme: Literal["rsa-pss"] | None = Field(
        None, description="RSA-PSS instead of PKCS#1 v1.5; only for RSA keys"
    )

    @model_validator(mode="after")
    def one_lock(self) -> How:
        if self.lock_fields is not None and self.lock_fields_except is not None:
            raise ValueError("give lock_fields or lock_fields_except, not both")
        return self

    def request(self) -> SignatureRequest:
        return SignatureRequest(
            level=level_named(self.level),
            appearance=self.appearance.appearance() if self.appearance else None,
            reason=self.reason,
            location=self.location,
            field_name=self.field_name,
            certify=self.certify,
            lock_fields=_tuple(self.lock_fields),
            lock_fields_except=_tuple(self.lock_fields_except),
            scheme=Scheme(self.scheme) if self.scheme else None,
        )


def _tuple(names: list[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def level_named(text: str) -> Level:
    """The level, or `level-unknown` with the ones there are."""
    try:
        return Level.parse(text)
    except ValueError:
        raise ApiError("level-unknown", level=text[:20], known="B-B, B-T, B-LT, B-LTA") from None


HowForm = Annotated[
    str,
    Form(
        description="JSON: level, reason, location, field_name, appearance, certify, lock_fields, "
        "lock_fields_except, scheme",
        examples=['{"level": "B-LTA", "appearance": {"anchor": "PHÓ CHỦ TỊCH"}}'],
        max_length=8192,
    ),
]
