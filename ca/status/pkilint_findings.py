"""What pkilint says of CRLs (RFC 5280) and OCSP answers (RFC 6960), at level WARNING or above."""

from __future__ import annotations

from functools import cache
from typing import Any

from pkilint import loader, pkix, validation
from pkilint.pkix import crl, extension, name, ocsp


def of_crl(der: bytes) -> list[str]:
    """`CODE at path: words` for each finding."""
    document = loader.RFC5280CertificateListDocumentLoader().load_der_document(der, "crl")
    return _findings(_crl_validator().validate(document.root))


def of_ocsp(der: bytes) -> list[str]:
    document = loader.RFC6960OCSPResponseDocumentLoader().load_der_document(der, "ocsp")
    return _findings(_ocsp_validator().validate(document.root))


@cache
def _crl_validator() -> Any:
    return crl.create_pkix_crl_validator_container(
        _decoders(),
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )


@cache
def _ocsp_validator() -> Any:
    return ocsp.create_pkix_ocsp_response_validator_container(
        [ocsp.create_response_decoder(), *_decoders()], []
    )


def _decoders() -> list[Any]:
    return [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ]


def _findings(results: Any) -> list[str]:
    return [
        f"{found.finding.code} at {result.node.path}: {found.message or ''}"
        for result in results
        for found in result.finding_descriptions
        if found.finding.severity <= validation.ValidationFindingSeverity.WARNING
    ]
