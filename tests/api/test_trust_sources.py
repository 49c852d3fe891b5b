"""A verdict that needs more than the file holds: asked for over HTTP, judged like anything else."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from api.adapters.guarded_fetch import GuardedFetch
from api.settings import Settings, SettingsError
from api.trust_sources import asked
from ca.trust import TrustStore
from signer.verdicts.report import Report
from signer.verdicts.validation import validate
from tests.signed_samples import MINUTE, plain_pdf, raised
from tests.small_pki import SIGNED_AT, SmallPki

NOW = SIGNED_AT + 30 * MINUTE


@dataclass
class Nearby:
    """The guarded fetcher, with the hierarchy's public name leading to a server on this machine."""

    inner: GuardedFetch
    address: str

    def get(self, url: str, *, limit: int) -> bytes:
        return self.inner.get(url.replace("http://pki.test", self.address), limit=limit)

    def post(self, url: str, body: bytes, content_type: str, *, limit: int) -> bytes:
        url = url.replace("http://pki.test", self.address)
        return self.inner.post(url, body, content_type, limit=limit)


@pytest.fixture
def online() -> Iterator[tuple[SmallPki, Nearby]]:
    """A hierarchy whose OCSP responder runs as a real server."""
    pki = SmallPki("ONLINE")

    class Responder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ocsp.load_der_ocsp_request(
                self.rfile.read(int(self.headers["Content-Length"]))
            )
            parties = (pki.official, pki.agency, pki.tsa, pki.issuing)
            about = next(
                one for one in parties if one.certificate.serial_number == request.serial_number
            )
            responder = pki.root if about is pki.issuing else pki.responder
            answer = pki.ocsp(about, NOW, responder=responder).public_bytes(Encoding.DER)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Responder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    yield pki, Nearby(GuardedFetch(seconds=5, private_too=True), address)
    server.shutdown()
    server.server_close()


def test_what_was_fetched_is_judged_like_anything_else(online: tuple[SmallPki, Nearby]) -> None:
    """Issue: AIA, CRL and OCSP fetching is guarded and can be switched off."""
    pki, fetcher = online
    data = raised(plain_pdf(), pki, pki.official, 1, SIGNED_AT, "T")
    trust = TrustStore((pki.root.certificate,))

    def look(believed: TrustStore, lists: Sequence[bytes]) -> Report:
        return validate(data, trust=believed, now=NOW, revocation=lists)

    off = asked(look, trust, [], None)
    assert (off.indication.value, off.sub_indication) == ("INDETERMINATE", "TRY_LATER")
    assert asked(look, trust, [], fetcher).passed
    assert fetcher.inner.counts["fetched"] == 3
    # Revoked before the time-stamp: the answer that came over the network says so.
    pki.revoke(pki.official, SIGNED_AT - MINUTE)
    again = Nearby(GuardedFetch(seconds=5, private_too=True), fetcher.address)
    assert asked(look, trust, [], again).sub_indication == "REVOKED_NO_POE"
    # Guarded as in service, it reaches nothing on this machine and the verdict stays open.
    guarded = Nearby(GuardedFetch(seconds=5), fetcher.address)
    assert asked(look, trust, [], guarded).sub_indication == "TRY_LATER"
    assert guarded.inner.counts["fetch-refused"] > 0


def test_settings_that_cannot_be_meant() -> None:
    """DESIGN §3.8: contradictory settings refuse to start."""
    for values, code in (
        ({"DAUSO_FETCH": "maybe"}, "setting-fetch"),
        ({"DAUSO_TRUST": "/nowhere/trust.yaml"}, "setting-trust-file"),
    ):
        with pytest.raises(SettingsError) as caught:
            Settings.from_environment(values)
        assert caught.value.code == code
    assert Settings.from_environment({"DAUSO_FETCH": "on"}).fetch
    assert not Settings.from_environment({}).fetch
