"""What can go wrong in the certificate authority, in words that say what to do."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from records.errors import DomainError


class CaError(DomainError):
    """Base of everything the certificate authority refuses or fails at."""


class CertificateUnknown(CaError):
    """Nobody has this serial number; OCSP answers *unknown* instead of failing."""


class PlanInvalid(CaError):
    """The ceremony plan cannot be followed as written."""


UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
"""What `cryptography` raises for bytes that are not the certificate or request they claim to be."""
