"""Fees by bank transfer: the QR code, the bank's notices, what does not fit."""

from __future__ import annotations

import io
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pypdfium2
import pytest
import segno
import zxingcpp
from PIL import Image

from certify.errors import CertifyError
from certify.issuance import certify_copy
from certify.money import bank_payments, payments, vietqr
from certify.money.bank_payments import Notice
from certify.money.receipts import receipt_pdf
from signer.routing.working_days import local
from tests.certify.town_hall import BY, TownHall


@pytest.mark.parametrize(
    "made_elsewhere",
    [
        # Codes that other makers show in their public documentation, checksums included.
        "00020101021238570010A00000072701270006970422011371045208946240208QRIBFTTA"
        "5303704540430005802VN62180814TT1BQG8F khanh6304D4F6",
        "00020101021238540010A00000072701240006970436011098895593570208QRIBFTTA"
        "53037045405100005802VN62320828day la noi dung chuyen khoan6304EEF5",
    ],
)
def test_the_checksum_of_others(made_elsewhere: str) -> None:
    """EMV QRCPS §4.7.3: CRC-16 over all that stands before it."""
    body, given = made_elsewhere[:-4], made_elsewhere[-4:]
    assert f"{vietqr.checksum(body):04X}" == given
    assert vietqr.checksum("123456789") == 0x29B1, "the polynomial's own check value"


def test_the_code_of_another_maker() -> None:
    """The same account, amount and text give the same code, octet for octet."""
    account = vietqr.Account("970422", "7104520894624", "MB", "X", demo=True)
    assert vietqr.payload(account=account, amount=3000, purpose="TT1BQG8F khanh") == (
        "00020101021238570010A00000072701270006970422011371045208946240208QRIBFTTA"
        "5303704540430005802VN62180814TT1BQG8F khanh6304D4F6"
    )
    for amount, purpose in ((0, "x"), (-1, "x"), (10**11, "x"), (1, ""), (1, "phí"), (1, "x" * 26)):
        with pytest.raises(CertifyError):
            vietqr.payload(account=account, amount=amount, purpose=purpose)
    assert vietqr.account_of("14797", on=date(2026, 11, 23)).number == "038800014797"
    with pytest.raises(CertifyError):
        vietqr.account_of("14797", on=date(2020, 1, 1))


