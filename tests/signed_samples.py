"""Signed documents made by stock pyHanko with a software PKI: judges' material, not ours."""

from __future__ import annotations

import datetime as dt
import io
from functools import cache

import pikepdf
from asn1crypto import crl as asn1_crl
from asn1crypto import keys as asn1_keys
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.signers.pdf_signer import PdfTimeStamper
from pyhanko.sign.timestamps.dummy_client import DummyTimeStamper
from pyhanko.sign.validation.dss import DocumentSecurityStore
from pyhanko_certvalidator.registry import SimpleCertificateStore

from tests.small_pki import SIGNED_AT, Party, SmallPki

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)


def plain_pdf(pages: int = 1, text: str = "Quyet dinh so 12/QD-UBND", form: bool = False) -> bytes:
    """A small classic PDF: text, a font, and a text field when `form`."""
    pdf = pikepdf.new()
    for number in range(pages):
        page = pdf.add_blank_page(page_size=(595, 842))
        page.Resources = pikepdf.Dictionary(
            Font=pikepdf.Dictionary(
                F1=pdf.make_indirect(
                    pikepdf.Dictionary(
                        Type=pikepdf.Name.Font,
                        Subtype=pikepdf.Name.Type1,
                        BaseFont=pikepdf.Name.Helvetica,
                    )
                )
            )
        )
        page.Contents = pdf.make_stream(
            f"BT /F1 14 Tf 72 760 Td ({text} page {number + 1}) Tj ET".encode()
        )
    if form:
        widget = pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot,
                Subtype=pikepdf.Name.Widget,
                FT=pikepdf.Name.Tx,
                T=pikepdf.String("note"),
                V=pikepdf.String("empty"),
                Rect=[72, 600, 300, 620],
                F=4,
                P=pdf.pages[0].obj,
                DA=pikepdf.String("/Helv 10 Tf 0 g"),
            )
        )
        pdf.pages[0].obj.Annots = pdf.make_indirect(pikepdf.Array([widget]))
        pdf.Root.AcroForm = pdf.make_indirect(
            pikepdf.Dictionary(Fields=pdf.make_indirect(pikepdf.Array([widget])))
        )
    out = io.BytesIO()
    pdf.save(out, object_stream_mode=pikepdf.ObjectStreamMode.disable, compress_streams=False)
    return out.getvalue()


def pyhanko_key(party: Party) -> asn1_keys.PrivateKeyInfo:
    der = party.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return asn1_keys.PrivateKeyInfo.load(der)


def pyhanko_cert(party: Party) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(party.der)


def chain_store(party: Party) -> SimpleCertificateStore:
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]  # untyped in pyHanko
    for certificate in party.chain()[1:]:
        store.register(asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)))
    return store


def stamper(tsa: Party, at: dt.datetime) -> DummyTimeStamper:
    return DummyTimeStamper(
        pyhanko_cert(tsa), pyhanko_key(tsa), certs_to_embed=chain_store(tsa), fixed_dt=at
    )


def sign(
    data: bytes,
    pki: SmallPki,
    party: Party,
    field: str,
    at: dt.datetime,
    *,
    timestamp: bool = True,
    box: tuple[int, int, int, int] | None = None,
    certify: fields.MDPPerm | None = None,
    subfilter: fields.SigSeedSubFilter = fields.SigSeedSubFilter.PADES,
    digest: str = "sha256",
    pss: bool = False,
    existing: bool = False,
    stamped_at: dt.datetime | None = None,
) -> bytes:
    """One more signature revision, the signature time-stamp one second later."""
    writer = IncrementalPdfFileWriter(io.BytesIO(data))
    if not existing:
        fields.append_signature_field(writer, fields.SigFieldSpec(field, box=box, on_page=0))
    signer = signers.SimpleSigner(
        signing_cert=pyhanko_cert(party),
        signing_key=pyhanko_key(party),
        cert_registry=chain_store(party),
        prefer_pss=pss,
    )
    meta = signers.PdfSignatureMetadata(
        field_name=field,
        md_algorithm=digest,
        subfilter=subfilter,
        certify=certify is not None,
        docmdp_permissions=certify or fields.MDPPerm.FILL_FORMS,
    )
    pdf_signer = signers.PdfSigner(
        meta,
        signer,
        timestamper=stamper(pki.tsa, stamped_at or at + dt.timedelta(seconds=1))
        if timestamp
        else None,
    )
    begin = pdf_signer.init_signing_session

    def begin_at(*args: object, **kwargs: object) -> object:
        session = begin(*args, **kwargs)  # type: ignore[arg-type]  # passed through
        session.system_time = at
        return session

    pdf_signer.init_signing_session = begin_at  # type: ignore[method-assign,assignment]  # time is an argument
    return bytes(pdf_signer.sign_pdf(writer, existing_fields_only=True).getvalue())


def sign_existing(data: bytes, pki: SmallPki, party: Party, field: str, at: dt.datetime) -> bytes:
    """Sign a field that is there already, honouring its /Lock."""
    return sign(data, pki, party, field, at, existing=True)


def add_dss(data: bytes, pki: SmallPki, parties: list[Party], at: dt.datetime) -> bytes:
    """A revision with certificates and revocation data as they were at that moment."""
    out = io.BytesIO(data)
    certs = {c.public_bytes(Encoding.DER) for party in parties for c in party.chain()}
    DocumentSecurityStore.add_dss(
        out,
        None,
        certs=[asn1_x509.Certificate.load(der) for der in sorted(certs)],
        ocsps=[
            asn1_ocsp.OCSPResponse.load(pki.ocsp(p, at).public_bytes(Encoding.DER)) for p in parties
        ],
        crls=[asn1_crl.CertificateList.load(pki.crl(pki.root, at).public_bytes(Encoding.DER))],
    )
    return out.getvalue()


def document_timestamp(data: bytes, pki: SmallPki, at: dt.datetime, field: str) -> bytes:
    out = io.BytesIO(data)
    writer = IncrementalPdfFileWriter(out)
    stamp = PdfTimeStamper(stamper(pki.tsa, at), field_name=field)
    return bytes(stamp.timestamp_pdf(writer, "sha256").getvalue())


def raised(
    data: bytes,
    pki: SmallPki,
    party: Party,
    number: int,
    at: dt.datetime,
    level: str,
    **how: object,
) -> bytes:
    """Sign and raise to B, T, LT or LTA."""
    data = sign(data, pki, party, f"Sig{number}", at, timestamp=level != "B", **how)  # type: ignore[arg-type]  # pyHanko types `how` one by one
    if level in ("LT", "LTA"):
        data = add_dss(data, pki, [party, pki.tsa], at + MINUTE)
    if level == "LTA":
        data = document_timestamp(data, pki, at + 2 * MINUTE, f"Archive{number}")
    return data


@cache
def pki() -> SmallPki:
    return SmallPki()


@cache
def signed(level: str = "LTA", signatures: int = 1, pages: int = 1) -> bytes:
    """`signatures` by the official and then the agency, each raised to `level`."""
    made = pki()
    data = plain_pdf(pages)
    for number in range(signatures):
        party = (made.official, made.agency)[number % 2]
        data = raised(data, made, party, number + 1, SIGNED_AT + 10 * number * MINUTE, level)
    return data
