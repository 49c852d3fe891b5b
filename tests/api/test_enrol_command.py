"""`dauso enrol` and `dauso holders`, from the list to the day somebody leaves."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ca.names import Subject
from tests.api.command_session import session
from tests.api.test_command_line import _environment
from tests.registry_simulator import Person, running

LIST = """Họ và tên,CCCD,Ngày sinh,Mã đơn vị,Tên đơn vị,Email
Nguyễn Thị Mẫu,038800000001,02/09/1980,14797,UBND phường Hạc Thành,mau@thanhhoa.gov.vn
Lê Văn Thử,038800000002,19/05/1979,14797,UBND phường Hạc Thành,
Phạm Minh Ví Dụ,038800000003,,14758,UBND phường Quảng Phú,
Sai Đơn Vị,038800000008,,99999,Không có,
"""
AT_HOME = {
    "038800000001": Person("Nguyễn Thị Mẫu", "1980-09-02"),
    "038800000002": Person("Lê Văn Thử", "1979-05-19"),
    "038800000003": Person("Phạm Minh Ví Dụ"),
    "038800000004": Person("Trần Thị Riêng", "1990-01-01"),
}


def test_a_list_at_the_terminal(tmp_path: Path) -> None:
    """Preview, start, codes as file and as slips, first use, a new key, and the end of it."""
    (tmp_path / "list.csv").write_text(LIST, "utf-8")
    secret, results, slips = (tmp_path / name for name in ("secret", "result.csv", "slips.pdf"))
    with running(AT_HOME) as registry:
        home = tmp_path / "home"
        environment = _environment(home, DAUSO_REGISTRY_URL=registry.url)
        with session(home, environment) as dauso:
            (home / "secrets" / "registry.token").write_text(registry.token)
            (home / "secrets" / "registry.token").chmod(0o600)
            taken = dauso("enrol", "take-in", tmp_path / "list.csv")
            assert "sẽ cấp 3" in taken.out, taken
            assert "dòng 5" in taken.out
            list_id = taken.out.split()[0]
            assert dauso("enrol", "problems", list_id).out.count("dòng") == 1
            assert dauso("enrol", "results", list_id, "-o", results, "--secret-file", "-").code == 1
            started = dauso("enrol", "start", list_id, "--secret-file", secret)
            assert "đã cấp 3" in started.out, started
            assert secret.stat().st_mode & 0o077 == 0
            assert "done" in dauso("enrol", "show", list_id, "--json").out
            assert "đã cấp 3" in dauso("enrol", "list").out
            told = dauso("enrol", "results", list_id, "--secret-file", secret, "-o", results)
            assert told.code == 0
            assert results.stat().st_mode & 0o077 == 0
            rows = list(csv.DictReader(io.StringIO(results.read_text("utf-8-sig"))))
            code, mau, thu = (rows[0]["Mã kích hoạt"], rows[0]["Mã khóa ký"], rows[1]["Mã khóa ký"])

            made = dauso(
                "enrol", "slips", list_id, "--secret-file", secret, "--unit", "14797", "-o", slips
            )
            assert made.code == 0
            assert slips.stat().st_mode & 0o077 == 0
            shown = _text(slips)
            assert code in shown
            assert "Quảng Phú" not in shown
            receipt = shown.partition("\f")[0]
            assert "Lê Văn Thử" in receipt
            assert code not in receipt

            pin = tmp_path / "pin"
            pin.write_text("925817\n")
            pin.chmod(0o600)
            first = dauso("holders", "activate", mau, "--pin-file", pin, typed=f"{code}\n")
            assert first.code == 0, first
            assert dauso("holders", "activate", mau, "--pin-file", pin, typed=f"{code}\n").code == 1
            assert dauso("holders", "renew", mau).code == 0
            assert dauso("holders", "hold", mau, "--reason", "mất máy").code == 0
            assert dauso("holders", "renew", mau).code == 1
            assert dauso("holders", "release", mau).code == 0
            rekeyed = dauso("holders", "rekey", thu, "--compromised")
            assert "mã kích hoạt" in rekeyed.out
            assert thu not in rekeyed.out
            left = dauso("holders", "leave", "CCCD:038800000001", "--decision", "9/QĐ-UBND")
            assert "1 khóa ký, thu hồi 2 chứng thư" in left.out, left
            again = dauso("holders", "leave", "CCCD:038800000001", "--decision", "9/QĐ-UBND")
            assert again.code == 1
            assert len(again.err.splitlines()) == 1

            assert dauso("enrol", "close", list_id).code == 0
            assert dauso("enrol", "close", list_id).code == 1
            _one_person(dauso, tmp_path)
            _a_seal(dauso, tmp_path)
            assert dauso("ca", "check").code == 0
            assert dauso("audit", "verify").code == 0


def _one_person(dauso: object, tmp_path: Path) -> None:
    """A single PKCS#10 request and a single credential are asked about as a list's lines are."""
    assert callable(dauso)
    key = ec.generate_private_key(ec.SECP256R1())
    named = Subject.official("Trần Thị Riêng", citizen_id="038800000004", unit="Sở Nội vụ")
    request = tmp_path / "own.csr"
    builder = x509.CertificateSigningRequestBuilder().subject_name(named.to_x509())
    request.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    made = tmp_path / "own.pem"
    command = ("ca", "issue", request, "--profile", "official", "-o", made, "--born")
    refused = dauso(*command, "1990-01-02")
    assert refused.code == 1
    assert "ngày sinh" in refused.err
    assert dauso(*command, "1990-01-01").code == 0
    assert x509.load_pem_x509_certificate(made.read_bytes()).public_key() == key.public_key()
    citizen = ("credentials", "citizen", "--name", "Trần Thị Riêng", "--state", "Thanh Hóa")
    options = ("--locality", "Hạc Thành", "--pin-file", tmp_path / "pin", "--citizen-id")
    assert dauso(*citizen, *options, "038800000009").code == 1  # the registry knows nobody
    assert dauso(*citizen, *options, "038800000004").code == 0
    assert dauso(*citizen, *options, "038800000004").code == 1  # has one


def _a_seal(dauso: object, tmp_path: Path) -> None:
    """DOMAIN.md §2: who keeps it is said at once, and their departure holds it."""
    assert callable(dauso)
    seal = ("credentials", "agency", "--name", "UBND phường Hạc Thành", "--tax-code", "2800000001")
    place = ("--unit", "14797", "--locality", "Thanh Hóa")
    options = (*place, "--pin-file", tmp_path / "pin", "--keeper")
    assert dauso(*seal, *options[:-1]).code != 0
    assert dauso(*seal, *options, "văn thư").code == 1
    made = dauso(*seal, *options, "CCCD:038800000003")
    assert made.code == 0, made
    key = made.out.strip()
    assert "(CCCD:038800000003)" in dauso("credentials", "list", "--unit", "14797").out
    assert dauso("holders", "keeper", key, "CCCD:038800000004").code == 1
    left = dauso("holders", "leave", "CCCD:038800000003", "--decision", "9/QĐ-UBND")
    assert "1 khóa cơ quan" in left.out, left
    assert "khóa mới" in dauso("holders", "release", key).err
    assert dauso("holders", "rekey", key, "--keeper", "CCCD:038800000004").code == 0


def _text(pdf: Path) -> str:
    done = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, check=True)
    return done.stdout.decode()
