"""Sign with a software key, without a token or a database: for what only concerns the file."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import KeyUsageConstraints, validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from signer.cms import CmsTemplate, Scheme
from signer.keys.images import Picture
from signer.looks import appearance
from signer.looks.drawing import StampShelf
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.pdf.revision import Appender
from signer.signature import Pen, SignatureRequest, place_signature
from tests.signer.software_ca import NOW, Holder, holder


def sign(
    data: bytes,
    request: SignatureRequest | None = None,
    *,
    by: Holder | None = None,
    scheme: Scheme | None = None,
    picture: Picture | None = None,
    by_qpdf: bool = False,
) -> bytes:
    """One B-B signature, visible when the request says so.

    `by_qpdf`: as if the file were not plain.
    """
    by, request = by or holder(), request or SignatureRequest()
    template = CmsTemplate(by.certificate, by.chain, scheme=scheme)
    with Document.open(Original.of(data)) as document:
        if by_qpdf:
            document.plain_pages = None
            assert document.pdf
        document.require_signable()
        stamp = None
        if request.appearance is not None:
            stamp = appearance.place(
                document,
                request.appearance,
                signer="Nguyễn Thị Mẫu",
                picture=picture,
                shelf=StampShelf(),
            )
            appearance.require_off_text(document, request.appearance, stamp)
        appender = Appender(document)
        pen = Pen(template, by.key, "Nguyễn Thị Mẫu")
        place_signature(appender, pen, request, stamp=stamp, time_stamper=None, now=NOW)
        assert bytes(appender.state().digest()) == hashlib.sha256(appender.whole()).digest()
        return appender.whole()


def pyhanko_verdicts(data: bytes, by: Holder | None = None) -> list[Any]:
    """pyHanko's judgement of every signature, at the test's time, believing the TEST root."""
    root = (by or holder()).chain[-1].public_bytes(Encoding.DER)
    # In strict mode pyHanko judges no hybrid file at all; everything else is read strictly.
    reader = PdfFileReader(io.BytesIO(data), strict=b"/XRefStm" not in data)
    return [
        validate_pdf_signature(
            embedded,
            ValidationContext(
                trust_roots=[asn1_x509.Certificate.load(root)], moment=NOW, allow_fetching=False
            ),
            key_usage_settings=KeyUsageConstraints(key_usage=set()),
        )
        for embedded in reader.embedded_signatures
    ]


def qpdf_check(path: Path) -> str:
    """qpdf's complaints; empty when there are none."""
    run = subprocess.run(["qpdf", "--check", path], capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else run.stdout + run.stderr


def pdfsig(path: Path) -> str:
    """What poppler says; certificates are not its business here."""
    assert shutil.which("pdfsig"), "poppler-utils is a system package of ./dauso test"
    return subprocess.run(
        ["pdfsig", "-nocert", path], capture_output=True, text=True, check=False
    ).stdout
