"""An SMTP server that keeps what it is given: `with running() as mail: mail.taken`."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Mail:
    """What came in; `failures` mails more are refused for now (451)."""

    url: str = ""
    failures: int = 0
    taken: list[EmailMessage] = field(default_factory=list)


@contextmanager
def running() -> Iterator[Mail]:
    """The server on this machine, while the block lasts (RFC 5321, as much as a client needs)."""
    mail = Mail()

    class Talk(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 test")
            for line in self.rfile:
                verb = line.strip().upper()
                if verb.startswith((b"EHLO", b"HELO")):
                    self.say("250 test")
                elif verb.startswith(b"QUIT"):
                    return self.say("221 bye")
                elif verb == b"DATA":
                    self.say("354 go on")
                    data = b"".join(iter(self.rfile.readline, b".\r\n"))
                    mail.taken.append(message_from_bytes(data, policy=policy.default))
                    self.say("250 taken")
                elif verb.startswith(b"MAIL") and mail.failures > 0:
                    mail.failures -= 1
                    self.say("451 later")
                else:
                    self.say("250 ok")
            return None

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk)
    server.daemon_threads = True
    mail.url = f"smtp://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield mail
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
