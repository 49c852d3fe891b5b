"""What strangers' octets reach first: each reader with its seeds, and what it may answer.

`./dauso campaign fuzz` mutates the seeds under coverage guidance (atheris); the suite tries some
hundred mutations of each (tests/signer/test_fuzzing.py). A target may refuse by raising one of our
errors, which become verdicts, 4xx or protocol errors; any other exception is a defect.
"""

from __future__ import annotations

import datetime as dt
import functools
import io
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ca import enrolment
from ca.names import Subject
from ca.status import ocsp_request
from ca.time import tst_encoding
from ca.trust import TrustStore
from certify.scans import scan_page
from records.errors import DomainError
from signer.cms_parts import CmsParts
from signer.files.xml_reading import parse
from signer.holders import spreadsheets
from signer.keys import images
from signer.long_life.evidence_records import Evidence, read_proof
from signer.long_life.evidence_syntax import EvidenceRecord
from signer.pdf.document import Document
from signer.pdf.original import Original
from signer.trust import trusted_lists
from signer.trust.certificates import is_authority, is_timestamper, normal_name, read_certificate
from signer.trust.crl_statements import read_crl
from signer.trust.revocation_status import read_ocsp
from signer.verdicts import validation_asic, validation_cades, validation_xades
from signer.verdicts.cms_shape import DATA_CONTENT
from signer.verdicts.mathematics import digest
from signer.verdicts.policy import load_policy
from signer.verdicts.signed_data import TIMESTAMP_CONTENT, read_signed_data, read_timestamp_info
from signer.verdicts.validation import validate
from signer.verdicts.verdict import Rejected, Unreadable
from tests.countersigner import countersigned
from tests.signed_samples import pki, plain_pdf, signed
from tests.small_pki import SIGNED_AT, ec_key, name

NOW = SIGNED_AT + dt.timedelta(minutes=30)
DER = Encoding.DER
# What a reader may answer with: our own errors, which name what is wrong.
REFUSALS = (DomainError, Rejected, tst_encoding.RequestRefused)


@dataclass(frozen=True)
class Target:
    """A reader, and well-formed things to begin with. `act` raises on a defect."""

    name: str
    act: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]
    largest: int = 65536

    def __call__(self, data: bytes) -> None:
        try:
            self.act(data)
        except REFUSALS:
            return


# -- readers -----------------------------------------------------------------------------


def _validated(data: bytes) -> None:
    """A verdict whatever comes; and none but the seeds themselves pass."""
    report = validate(data, trust=_trust(), now=NOW)
    if report.passed and not any(data.startswith(one) for one in _validated_seeds()):
        raise AssertionError("a changed document passed")


def _opened(data: bytes) -> None:
    with Document.open(Original.of(data)) as document:
        document.require_signable()


def _signature(data: bytes) -> None:
    read_signed_data(data, content_type=DATA_CONTENT, digest_of=lambda name: digest(name, b"x"))


def _token(data: bytes) -> None:
    read_timestamp_info(read_signed_data(data, content_type=TIMESTAMP_CONTENT, digest_of=None))


def _certificate(data: bytes) -> None:
    one = read_certificate(data)
    if one is not None:
        is_authority(one), is_timestamper(one), normal_name(one.subject), one.common_name()
        one.purposes(), one.key_usage(), one.self_signed


def _csr(data: bytes) -> None:
    request, _key = enrolment.read_csr(data)
    Subject.from_x509(request.subject)


def _listed(data: bytes) -> None:
    for _each in spreadsheets.rows(data):
        pass


def _record(data: bytes) -> None:
    read_proof(Evidence(data, (data,)), lambda name: digest(name, b"document"))
    EvidenceRecord.read(data).encode()


def _trusted_list(data: bytes) -> None:
    root = parse(data, Unreadable).getroot()
    try:
        trusted_lists.read_content(root, "fuzz", "foreign", NOW)
    except trusted_lists.READING_ERRORS:
        return


def _status(data: bytes) -> None:
    read_ocsp(data)
    read_crl(data)


# -- seeds -------------------------------------------------------------------------------


@functools.cache
def _trust() -> TrustStore:
    return TrustStore((pki().root.certificate,))


@functools.cache
def _validated_seeds() -> list[bytes]:
    return [signed("B"), signed("LTA")]


@functools.cache
def _cms() -> list[bytes]:
    """The signatures and tokens of a signed file, without the zeros after them."""
    from ca.der import SEQUENCE, Reader

    found = []
    for part in signed("LTA").split(b"/Contents <")[1:]:
        octets = bytes.fromhex(part.split(b">", 1)[0].decode())
        found.append(Reader(octets).raw(SEQUENCE))
    return found


