"""The public pages: start page, verification by file, and the page that a QR code leads to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Now, Wired
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
    document: Annotated[UploadFile | None, File()] = None,
    pages: Annotated[bool, Form()] = False,
) -> Response:
    """The report as a page, or as the part of one that htmx asks for.

    `document` is what a detached signature is about; the two may come in either order.
    """
    wired.rates.take("upload", _address(request))
    language = language_for(request)
    signed, about = _signature_first(_chosen(file), _chosen(document) if document else None)
    data, name = signed.data, signed.name
    judged = judge(
        wired.house,
        data,
        name=name,
        now=now,
        by="public:website",
        content=about.data if about else None,
    )
    status = judged.status
    copy = _copy_view(status, language, now) if status is not None else None
    result = report_view(
        judged.report,
        file=name,
        document=about.name if about else "",
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


def _chosen(file: UploadFile) -> _Chosen | None:
    """None for a field that was left empty: browsers send it without a name."""
    return _Chosen(safe_name(file.filename), file.file.read()) if file.filename else None


def _signature_first(
    file: _Chosen | None, second: _Chosen | None
) -> tuple[_Chosen, _Chosen | None]:
    """Nobody need know which of the two files is the signature: its octets say so."""
    if file is None or second is None:
        return file or second or _Chosen(safe_name(None), b""), None
    kinds = (kind_of(file.data), kind_of(second.data))
    turned = kinds[0] is Kind.PDF and kinds[1] is Kind.XML
    if turned or (kinds[0] is not Kind.CMS and kinds[1] is Kind.CMS):
        return second, file
    return file, second


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
