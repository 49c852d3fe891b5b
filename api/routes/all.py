"""Every router of the application, in the order of the documentation."""

from __future__ import annotations

from api.csc.routes import ROUTERS as REMOTE_SIGNING
from api.routes import (
    batches,
    certificates,
    certified_copies,
    credentials,
    desk,
    documents,
    enrolments,
    est,
    formats,
    life_cycle,
    oauth2,
    operation,
    pki,
    registers,
    sign_in,
    signatures,
    validations,
    website,
)

ROUTERS = (
    oauth2.router,
    credentials.router,
    life_cycle.router,
    enrolments.router,
    documents.router,
    signatures.router,
    formats.router,
    batches.router,
    certified_copies.router,
    registers.router,
    validations.router,
    pki.router,
    est.router,
    certificates.router,
    operation.router,
    *REMOTE_SIGNING,
    sign_in.public,
    sign_in.own,
    desk.router,
    website.router,
)
