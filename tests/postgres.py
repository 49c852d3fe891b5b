"""A PostgreSQL server for one test run, from the machine's own package.

The first worker that needs it starts it, the others share it. It listens on a Unix socket
only and writes nothing through (`fsync=off`): the data is worth nothing. It ends with the run,
even one that was killed: a small shell waits on a pipe that the run's first process holds
open, and stops the server when that pipe closes.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_VARIABLE = "DAUSO_TEST_POSTGRES"
_USER = "postgres"
_TEMPLATE = "dauso_template"
_OPTIONS = (
    "-c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
    "-c wal_level=minimal -c max_wal_senders=0 -c max_connections=300 -c shared_buffers=64MB "
    "-c autovacuum=off -c max_wal_size=2GB -c log_min_messages=fatal"
)
_ENDS_WITH_THE_RUN = 'read _ < "$1/alive"; "$2" -D "$1/data" -m immediate -s stop; rm -rf "$1"'


def announce() -> Callable[[], None]:
    """Say where the server of this run would be; return how to end it. First process only."""
    if _VARIABLE in os.environ:
        return lambda: None
    directory = Path(tempfile.mkdtemp(prefix="dauso-pg-"))
    os.environ[_VARIABLE] = str(directory)
    directory.chmod(0o755)
    os.mkfifo(directory / "alive")
    (directory / "alive").chmod(0o644)  # the user postgres waits on it, whatever the umask
    alive = os.open(directory / "alive", os.O_RDWR)

    def end() -> None:
        os.environ.pop(_VARIABLE, None)
        started = (directory / "data").exists()
        os.close(alive)
        if not started:
            shutil.rmtree(directory, ignore_errors=True)

    return end


def why_absent() -> str | None:
    """Why there is no server to test on, in words for a skip; None when there can be one."""
    if _programs() is None:
        return "PostgreSQL's server is not installed (Debian: apt install postgresql)"
    if os.geteuid() == 0 and not _knows_user():
        return "PostgreSQL refuses to run as root and there is no user postgres"
    return None


@contextmanager
def fresh_database(migrate: Callable[[str], None], name: str) -> Iterator[str]:
    """The address of a new database `name`, migrated once and copied from then on."""
    directory = Path(os.environ[_VARIABLE])
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "ready").exists():
            _start(directory)
            _execute(directory, f"CREATE DATABASE {_TEMPLATE}")
            migrate(_address(directory, _TEMPLATE))
            (directory / "ready").touch()
    _execute(directory, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    try:
        yield _address(directory, name)
    finally:
        _execute(directory, f"DROP DATABASE {name} WITH (FORCE)")


def _start(directory: Path) -> None:
    programs = _programs()
    assert programs is not None
    data = directory / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(data, _USER, _USER)
        shutil.chown(directory, _USER)
    run: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        _USER,
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    _run([*run, "--locale=C", "--no-sync", "--no-instructions"], directory)
    options = f"{_OPTIONS} -c unix_socket_directories={directory}"
    log = directory / "log"
    control = programs / "pg_ctl"
    _run([control, "-D", data, "-l", log, "-o", options, "-w", "-s", "start"], directory)
    subprocess.Popen(
        ["/bin/sh", "-c", _ENDS_WITH_THE_RUN, "sh", str(directory), str(control)],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **_as_user(),
    )


def _run(command: Sequence[str | Path], directory: Path) -> None:
    done = subprocess.run(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
        **_as_user(),
    )
    if done.returncode:
        log = directory / "log"
        told = log.read_text("utf-8", "replace") if log.exists() else ""
        raise RuntimeError(f"PostgreSQL did not start: {done.stderr}{told}")


def _execute(directory: Path, statement: str) -> None:
    """One statement outside a transaction; again while the template is being copied."""
    for attempt in range(50):
        try:
            with psycopg.connect(_plain(directory, "postgres"), autocommit=True) as connection:
                connection.execute(statement.encode())
            return
        except psycopg.errors.ObjectInUse:
            if attempt == 49:
                raise
            time.sleep(0.1)


def _address(directory: Path, name: str) -> str:
    return f"postgresql+psycopg://{_USER}@/{name}?host={directory}"


def _plain(directory: Path, name: str) -> str:
    return f"postgresql://{_USER}@/{name}?host={directory}"


def _as_user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _knows_user() -> bool:
    try:
        pwd.getpwnam(_USER)
    except KeyError:
        return False
    return True


def _programs() -> Path | None:
    """The newest installed version's programs: Debian's place, then the search path."""
    versions = [
        path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")
        if re.fullmatch(r"\d+", path.parts[-3])
    ]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    return None if found is None else Path(found).resolve().parent