def _records() -> list[bytes]:
    from signer.long_life.evidence_syntax import ArchiveTimeStamp
    from signer.long_life.hash_tree import HashTree, hashed

    tree = HashTree.over([[hashed(b"document", "sha256")], [hashed(b"x", "sha256")]], "sha256")
    stamp = ArchiveTimeStamp("sha256", tree.reduced(0), _cms()[-1])
    return [EvidenceRecord(((stamp, stamp), (stamp,))).encode()]


def _certificates() -> list[bytes]:
    made = pki()
    return [one.der for one in (made.root, made.issuing, made.official, made.tsa)]


def _requests() -> list[bytes]:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name("Lê Văn Thử"))
    made = builder.sign(ec_key("fuzz"), hashes.SHA256())
    return [made.public_bytes(DER), made.public_bytes(Encoding.PEM)]


def _ocsp_requests() -> list[bytes]:
    made = pki()
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        made.official.certificate, made.issuing.certificate, hashes.SHA256()
    )
    nonce = builder.add_extension(x509.OCSPNonce(b"12345678"), critical=False)
    return [builder.build().public_bytes(DER), nonce.build().public_bytes(DER)]


def _time_stamp_requests() -> list[bytes]:
    from asn1crypto import tsp

    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": b"\1" * 32}
    request = {"version": 1, "message_imprint": imprint, "nonce": 7, "cert_req": True}
    return [tsp.TimeStampReq(request).dump()]


def _xml() -> list[bytes]:
    from tests.trusted_list_maker import operator, trusted_list

    return [trusted_list(operator()), b'<?xml version="1.0"?><a xmlns:b="urn:b"><b:c d="e"/></a>']


def _lists() -> list[bytes]:
    from tests.signer.test_trusted_lists import services
    from tests.trusted_list_maker import operator, trusted_list

    return [trusted_list(operator(), services())]


def _containers() -> list[bytes]:
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("mimetype", "application/vnd.etsi.asic-e+zip")
        made.writestr("a.txt", "x" * 50, zipfile.ZIP_DEFLATED)
        made.writestr("META-INF/signatures.p7s", _cms()[0])
        made.writestr("META-INF/signatures.xml", _xml()[0])
    return [out.getvalue()]


def _tables() -> list[bytes]:
    import openpyxl

    book = openpyxl.Workbook()
    book.active.append(["Họ và tên", "Số CCCD"])
    book.active.append(["Nguyễn Thị Mẫu", "038800000001"])
    out = io.BytesIO()
    book.save(out)
    return ["Họ và tên;Số CCCD\nLê Văn Thử;038900000002\n".encode(), out.getvalue()]


def _pictures() -> list[bytes]:
    from tests.signer.pictures import seal_png, signature_png

    return [signature_png(), seal_png()]


def _measured(data: bytes) -> None:
    for _page in scan_page.pages_of(data, number=1, page=1, most=1, clean=True):
        pass


def _scans() -> list[bytes]:
    from PIL import Image

    found = []
    for form in ("PNG", "JPEG", "TIFF"):
        out = io.BytesIO()
        Image.new("RGB", (60, 80), (200, 30, 30)).save(out, form, dpi=(200, 200))
        found.append(out.getvalue())
    return found


TARGETS = (
    Target("pdf-validate", _validated, _validated_seeds),
    Target("pdf-sign", _opened, lambda: [plain_pdf(form=True), signed("B")]),
    Target("signed-data", _signature, _cms),
    Target("time-stamp-token", _token, _cms),
    Target("cms-parts", lambda data: CmsParts.read(data).encode(), _cms),
    Target(
        "cades",
        lambda data: validation_cades.read_claims(data, b"content"),
        lambda: [countersigned(one, pki().agency) for one in _cms()],
    ),
    Target("evidence-record", _record, _records),
    Target("certificate", _certificate, _certificates),
    Target(
        "ocsp-and-crl",
        _status,
        lambda: [*pki().evidence(pki().official, pki().tsa)],
    ),
    Target("ocsp-request", ocsp_request.read_request, _ocsp_requests),
    Target("time-stamp-request", tst_encoding.read_request, _time_stamp_requests),
    Target("csr", _csr, _requests),
    Target("xml", lambda data: validation_xades.read_claims(data, None), _xml),
    Target("trusted-list", _trusted_list, _lists),
    Target(
        "container",
        lambda data: validation_asic.read_claims(data, load_policy().limits),
        _containers,
    ),
    Target("table", _listed, _tables),
    Target("signature-picture", lambda data: images.check(data, "signature"), _pictures),
    Target("scan", _measured, _scans),
)
