"""As much of S3's interface as one blob needs, in memory: the real client talks to it.

PUT (with If-None-Match), GET, HEAD, DeleteObjects, and multipart upload, as the Amazon S3 API
Reference describes them; signatures are not checked.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SmallS3

    def do_PUT(self) -> None:
        path, query = self._address()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refuses:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif "partNumber" in query:
            self.server.parts[int(query["partNumber"][0])] = body
            self._answer(200)
        elif self.headers["If-None-Match"] == "*" and path in self.server.objects:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self.server.objects[path] = body
            self._answer(200)

    def do_POST(self) -> None:
        path, query = self._address()
        told = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if "uploads" in query:
            self._answer(
                200,
                b"<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>"
                b"<UploadId>1</UploadId></InitiateMultipartUploadResult>",
            )
            return
        if "delete" in query:
            for key in re.findall(r"<Key>([^<]*)</Key>", told.decode()):
                self.server.objects.pop(f"{path.rstrip('/')}/{key}", None)
                self._answer(
                    200,
                    f"<DeleteResult><Deleted><Key>{key}</Key></Deleted></DeleteResult>".encode(),
                )
            return
        numbers = [int(one) for one in re.findall(rb"<PartNumber>(\d+)<", told)]
        self.server.objects[path] = b"".join(self.server.parts[one] for one in numbers)
        self._answer(
            200,
            b"<CompleteMultipartUploadResult><Location>l</Location><Bucket>b</Bucket>"
            b"<Key>k</Key><ETag>e</ETag></CompleteMultipartUploadResult>",
        )

    def do_GET(self) -> None:
        data = self.server.objects.get(self._address()[0])
        if data is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._answer(200, data)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def _address(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return parts.path, parse_qs(parts.query, keep_blank_values=True)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"e"')
        self.send_header("Last-Modified", "Tue, 03 Mar 2026 02:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class SmallS3(ThreadingHTTPServer):
    """Objects by path. `refuses` makes every write fail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.refuses = False


@contextmanager
def small_s3() -> Iterator[SmallS3]:
    """A server for one test."""
    server = SmallS3()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
