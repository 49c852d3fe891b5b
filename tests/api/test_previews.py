"""A signature shown before it is made (issue of signing, item 2)."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

from tests.api.conftest import ONLY_SQLITE, Service
from tests.certify.town_hall import TownHall
from tests.signer import paper


@ONLY_SQLITE
def test_at_the_block_found_by_its_text(service: Service, hall: TownHall, tmp_path: Path) -> None:
    """The stamp is on the page above the name; nothing is signed; a wrong anchor is named."""
    headers = service.bearer("sign")
    document = service.http.post(
        "/api/v1/documents",
        files={"file": ("a.pdf", paper.decision(), "application/pdf")},
        headers=headers,
    ).json()
    place = f"/api/v1/documents/{document['id']}/previews"
    order = {"credential_id": hall.person.id, "appearance": {"anchor": paper.SIGNER}}
    answer = service.http.post(place, json=order, headers=headers)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["page"], shown["covers_text"]) == (1, False)
    x1, y1, x2, y2 = shown["box"]
    picture = Image.open(io.BytesIO(base64.b64decode(shown["picture"]))).convert("RGB")
    (tmp_path / "page.png").write_bytes(base64.b64decode(shown["picture"]))
    scale = picture.width / 595.28
    top = picture.height - y2 * scale
    there = picture.crop((int(x1 * scale), int(top), int(x2 * scale), int(top + (y2 - y1) * scale)))
    assert any(low < 128 for low, _ in there.getextrema()), "the stamp is drawn"
    assert "signature.made" not in service.tags()
    order["appearance"] = {"anchor": "không có trong văn bản"}
    refused = service.http.post(place, json=order, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "anchor-not-found")