def test_paid_by_transfer(hall: TownHall, tmp_path: Path) -> None:
    """ "Nothing is issued unpaid"; a notice pays, its repetition does not pay twice."""
    office, now = hall.office, hall.now
    case = hall.compared(paid=False)
    order = bank_payments.ask(office, case.id, now=now, by=BY)
    assert bank_payments.ask(office, case.id, now=now, by=BY) == order
    picture = io.BytesIO()
    segno.make(order.payload, error="m").save(picture, kind="png", scale=4)
    (seen,) = zxingcpp.read_barcodes(Image.open(picture))
    assert seen.text == order.payload
    assert order.reference in order.payload
    with pytest.raises(CertifyError) as caught:
        certify_copy(office, case.id, **hall.hands, now=now, by=BY)
    assert caught.value.code == "fee-not-paid"

    def tell(number: str, amount: int, text: str, account: str = order.account.number) -> str:
        notice = Notice(number, account, amount, text, now)
        return bank_payments.receive(office, notice, now=now).outcome

    assert tell("FT1", order.amount, "NGUYEN THI MAU chuyen tien") == "transfer-reference-unknown"
    assert tell("FT2", order.amount - 1, order.reference) == "payment-amount-wrong"
    assert tell("FT3", order.amount, order.reference, "999") == "transfer-account-wrong"
    assert tell("FT0", order.amount - 1, f"TRAN VAN DS {order.reference}") == "payment-amount-wrong"
    bank_payments.reconcile(office, "FT0", note="Đã hoàn lại", now=now, by=BY)
    assert tell("FT4", order.amount, f"MBVCB.{order.reference.lower()} LE PHI") == "matched"
    assert tell("FT4", order.amount, order.reference) == "matched", "told again"
    assert tell("FT5", order.amount, order.reference) == "fee-nothing-due", "paid twice"
    open_ = bank_payments.to_reconcile(office)
    assert [one.notice.transaction_id for one in open_] == ["FT1", "FT2", "FT3", "FT5"]
    with pytest.raises(CertifyError):
        bank_payments.reconcile(office, "FT5", note=" ", now=now, by=BY)
    bank_payments.reconcile(office, "FT5", note="Đã hoàn lại", now=now, by=BY)
    with pytest.raises(CertifyError):
        bank_payments.reconcile(office, "FT5", note="Lần nữa", now=now, by=BY)
    # Money that named no reference pays another case after somebody looked at it.
    late = hall.compared(paid=False)
    done = bank_payments.reconcile(
        office, "FT1", note="Đúng người", case_id=late.id, now=now, by=BY
    )
    assert done.payment_id
    with pytest.raises(CertifyError):
        payments.pay(office, late.id, method="cash", now=now, by=BY)
    assert len(bank_payments.to_reconcile(office, unit=case.unit)) == 2
    assert certify_copy(office, case.id, **hall.hands, now=now, by=BY).number == "01"

    pdf = receipt_pdf(office, done.payment_id, case_id=late.id, now=now)
    (tmp_path / "receipt.pdf").write_bytes(pdf)
    read = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "receipt.pdf", "-"], capture_output=True, text=True
    )
    for words in ("BIÊN LAI THU PHÍ", f"000002/{local(now).year}", "4.000 đồng", "VietQR", "FT1"):
        assert words in read.stdout, read.stdout
    assert "038812345678" not in read.stdout
    first, second = read.stdout.splitlines()[:2]
    assert first.lstrip().startswith("ỦY BAN NHÂN DÂN ")
    assert second.lstrip().startswith("PHƯỜNG HẠC THÀNH "), "the name is not broken in two"


def test_told_twice_at_the_same_moment(hall: TownHall) -> None:
    """A bank that hears nothing repeats its notice; every repetition is answered, one pays."""
    office, now = hall.office, hall.now
    order = bank_payments.ask(office, hall.compared(paid=False).id, now=now, by=BY)
    notice = Notice("FT-1", order.account.number, order.amount, order.reference, now)
    together = threading.Barrier(4)

    def tell(_: int) -> bank_payments.Told:
        together.wait(timeout=30)
        return bank_payments.receive(office, notice, now=now)

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(tell, range(4)))
    assert {one.outcome for one in told} == {bank_payments.MATCHED}
    assert [one.repeated for one in told].count(False) == 1
    assert len(payments.receipts(office, order.case_id)) == 1


def test_receipts_are_numbered_without_a_gap(hall: TownHall) -> None:
    """A refused payment takes no number; waivers and refunds are receipts too."""
    office, now = hall.office, hall.now
    case, other = hall.compared(paid=False), hall.compared(paid=False)
    first = payments.pay(office, case.id, method="cash", now=now, by=BY)
    with pytest.raises(CertifyError):
        payments.pay(office, other.id, method="cash", amount=1, now=now, by=BY)
    second = payments.refund(office, case.id, reason="Rút yêu cầu", now=now, by=BY)
    third = payments.waive(office, other.id, reason="Hộ nghèo", now=now, by=BY)
    year = local(now).year
    assert [one.number for one in (first, second, third)] == [f"{n:06d}/{year}" for n in (1, 2, 3)]
    for made, says in (
        (first, ("BIÊN LAI THU PHÍ", "Người nộp", "NGƯỜI THU")),
        (second, ("PHIẾU HOÀN PHÍ", "Người nhận", "NGƯỜI CHI")),
        (third, ("PHIẾU MIỄN PHÍ", "Người được miễn", "NGƯỜI LẬP PHIẾU")),
    ):
        document = pypdfium2.PdfDocument(
            receipt_pdf(office, made.id, case_id=made.case_id, now=now)
        )
        read = document[0].get_textpage().get_text_range()
        document.close()
        assert [words for words in says if words not in read] == []
