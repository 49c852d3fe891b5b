"""What signing refuses or fails at; the words people read are in records/messages/signer.*.json."""

from __future__ import annotations

from records.errors import DomainError


class SignerError(DomainError):
    """Base of every refusal and failure of the signing room."""


class DocumentRefused(SignerError):
    """This file cannot be signed as it is; nothing was touched. The code says why."""


class ImageRefused(SignerError):
    """This picture cannot serve as a handwritten signature or a seal."""


class ActivationRefused(SignerError):
    """The holder's authorisation is missing, spent, expired or not for this document."""


class CredentialUnusable(SignerError):
    """The credential exists and must not sign now: locked, suspended, revoked, expired."""


class OrderRefused(SignerError):
    """The agency seal before a valid signature of the authorised person (decree 30/2020)."""


class ListRefused(SignerError):
    """This file is no list to enrol from; nothing of it was taken in."""


class BatchRefused(SignerError):
    """This cannot be done to the batch as it stands, or to a document of it."""


class StepRefused(SignerError):
    """This person cannot do this to the document at this step; nothing of it was signed."""


class SignerRefused(SignerError):
    """A certificate from elsewhere is not one that may sign here; the code says why."""


class PreparationRefused(SignerError):
    """What was prepared cannot be completed: over, used, or with something that does not fit."""
