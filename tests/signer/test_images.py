"""Pictures of signatures and seals: what decree 30/2020 annex I asks of them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from signer.errors import ImageRefused
from signer.keys import images
from tests.signer.pictures import seal_png, signature_png


def png(
    mode: str = "RGBA", size: tuple[int, int] = (300, 200), colour: object = (0, 0, 0, 0)
) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, "PNG")
    return out.getvalue()


def code(data: bytes, kind: str = "signature") -> str:
    with pytest.raises(ImageRefused) as caught:
        images.check(data, kind)
    assert caught.value.message("vi") != caught.value.code
    return caught.value.code


def test_a_blue_signature_and_a_red_seal_pass() -> None:
    """Annex I: the signature blue, the seal red, PNG, transparent ground."""
    signature = images.check(signature_png(), "signature")
    assert signature.width > signature.height
    seal = images.check(seal_png(), "seal")
    assert abs(seal.width - seal.height) <= 2


def test_each_unfit_picture_has_its_reason() -> None:
    """Refused when it is uploaded, not when somebody waits for a signature."""
    assert code(b"GIF89a") == "image-not-png"
    assert code(png()[:60]) == "image-not-png"
    assert code(png(size=(20, 20))) == "image-size"
    assert code(png(size=(9000, 100))) == "image-size"
    assert code(png("RGB", colour=(0, 0, 200))) == "image-not-transparent"
    assert code(png(colour=(0, 0, 200, 255))) == "image-not-transparent"
    assert code(png()) == "image-empty"
    assert code(seal_png()) == "image-not-blue"
    assert code(signature_png(), "seal") == "image-not-red"
    assert code(b"\x89PNG" + bytes(5 << 20)) == "image-too-large"


def test_a_stretched_seal_is_refused() -> None:
    """It is drawn at its true size; an oval would be another seal."""
    with Image.open(io.BytesIO(seal_png())) as seal:
        out = io.BytesIO()
        seal.resize((600, 420)).save(out, "PNG")
    assert code(out.getvalue(), "seal") == "image-not-round"


def test_empty_margins_are_cut() -> None:
    """The seal's ring, not the paper around it, has 36 mm."""
    with Image.open(io.BytesIO(seal_png())) as seal:
        wide = Image.new("RGBA", (1200, 900), (0, 0, 0, 0))
        wide.paste(seal, (350, 120))
        out = io.BytesIO()
        wide.save(out, "PNG")
    picture = images.check(out.getvalue(), "seal")
    assert 0.98 < picture.width / picture.height < 1.02
