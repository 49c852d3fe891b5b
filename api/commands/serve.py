"""`dauso serve`: API, pages and scheduled work in one process."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from typing import Annotated

import typer

from api.commands.terminal import (
    TerminalError,
    complain,
    language,
    now,
    opened_house,
    say,
)
from api.settings import DEFAULT_PORT, Settings

app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def serve(
    work: Annotated[bool, typer.Option(help="Run the scheduled work in this process")] = True,
) -> None:
    """Serve on DAUSO_HOST and DAUSO_PORT (127.0.0.1:8000); the first run sets everything up."""
    # The port first: nobody should wait for a ceremony to hear that it is taken.
    settings = Settings.from_environment()
    listening = bind(settings.host, settings.port)
    with listening, opened_house(create=True) as house:
        import uvicorn

        from api.app import create_app
        from api.batch_work import BatchWorkers
        from api.health import examine_chain
        from api.interpreter import tune
        from api.request_log import configure
        from api.schedule import TASKS
        from api.work import Work

        configure(house.settings.log_level)
        for one in examine_chain(house, now()):
            if one.state != "ok":
                complain(one.text(language()))
        application = create_app(house)
        schedule = Work(application.state.services, TASKS)
        batches = BatchWorkers(application.state.services)
        tune()
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=20,
        )
        say(f"Dấu Số: {house.settings.base_url}", f"Dấu Số: {house.settings.base_url}")
        if work:
            schedule.start()
            batches.start()
        # uvicorn raises the signal again when it has ended; the default would end us on the spot,
        # before workers, schedule and token are closed.
        signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            if work:
                batches.stop()
                schedule.stop()


def bind(host: str, port: int) -> socket.socket:
    """The listening socket; `port-in-use` or `port-not-allowed` in one line."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY; without, each kept connection waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        where = {"host": host, "port": port}
        if error.errno == errno.EADDRINUSE:
            after = port + 1 if port < 65535 else DEFAULT_PORT
            raise TerminalError("port-in-use", next=after, **where) from error
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise TerminalError("port-not-allowed", **where) from error
        reason = error.strerror or str(error)
        raise TerminalError("address-unusable", reason=reason, **where) from error
    return listening
