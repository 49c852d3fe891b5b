"""pyHanko as its documentation uses it, with the same key in the token."""

from __future__ import annotations

import asyncio
import io
from typing import Any

from asn1crypto import algos
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from PIL import Image
from pyhanko.pdf_utils.font.opentype import GlyphAccumulatorFactory
from pyhanko.pdf_utils.images import PdfImage
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.text import TextBoxStyle
from pyhanko.sign import fields, signers
from pyhanko.stamp import TextStampStyle
from pyhanko_certvalidator.registry import SimpleCertificateStore

from bench.sign_world import Bureau
from signer.signature import Pen
from tests.signer import paper
from tests.signer.pictures import signature_png


class TokenSigner(signers.Signer):
    """pyHanko's own machinery around the same token key."""

    def __init__(self, office: Bureau, pen: Pen) -> None:
        store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # pyHanko's own
        store.register_multiple(_asn1(one) for one in office.credential.chain)
        super().__init__(
            signing_cert=_asn1(office.credential.certificate),
            cert_registry=store,
            signature_mechanism=algos.SignedDigestAlgorithm({"algorithm": "sha256_rsa"}),
        )
        self._key: Any = pen.key

    async def async_sign_raw(
        self,
        data: bytes,
        digest_algorithm: str,  # noqa: ARG002 – pyHanko's signature
        dry_run: bool = False,
    ) -> bytes:
        if dry_run:
            return bytes(256)
        return bytes(self._key.sign(data, padding.PKCS1v15(), hashes.SHA256()))


class Stock:
    """`PdfSigner` as its documentation uses it."""

    def __init__(self, office: Bureau, pen: Pen, data: bytes) -> None:
        self._data = data
        self._signer = TokenSigner(office, pen)
        picture = PdfImage(Image.open(io.BytesIO(signature_png())), writer=None)
        font = GlyphAccumulatorFactory(str(paper.FONTS / "Tinos-Regular.ttf"))
        self._style = TextStampStyle(
            stamp_text="KT. CHỦ TỊCH\nPHÓ CHỦ TỊCH\nNguyễn Thị Mẫu\n%(ts)s",
            text_box_style=TextBoxStyle(font=font),
            background=picture,
        )

    def sign(self, *, visible: bool) -> bytes:
        metadata = signers.PdfSignatureMetadata(
            field_name="Signature1", subfilter=fields.SigSeedSubFilter.PADES, md_algorithm="sha256"
        )
        box = (340, 60, 520, 190)
        spec = fields.SigFieldSpec("Signature1", box=box) if visible else None
        signer = signers.PdfSigner(
            metadata,
            self._signer,
            stamp_style=self._style if visible else None,
            new_field_spec=spec,
        )
        out = io.BytesIO()
        writer = IncrementalPdfFileWriter(io.BytesIO(self._data))
        asyncio.run(signer.async_sign_pdf(writer, output=out))
        return out.getvalue()


def _asn1(certificate: Any) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
