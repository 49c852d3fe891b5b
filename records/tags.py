"""The closed vocabulary of what can happen: every audit entry carries one of these.

A tag reads `noun.past-participle`, or `noun.refused` for what was asked and not done. A tag
is never renamed or removed once it has been written to a log: old entries keep their words.
Each room has its own block; add yours there.
"""

from __future__ import annotations

from enum import StrEnum


class Tag(StrEnum):
    """What an audit entry says has happened."""

    # records
    AUDIT_CHECKPOINT_SIGNED = "audit-checkpoint.signed"

    # hsm

    # ca
    CERTIFICATE_INTENDED = "certificate.intended"
    CERTIFICATE_ISSUED = "certificate.issued"
    CERTIFICATE_REFUSED = "certificate.refused"
    CERTIFICATE_VOIDED = "certificate.voided"
    CERTIFICATE_REQUESTED = "certificate-request.made"
    CERTIFICATE_APPROVED = "certificate-request.approved"
    CERTIFICATE_REJECTED = "certificate-request.rejected"
    CERTIFICATE_REVOKED = "certificate.revoked"
    CERTIFICATE_SUSPENDED = "certificate.suspended"
    CERTIFICATE_RESUMED = "certificate.resumed"
    CRL_PUBLISHED = "crl.published"
    TIME_STAMPS_ISSUED = "time-stamps.issued"
    CLOCK_LOST = "clock.lost"
    CLOCK_REGAINED = "clock.regained"
    CEREMONY_STARTED = "ceremony.started"
    CEREMONY_COMPLETED = "ceremony.completed"

    # signer
    CREDENTIAL_ENROLLED = "credential.enrolled"
    CREDENTIAL_LOCKED = "credential.locked"
    CREDENTIAL_STATE_CHANGED = "credential.state-changed"
    CREDENTIAL_ACTIVATED = "credential.activated"
    CREDENTIAL_IMAGE_SET = "credential.image-set"
    MANDATE_GIVEN = "mandate.given"
    MANDATE_ENDED = "mandate.ended"
    AUTHORIZATION_GIVEN = "authorization.given"
    AUTHORIZATION_REFUSED = "authorization.refused"
    AUTHORIZATION_ENDED = "authorization.ended"
    AUTHORIZATION_EXTENDED = "authorization.extended"
    SIGNATURE_INTENDED = "signature.intended"
    SIGNATURE_MADE = "signature.made"
    SIGNATURE_REFUSED = "signature.refused"
    SIGNATURE_VOIDED = "signature.voided"
    SIGNATURE_AUGMENTED = "signature.augmented"

    # certify
    CASE_OPENED = "case.opened"
    CASE_ASSIGNED = "case.assigned"
    ORIGINAL_PRESENTED = "original.presented"
    CASE_REFUSED = "case.refused"
    CASE_FROZEN = "case.frozen"
    CASE_WITHDRAWN = "case.withdrawn"
    CAPTURE_RECORDED = "capture.recorded"
    COMPARISON_RECORDED = "comparison.recorded"
    CERTIFIER_DELEGATED = "certifier.delegated"
    CERTIFIER_WITHDRAWN = "certifier.withdrawn"
    PAYMENT_RECORDED = "payment.recorded"
    FEE_WAIVED = "fee.waived"
    FEE_REFUNDED = "fee.refunded"
    COPY_INTENDED = "copy.intended"
    COPY_CERTIFIED = "copy.certified"
    COPY_REFUSED = "copy.refused"
    COPY_CANCELLED = "copy.cancelled"
    COPY_REPLACED = "copy.replaced"
    NUMBER_VOIDED = "number.voided"
    VOLUME_OPENED = "volume.opened"
    REGISTER_LOCKED = "register.locked"
    ITEM_STORED = "item.stored"
    ITEM_PURGED = "item.purged"
    ITEM_VIEWED = "item.viewed"
    GRANT_GIVEN = "grant.given"
    GRANT_REVOKED = "grant.revoked"
    IMAGES_PURGED = "images.purged"

    # api
    CLIENT_CREATED = "client.created"
    CLIENT_DISABLED = "client.disabled"
    ACCESS_GRANTED = "access.granted"
    ACCESS_REFUSED = "access.refused"
    REQUEST_REFUSED = "request.refused"
    DOCUMENT_RECEIVED = "document.received"
    DOCUMENT_DELIVERED = "document.delivered"
    ACCESS_REVOKED = "access.revoked"
    CONSENT_GIVEN = "consent.given"
    CONSENT_REFUSED = "consent.refused"
    ONE_TIME_CODE_SENT = "one-time-code.sent"
    ONE_TIME_CODE_REFUSED = "one-time-code.refused"
    REGISTER_EXPORTED = "register.exported"
    VALIDATION_MADE = "validation.made"
