"""Stacks on the screen: upload the list and the scans, look, approve once, watch, take the result.

The approval is for what the page showed: its fingerprint of the prepared files' digests comes back
with the PIN or the passkey's answer. docs/flows/stack.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Path, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.auth import approval
from api.auth.approval import ApprovalForm
from api.auth.guard import Now, Wired
from api.auth.people import Person, Role, SignedIn, csrf_checked, needs, record_refusal
from api.errors import ApiError
from api.pages import language_for, render
from api.routes.stacks import add_files, results_file
from api.routes.visits import pdf_answer
from api.screens.batch_pages import fingerprint
from api.screens.certify_pages import NO_PIN, SealPin, standing_mandate, unit_seal
from api.services import Services
from certify import competence
from certify.errors import CertifyError, NotFound
from certify.stacks import stack_approval, stack_ending, stack_jobs, stack_list
from certify.stacks.stack_jobs import Stack, StackState
from certify.units import unit as find_unit
from records.errors import DomainError
from signer.keys import credentials
from signer.keys.activation import Authorization
from signer.keys.credentials import Credential

router = APIRouter(include_in_schema=False, dependencies=[Depends(csrf_checked)])
StackId = Annotated[str, Path(max_length=32)]
Chosen = Annotated[str, Form(max_length=64)]
_LARGEST_LIST = 16 * 1024 * 1024


@router.get("/desk/stacks")
def stacks(request: Request, wired: Wired, now: Now, person: SignedIn) -> Response:
    """The unit's stacks, and a form for the next."""
    return _listed(request, wired, person, _unit(person), now=now)


