"""The last step of an unsigned document: PDF/A, deterministic, judged before anything is signed.

    data = as_pdfa(pdf, title="…", made_at=moment, flavour="3b")
    judge(data, flavour="3b")

PDF/A-2b (ISO 19005-2), or 3b where a file is attached (ISO 19005-3 §6.8).
"""

from __future__ import annotations

import base64
import io
import zlib
from datetime import datetime

import page as page_validation
import pikepdf
import pikepdf.pdfa
from pikepdf import Array, Dictionary, Name, Pdf, Stream, String

from certify.errors import CertifyError


def attach(
    pdf: Pdf, data: bytes, *, name: str, description: str, mime_type: str, made_at: datetime
) -> None:
    """One associated file of the whole document (ISO 19005-3 §6.8, /AFRelationship /Data)."""
    content = Stream(pdf, data)
    content.Type = Name.EmbeddedFile
    content.Subtype = Name(f"/{mime_type}")
    content.Params = Dictionary(
        Size=len(data), ModDate=String(made_at.strftime("D:%Y%m%d%H%M%S+00'00'"))
    )
    file = pdf.make_indirect(content)
    spec = pdf.make_indirect(
        Dictionary(
            Type=Name.Filespec,
            F=String(name),
            UF=String(name),
            Desc=String(description),
            AFRelationship=Name.Data,
            EF=Dictionary(F=file, UF=file),
        )
    )
    pdf.Root.AF = Array([spec])
    pdf.Root.Names = Dictionary(EmbeddedFiles=Dictionary(Names=Array([String(name), spec])))


def as_pdfa(pdf: Pdf, *, title: str, made_at: datetime, flavour: str = "2b") -> bytes:
    """The file with archival metadata; the same document and time give the same bytes."""
    pdf.Root.Lang = String("vi-VN")
    stamp = made_at.strftime("%Y-%m-%dT%H:%M:%S+00:00")
    with pdf.open_metadata(set_pikepdf_as_editor=False) as metadata:
        metadata["dc:title"] = title
        metadata["dc:language"] = ["vi-VN"]
        metadata["xmp:CreatorTool"] = "Dấu Số"
        metadata["xmp:CreateDate"] = stamp
        metadata["xmp:ModifyDate"] = stamp
    pikepdf.pdfa.prepare(pdf, flavour)
    with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
        metadata["xmp:MetadataDate"] = stamp
    _settle_streams(pdf)
    out = io.BytesIO()
    pdf.save(
        out,
        compress_streams=False,
        deterministic_id=True,
        object_stream_mode=pikepdf.ObjectStreamMode.disable,
        stream_decode_level=pikepdf.StreamDecodeLevel.none,
        fix_metadata_version=False,
    )
    data = out.getvalue()
    # Signatures append: without this line end the next revision would start on the %%EOF line.
    return data if data.endswith(b"\n") else data + b"\n"


def _settle_streams(pdf: Pdf) -> None:
    """See that no stream's data ends with a carriage return.

    With the line feed before `endstream` that would read as one line end, and /Length as one too
    long (ISO 19005-2 §6.1.7.1): strict readers refuse one file in twenty for it. Deflated data end
    with their checksum, so another level does not help; one more filter does.
    """
    for item in pdf.objects:
        if not isinstance(item, Stream) or item.get("/Type") == Name.Metadata:
            continue
        if not item.read_raw_bytes():
            continue
        packed = item.read_raw_bytes() if "/Filter" in item else zlib.compress(item.read_bytes(), 9)
        if packed.endswith(b"\r"):
            text = base64.a85encode(packed) + b"~>"
            item.write(text, filter=Array([Name.ASCII85Decode, Name.FlateDecode]))
        elif "/Filter" not in item:
            item.write(packed, filter=Name.FlateDecode)


def judge(data: bytes, *, flavour: str = "2b") -> None:
    """Raises `CertifyError` `copy-not-pdfa`, naming the rules that are broken."""
    report = page_validation.validate_pdf_bytes(data, profile=flavour)
    if not report.is_compliant:
        rules = sorted({failure.rule_id for failure in report.failures})
        raise CertifyError("copy-not-pdfa", rules=", ".join(rules))
