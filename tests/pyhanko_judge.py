"""pyHanko's own validator as a judge in the tests and as a peer in the bench."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature, validate_pdf_timestamp
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko_certvalidator import ValidationContext


def judge(data: bytes, root: x509.Certificate, now: dt.datetime) -> list[bool]:
    """For each signature and then each document time-stamp: does pyHanko believe it?

    With revocation data from the document's DSS alone, required for every certificate.
    """
    anchor = asn1_x509.Certificate.load(root.public_bytes(Encoding.DER))
    reader = PdfFileReader(io.BytesIO(data))
    settings: dict[str, Any] = {
        "trust_roots": [anchor],
        "moment": now,
        "allow_fetching": False,
        "revocation_mode": "require",
        "time_tolerance": dt.timedelta(minutes=20),
        "retroactive_revinfo": True,
    }
    if "/DSS" in reader.root:
        store = DocumentSecurityStore.read_dss(reader)
        context = store.as_validation_context(settings)
    else:
        context = ValidationContext(**settings, crls=[], ocsps=[])
    usage = KeyUsageConstraints(
        key_usage={"non_repudiation", "digital_signature"}, match_all_key_usages=False
    )
    found = [
        validate_pdf_signature(one, context, key_usage_settings=usage).bottom_line
        for one in reader.embedded_regular_signatures
    ]
    found += [
        (status := validate_pdf_timestamp(one, context)).valid and status.trusted
        for one in reader.embedded_timestamp_signatures
    ]
    return found