@router.post("/desk/stacks")
def open_stack(
    request: Request,
    wired: Wired,
    now: Now,
    person: SignedIn,
    place: Annotated[str, Form(max_length=200)],
    comparison_list: Annotated[UploadFile, File()],
    scans: Annotated[list[UploadFile], File()],
    waiver: Annotated[str, Form(max_length=300)] = "",
    signer: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """List and scans in one go; what is missing may follow through the API."""
    unit = _unit(person)
    needs(person, Role.COMPARER, Role.SIGNER)
    office = wired.house.office
    try:
        chosen = _chosen_signer(_signers(wired, unit, person, now=now), signer)
        seal = unit_seal(wired, person)
        made = stack_jobs.open_stack(
            office,
            unit=unit,
            data=comparison_list.file.read(_LARGEST_LIST),
            place=place,
            waiver=waiver.strip() or None,
            now=now,
            by=person.by,
        )
        add_files(wired, made.id, scans, now)
        stack_jobs.start(
            office, made.id, person_id=chosen.id, seal_id=seal.id, now=now, by=person.by
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _listed(request, wired, person, unit, now=now, refusal=error, status=status)
    return RedirectResponse(f"/desk/stacks/{made.id}", status_code=303)


@router.get("/desk/stacks/list.csv")
def pattern(person: SignedIn) -> Response:
    """The list to begin with: its columns, and one made-up line."""
    _unit(person)
    headers = {"Content-Disposition": 'attachment; filename="danh-sach-doi-chieu.csv"'}
    return Response(stack_list.example(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/desk/stacks/{stack_id}")
def stack(
    request: Request, stack_id: StackId, wired: Wired, now: Now, person: SignedIn
) -> Response:
    """How far it is; the page looks again by itself while there is work."""
    return _one(request, wired, person, _mine(wired, person, stack_id), now=now)


@router.get("/desk/stacks/{stack_id}/lines/{line}.pdf")
def prepared(
    stack_id: StackId,
    line: Annotated[int, Path(ge=1, le=100_000)],
    wired: Wired,
    person: SignedIn,
) -> Response:
    """One copy as it will be signed."""
    _mine(wired, person, stack_id)
    data = stack_approval.prepared_file(wired.house.office, stack_id, line - 1)
    return pdf_answer(data, f"du-thao-{line}.pdf")


@router.post("/desk/stacks/{stack_id}/question")
def question(
    stack_id: StackId, wired: Wired, now: Now, person: SignedIn, chosen: Chosen = ""
) -> dict[str, Any]:
    """What the passkey is asked: the digests of the copies that the page lists."""
    office, found = wired.house.office, _theirs_to_approve(wired, person, stack_id)
    digests = stack_approval.chosen_digests(office, stack_id)
    _require_shown(digests, chosen)
    return approval.ask(wired, str(found.person_id), digests, client=office.client, now=now)


@router.post("/desk/stacks/{stack_id}/authorization")
def authorize(
    request: Request,
    stack_id: StackId,
    wired: Wired,
    now: Now,
    person: SignedIn,
    given: ApprovalForm,
    chosen: Chosen = "",
    seal_pin: SealPin = NO_PIN,
) -> Response:
    """PIN or passkey once, for every document of the stack; the seal under mandate or its PIN."""
    office, found = wired.house.office, _mine(wired, person, stack_id)
    try:
        _theirs_to_approve(wired, person, stack_id)
        opens = approval.authorizer(
            wired,
            given,
            credential_id=str(found.person_id),
            client=office.client,
            now=now,
            by=person.by,
            minutes=stack_approval.AUTHORIZED_MINUTES,
        )

        def approved(digests: Sequence[bytes]) -> Authorization:
            _require_shown(digests, chosen)
            return opens(digests)

        stack_approval.authorize(
            office,
            stack_id,
            person=approved,
            seal=seal_pin.get_secret_value() or None,
            now=now,
            by=person.by,
        )
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _one(request, wired, person, found, now=now, refusal=error, status=status)
    return RedirectResponse(f"/desk/stacks/{stack_id}", status_code=303)


@router.post("/desk/stacks/{stack_id}/drop")
def drop(
    request: Request,
    stack_id: StackId,
    wired: Wired,
    now: Now,
    person: SignedIn,
    reason: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """A stack that shall not be signed after all: numbers voided, cases withdrawn."""
    found = _mine(wired, person, stack_id)
    needs(person, Role.COMPARER, Role.SIGNER)
    try:
        stack_ending.drop(wired.house.office, stack_id, reason=reason, now=now, by=person.by)
    except DomainError as error:
        status = record_refusal(request, wired, person, error, now=now)
        return _one(request, wired, person, found, now=now, refusal=error, status=status)
    return RedirectResponse(f"/desk/stacks/{stack_id}", status_code=303)


@router.get("/desk/stacks/{stack_id}/results")
def results(stack_id: StackId, wired: Wired, person: SignedIn) -> Response:
    """The result as CSV."""
    _mine(wired, person, stack_id)
    return results_file(wired, stack_id)


def _unit(person: Person) -> str:
    needs(person, Role.COMPARER, Role.SIGNER, Role.CLERK)
    if person.unit is None:
        raise ApiError("role-missing", roles="unit")
    return person.unit


def _mine(wired: Services, person: Person, stack_id: str) -> Stack:
    found = stack_jobs.look(wired.house.office, stack_id)
    if found.unit != _unit(person):
        raise NotFound("stack-unknown")
    return found


def _theirs_to_approve(wired: Services, person: Person, stack_id: str) -> Stack:
    """A stack that is this official's to sign: another's PIN is not asked of them."""
    needs(person, Role.SIGNER)
    found = _mine(wired, person, stack_id)
    if not _is_signer(wired, person, found):
        raise ApiError("stack-of-another-signer")
    return found


def _is_signer(wired: Services, person: Person, found: Stack) -> bool:
    if Role.SIGNER not in person.roles or found.person_id is None:
        return False
    return credentials.find(wired.house.desk, found.person_id).holder_id == person.holder_id


def _require_shown(digests: Sequence[bytes], chosen: str) -> None:
    if fingerprint(digests) != chosen:
        raise CertifyError("shown-not-current")


def _signers(wired: Services, unit: str, person: Person, *, now: datetime) -> list[Credential]:
    """Keys of those who may certify for the unit today, one's own first."""
    people = competence.certifiers(wired.house.office, unit=unit, now=now)
    keys = [
        one
        for delegated in people
        for one in credentials.by_holder(wired.house.desk, delegated.holder_id)
        if one.kind == "official" and one.state == "active"
    ]
    return sorted(keys, key=lambda one: one.holder_id != person.holder_id)


def _chosen_signer(offered: list[Credential], wanted: str) -> Credential:
    for one in offered:
        if wanted in ("", one.id):
            return one
    raise ApiError("stack-hands-missing")


def _listed(
    request: Request,
    wired: Services,
    person: Person,
    unit: str,
    *,
    now: datetime,
    refusal: DomainError | None = None,
    status: int = 200,
) -> Response:
    may_open = bool(person.roles & {Role.COMPARER, Role.SIGNER})
    return render(
        request,
        "stacks.html",
        status=status,
        stacks=stack_jobs.stacks(wired.house.office, unit=unit),
        may_open=may_open,
        unit_name=find_unit(unit).committee,
        signers=_signers(wired, unit, person, now=now) if may_open else [],
        refusal=refusal.message(language_for(request)) if refusal else None,
    )


def _one(
    request: Request,
    wired: Services,
    person: Person,
    found: Stack,
    *,
    now: datetime,
    refusal: DomainError | None = None,
    status: int = 200,
) -> Response:
    office, desk, language = wired.house.office, wired.house.desk, language_for(request)
    busy = found.state in (StackState.PREPARING, StackState.RUNNING)
    ready = found.state is StackState.READY
    key = credentials.find(desk, found.person_id) if found.person_id else None
    seal = credentials.find(desk, found.seal_id) if found.seal_id else None
    mandate = standing_mandate(wired, seal, now=now) if ready and seal is not None else None
    approves = ready and _is_signer(wired, person, found)
    return render(
        request,
        "stack.html",
        status=status,
        headers={"Refresh": "5"} if busy else {},
        stack=found,
        done=found.total - found.counts["listed"] - found.counts["prepared"],
        outcomes=[(one, one.reason(language)) for one in stack_jobs.outcomes(office, found.id)],
        key=key,
        seal=seal,
        mandate=mandate,
        approves=approves,
        chosen=fingerprint(stack_approval.chosen_digests(office, found.id)) if ready else "",
        passkey_offered=approves and key is not None and approval.offered(wired, key.id),
        may_drop=found.state in stack_ending.DROPPABLE
        and bool(person.roles & {Role.COMPARER, Role.SIGNER}),
        refusal=refusal.message(language) if refusal else None,
    )
