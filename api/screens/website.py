"""The public pages: start page, verification by file, and the page that a QR code leads to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
from api.errors import ApiError
from api.local_time import shown
from api.pages import language_for, render
from api.pages.revisions import revision_views
from api.pages.views import COPY_TONES, CopyView, report_view
from api.transit import safe_name
from api.verdicts import judge
from ca.names import Subject
from certify import codes
from certify.errors import CertifyError
from certify.verification import PublicStatus, verify_code
from signer.files.file_kinds import Kind, kind_of
from signer.files.xml_names import DS
from signer.verdicts.originals import MOST_ORIGINALS, Original

router = APIRouter(include_in_schema=False)
_HEAD = ["GET", "HEAD"]


@router.api_route("/", methods=_HEAD)
def home(request: Request, wired: Wired) -> Response:
    """What this is, and the two ways to verify."""
    issuers = [
        {"name": one.name, "title": Subject.from_x509(one.certificate.subject).common_name}
        for one in wired.house.authority.issuers()
    ]
    return render(request, "home.html", issuers=issuers)


@router.api_route("/verify", methods=_HEAD)
def verify_form(request: Request, wired: Wired) -> Response:
    """Where a file is chosen."""
    return render(request, "verify.html", result=None, megabytes=_megabytes(wired))


@router.post("/verify")
def verify(
    request: Request,
    wired: Wired,
    now: Now,
    file: Annotated[UploadFile, File()],
    document: Annotated[list[UploadFile] | None, File()] = None,
    pages: Annotated[bool, Form()] = False,
) -> Response:
    """The report as a page, or as the part of one that htmx asks for.

    `document` is what a detached signature is about; the files may come in any order.
    """
    wired.rates.take("upload", _address(request))
    language = language_for(request)
    if len(document or []) > MOST_ORIGINALS:
        raise ApiError("validation-files-too-many", limit=MOST_ORIGINALS)
    signed, *about = _signature_first(_chosen([file, *(document or [])]))
    data, name = signed.data, signed.name
    judged = judge(
        wired.house,
        data,
        name=name,
        now=now,
        by="public:website",
        content=[Original(one.name, one.data) for one in about],
    )
    status = judged.status
    copy = _copy_view(status, language, now) if status is not None else None
    result = report_view(
        judged.report,
        file=name,
        document=", ".join(one.name for one in about),
        language=language,
        copy=copy,
    )
    shown: dict[str, Any] = {
        "result": result,
        "revisions": revision_views(data, judged.report) if pages else (),
    }
    if request.headers.get("hx-request") == "true":
        return render(request, "report.html", headers={"Vary": "HX-Request"}, **shown)
    return render(request, "verify.html", megabytes=_megabytes(wired), **shown)


@dataclass(frozen=True)
class _Chosen:
    """A file as it was sent."""

    name: str
    data: bytes = field(repr=False)


def _chosen(files: list[UploadFile]) -> list[_Chosen]:
    """Without a field that was left empty: browsers send it without a name."""
    return [_Chosen(safe_name(one.filename), one.file.read()) for one in files if one.filename]


def _signature_first(files: list[_Chosen]) -> list[_Chosen]:
    """Nobody need know which of the files is the signature: its octets say so."""
    if not files:
        return [_Chosen(safe_name(None), b"")]
    first = kind_of(files[0].data)
    signatures = [one for one in files if kind_of(one.data) is Kind.CMS]
    if not signatures and first is not Kind.CONTAINER:
        signatures = [one for one in files if _is_xml_signature(one.data)]
    if len(signatures) != 1 or first is Kind.CMS:
        return files
    return [*signatures, *(one for one in files if one is not signatures[0])]


def _is_xml_signature(data: bytes) -> bool:
    """Or at least an XML that speaks of one; which document it signs is not asked here."""
    return kind_of(data) is Kind.XML and DS.encode() in data


@router.api_route("/v", methods=_HEAD)
def find_code(
    request: Request,
    code: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """The form of the start page: to the address of the code, as it is printed."""
    try:
        tidy = codes.read(code)
    except CertifyError:
        tidy = code.strip() or "-"
    address = f"/v/{quote(tidy, safe='')}?lang={language_for(request)}"
    return RedirectResponse(address, status_code=303)


@router.api_route("/v/{code}", methods=_HEAD)
def by_code(code: str, request: Request, wired: Wired, now: Now) -> Response:
    """Verdict and status in both languages; nothing personal."""
    wired.rates.take("code", _address(request))
    language = language_for(request)
    try:
        status = verify_code(wired.house.office, code[:80], now=now)
    except CertifyError:
        facts = (("code", code[:40]), ("checked", shown(now)))
        unknown = CopyView("unknown", COPY_TONES["unknown"], code[:40], facts)
        return render(request, "copy.html", status=404, copy=unknown)
    return render(request, "copy.html", copy=_copy_view(status, language, now))


def _copy_view(status: PublicStatus, language: str, now: datetime) -> CopyView:
    state = status.status.value
    facts = [
        ("unit", status.unit_name),
        ("kind", status.kind_name(language)),
        ("date", f"{status.issued_on:%d/%m/%Y}"),
    ]
    if status.cancelled_on is not None:
        facts.append(("cancelled_on", f"{status.cancelled_on:%d/%m/%Y}"))
    facts += [("code", status.code), ("checked", shown(now))]
    return CopyView(state, COPY_TONES[state], status.code, tuple(facts))


def _address(request: Request) -> str:
    return request.client.host if request.client else "unknown"


def _megabytes(wired: Wired) -> int:
    return wired.house.settings.max_upload_bytes // (1024 * 1024)
