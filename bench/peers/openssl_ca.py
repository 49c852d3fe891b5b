"""OpenSSL doing the same work: `openssl ca -gencrl`, `openssl ocsp` as a server, `openssl ts`.

Each gets a software key of the same kind, so what is compared is the work around the signature.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.report import duration, rate

_CONFIG = """
[ca]
default_ca = here
[here]
database = {home}/index.txt
crlnumber = {home}/crlnumber
certificate = {home}/ca.pem
private_key = {home}/ca.key
default_md = sha256
default_crl_days = 2
unique_subject = no
[tsa]
default_tsa = stamp
[stamp]
serial = {home}/tsa.serial
signer_cert = {home}/tsa.pem
certs = {home}/ca.pem
signer_key = {home}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[tsa_extensions]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
"""


class OpensslAuthority:
    """A directory with a CA, a TSA and an index of revoked serials."""

    def __init__(self, home: Path, revoked: Sequence[int], *, key: str = "rsa:2048") -> None:
        home.mkdir(parents=True)
        self.home = home
        self._config = home / "openssl.cnf"
        self._config.write_text(_CONFIG.format(home=home))
        stamp = datetime.now(UTC).strftime("%y%m%d%H%M%SZ")
        (home / "index.txt").write_text(
            "".join(
                f"R\t350101000000Z\t{stamp},superseded\t{serial:032X}\tunknown\t/CN=x\n"
                for serial in revoked
            )
        )
        (home / "crlnumber").write_text("01\n")
        (home / "tsa.serial").write_text("01\n")
        self._run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{home}/ca.key",
                  "-out", f"{home}/ca.pem", "-subj", "/CN=bench", "-days", "2")  # fmt: skip
        new_key = ["-newkey", key] if key.startswith("rsa") else [
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]  # fmt: skip
        self._run("req", *new_key, "-nodes", "-keyout", f"{home}/tsa.key",
                  "-out", f"{home}/tsa.csr", "-subj", "/CN=stamp")  # fmt: skip
        self._run("x509", "-req", "-in", f"{home}/tsa.csr", "-CA", f"{home}/ca.pem",
                  "-CAkey", f"{home}/ca.key", "-out", f"{home}/tsa.pem", "-days", "2",
                  "-extfile", str(self._config), "-extensions", "tsa_extensions")  # fmt: skip

    def seconds_per_crl(self, times: int) -> float:
        """`openssl ca -gencrl` over the whole index."""
        return duration(
            lambda: self._run(
                "ca", "-config", str(self._config), "-gencrl", "-out", f"{self.home}/out.crl"
            ),
            times,
        )

    def stamps_per_second(self, seconds: float) -> float:
        """`openssl ts -reply`, a process each, which is the only way it is used."""
        query = f"{self.home}/query.tsq"
        self._run("ts", "-query", "-data", str(self._config), "-sha256", "-cert", "-out", query)
        return rate(
            lambda: self._run(
                "ts",
                "-reply",
                "-config",
                str(self._config),
                "-section",
                "stamp",
                "-queryfile",
                query,
                "-out",
                f"{self.home}/out.tsr",
            ),
            seconds,
        )

    def answers_per_second(self, request: bytes, seconds: float) -> float | None:
        """`openssl ocsp -port`, asked over HTTP by one client; None when it does not start."""
        with self._ocsp_server() as port:
            if port is None:
                return None

            def ask() -> None:
                line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                line.request("POST", "/", request, {"Content-Type": "application/ocsp-request"})
                line.getresponse().read()
                line.close()

            return rate(ask, seconds)

    def request_for(self, serial: int) -> bytes:
        """An OCSP request this authority understands."""
        path = self.home / "request.der"
        self._run("ocsp", "-issuer", f"{self.home}/ca.pem", "-serial", str(serial),
                  "-no_nonce", "-reqout", str(path))  # fmt: skip
        return path.read_bytes()

    @contextmanager
    def _ocsp_server(self) -> Iterator[int | None]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        home = self.home
        log = home / "ocsp.log"
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["openssl", "ocsp", "-index", f"{home}/index.txt", "-port", str(port),
                 "-rsigner", f"{home}/ca.pem", "-rkey", f"{home}/ca.key",
                 "-CA", f"{home}/ca.pem"],
                stdout=output,
                stderr=output,
            )  # fmt: skip
        try:
            yield port if _ready(log) else None
        finally:
            server.terminate()
            server.wait(5)

    def _run(self, *command: str) -> None:
        subprocess.run(["openssl", *command], check=True, capture_output=True, cwd=self.home)


def _ready(log: Path) -> bool:
    """It serves one connection at a time, so a trial connection would stand in the way."""
    for _ in range(100):
        if b"waiting for" in log.read_bytes():
            return True
        time.sleep(0.1)
    return False
