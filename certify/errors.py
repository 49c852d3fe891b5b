"""What can go wrong with certified copies, in words that say what to do."""

from __future__ import annotations

from records.errors import DomainError


class CertifyError(DomainError):
    """Base of everything this room refuses or fails at."""


class NotFound(CertifyError):
    """A case, copy, item or grant that does not exist, or is not for the one who asks."""


class CaptureRejected(CertifyError):
    """The scans cannot become a certified copy; scan again."""
