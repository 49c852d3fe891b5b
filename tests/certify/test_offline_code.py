"""The QR code that is checked without a network."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from pathlib import Path

import cbor2
import pypdfium2
import pytest
import zxingcpp
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ca.status.revocation import RevocationReason, revoke
from certify.errors import CertifyError
from certify.issuance import CertifiedCopy, certify_copy
from certify.pages import code_keys, code_seal, offline_code
from signer.routing.working_days import local
from tests.certify.town_hall import BY, UNIT, TownHall

ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def scanned(data: bytes, *, dpi: int = 300) -> str:
    """What a scanner reads from the page with the statement: the one code with a payload."""
    document = pypdfium2.PdfDocument(data)
    picture = document[len(document) - 1].render(scale=dpi / 72).to_pil().convert("RGB")
    document.close()
    (found,) = [code.text for code in zxingcpp.read_barcodes(picture) if "#" in code.text]
    return str(found)


def issued(hall: TownHall) -> CertifiedCopy:
    case = hall.compared()
    return certify_copy(hall.office, case.id, **hall.hands, now=hall.now, by=BY)


def refused(call: object, *arguments: object) -> str:
    with pytest.raises(CertifyError) as caught:
        call(*arguments)  # type: ignore[operator]  # one of this room's functions
    return caught.value.code


@ONLY_SQLITE
def test_the_code_proves_the_copy_without_a_network(hall: TownHall, tmp_path: Path) -> None:
    """ "a compact payload signed by the unit (number, unit, date, SHA-256)"."""
    office, now = hall.office, hall.now
    copy = issued(hall)
    text = scanned(copy.data)
    assert text.startswith(f"{copy.address}#")
    sealed = code_seal.read(text)
    assert (sealed.claims.unit, sealed.claims.number) == (UNIT, 1)
    assert sealed.claims.day == local(now).date()
    keys = code_keys.published(office.database)
    assert code_keys.who_signed(sealed, keys).unit_name == "Ủy ban nhân dân phường Hạc Thành"
    offline_code.require_file(sealed, copy.data)

    # OpenSSL, on the octets of RFC 9052 §4.4
    tagged = cbor2.loads(code_seal.read(text).payload)
    assert tagged[5] == bytes.fromhex(sealed.claims.digest)
    signed = cbor2.dumps(["Signature1", sealed.protected, b"", sealed.payload])
    r, s = (int.from_bytes(half) for half in (sealed.signature[:32], sealed.signature[32:]))
    pem = keys[0].public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, octets in (("s", signed), ("sig", encode_dss_signature(r, s)), ("key", pem)):
        (tmp_path / name).write_bytes(octets)
    openssl = ["openssl", "dgst", "-sha256", "-verify", "key", "-signature", "sig", "s"]
    judged = subprocess.run(openssl, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verified OK" in judged.stdout, judged

    # Somebody else's file, a changed one, a changed payload
    other = issued(hall)
    assert refused(offline_code.require_file, sealed, other.data) == "qr-file-differs"
    changed = copy.data.replace(b"/MediaBox", b"/MediaBax", 1)
    assert refused(offline_code.require_file, sealed, changed) == "qr-file-differs"
    true = code_seal.octets_of(text)
    moved = code_seal.read(true.replace(UNIT.encode(), b"14798"))
    assert refused(code_keys.who_signed, moved, keys) == "qr-key-unknown"
    forged = code_seal.read(true[:-1] + bytes([true[-1] ^ 1]))
    assert refused(code_keys.who_signed, forged, keys) == "qr-signature-wrong"
    assert refused(code_seal.read, copy.address) == "qr-without-seal"

    # The published list, read by a stranger who trusts the root only
    listed = json.loads(json.dumps({"keys": [key.to_json() for key in keys]}))
    root = office.desk.authority.issuer("root").certificate
    agencies = office.desk.authority.issuer("agencies-g1").certificate
    assert code_keys.who_signed(sealed, code_keys.from_json(listed, [root])).unit == UNIT
    assert code_keys.from_json(listed, [agencies]) == []
    listed["keys"][0]["x5c"] = [listed["keys"][0]["x5c"][1]]
    assert code_keys.from_json(listed, [root]) == []

    # One key serves the unit; a revoked one no longer vouches
    assert [key.key_id for key in keys] == [scanned_key(other.data)]
    revoke(
        office.desk.authority, keys[0].certificate.serial_number,
        reason=RevocationReason.KEY_COMPROMISE, now=now + timedelta(hours=1), by=BY,
    )  # fmt: skip
    assert (
        refused(code_keys.who_signed, sealed, code_keys.published(office.database))
        == "qr-key-revoked"
    )


def scanned_key(data: bytes) -> str:
    return code_seal.read(scanned(data)).key_id.hex()


@given(st.one_of(st.binary(max_size=300), st.text(max_size=300)))
def test_hostile_codes_are_refused_in_words(text: bytes | str) -> None:
    """Anybody may print a QR code; none of them may do more than be refused."""
    with pytest.raises(CertifyError) as caught:
        code_seal.read(text)
    assert caught.value.code in {"qr-malformed", "qr-without-seal"}


@pytest.mark.parametrize(
    "octets",
    [
        "d28443a10126a0f6f6",  # no payload, no signature
        "d28446a2012604413132a0a05840" + "00" * 64,  # nothing claimed
        "d2848ea0" + "80" * 60,
        "9f" * 2000,
    ],
)
def test_odd_cose_is_refused(octets: str) -> None:
    """RFC 9052: right type, wrong content."""
    assert refused(code_seal.read, bytes.fromhex(octets)) == "qr-malformed"
