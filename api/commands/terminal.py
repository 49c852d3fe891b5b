"""What all commands share at the terminal: language, words, PINs, files, the opened house."""

from __future__ import annotations

import errno
import getpass
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.settings import Settings, read_secret
from records.errors import DomainError

if TYPE_CHECKING:
    from api.house import House

_language = ["vi"]
_REASONS = {
    errno.ENOENT: ("không có tệp hoặc thư mục này", "there is no such file or folder"),
    errno.EISDIR: ("đây là thư mục", "it is a directory"),
    errno.ENOTDIR: (
        "một phần của đường dẫn không phải thư mục",
        "part of the path is no directory",
    ),
    errno.EACCES: ("không có quyền", "permission denied"),
    errno.EPERM: ("không có quyền", "permission denied"),
    errno.ENOSPC: ("đĩa đã đầy", "the disk is full"),
    errno.EROFS: ("đĩa chỉ cho đọc", "the disk is read-only"),
    errno.ENAMETOOLONG: ("tên tệp quá dài", "the name is too long"),
}


class Outcome(SystemExit):
    """A verdict as the exit code, which the usage errors of the parser must not be taken for."""


class TerminalError(DomainError):
    """A file or an answer at the terminal is not usable."""


def set_language(arguments: list[str], environment: Mapping[str, str]) -> list[str]:
    """Take `--lang` out of the arguments; without it, English only where the locale is English."""
    locale = (
        environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    )
    chosen = "en" if locale.lower().startswith("en") else "vi"
    rest: list[str] = []
    waiting = iter(arguments)
    for one in waiting:
        if one == "--lang":
            chosen = next(waiting, "")
        elif one.startswith("--lang="):
            chosen = one.partition("=")[2]
        else:
            rest.append(one)
    _language[0] = chosen if chosen in {"vi", "en"} else "vi"
    return rest


def language() -> str:
    """`vi` or `en`, for this run."""
    return _language[0]


def say(vietnamese: str, english: str) -> None:
    """One line of the result, in the language of this run."""
    sys.stdout.write((english if language() == "en" else vietnamese) + "\n")


def say_json(value: Any) -> None:
    """One JSON object per line: programs read the output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def complain(what: DomainError | str) -> None:
    """One line on standard error."""
    line = what.message(language()) if isinstance(what, DomainError) else what
    sys.stderr.write(" ".join(line.split()) + "\n")
    sys.stderr.flush()


def now() -> datetime:
    """The time of this command: the only clock the command line reads."""
    return datetime.now(UTC)


def operator() -> str:
    """Who runs the command, for the audit log."""
    try:
        return f"operator:{getpass.getuser()}"
    except (OSError, KeyError):  # a user id without a name
        return f"operator:uid-{os.getuid()}"


@contextmanager
def opened_house(*, create: bool = False, only_look: bool = False) -> Iterator[House]:
    """The instance that the environment names; with ``create`` an embedded one is set up first,
    with ``only_look`` it is taken as it was left."""
    from api.first_run import create as first_run
    from api.house import House

    settings = Settings.from_environment()
    if create:
        house = first_run(settings, now=now(), by=operator(), told=_told)
    else:
        house = House.open(settings, now=now(), only_look=only_look)
    with house:
        yield house


@contextmanager
def unopened_house() -> Iterator[House]:
    """The same, with nothing opened yet: for commands that need only some of the parts."""
    from api.house import House

    with House(Settings.from_environment()) as house:
        yield house


def ask_pin(prompt: str, source: Path | None) -> str:
    """A PIN from an owner-only file, from a line of standard input (`-`), or asked for unseen.

    Never from an argument: every user of the machine can read those.
    """
    if source is not None and str(source) == "-":
        pin = sys.stdin.readline().rstrip("\r\n")
    elif source is not None:
        read_file(source)  # one that is not there is no secret of the service's
        pin = read_secret(source)
    elif sys.stdin.isatty():
        pin = getpass.getpass(f"{prompt}: ")
    else:
        raise TerminalError("pin-source-missing")
    if not pin:
        raise TerminalError("pin-empty")
    return pin


def new_pin(prompt: str, source: Path | None) -> str:
    """A PIN chosen now: asked for twice when a person types it."""
    pin = ask_pin(prompt, source)
    if source is None and getpass.getpass(f"{prompt} (2): ") != pin:
        raise TerminalError("pin-differs")
    return pin


def reason_of(error: OSError) -> str:
    """Why the system refused, in the language of this run where we have the words."""
    vietnamese, english = _REASONS.get(error.errno or 0, (None, None))
    known = english if language() == "en" else vietnamese
    return known or error.strerror or type(error).__name__


def read_file(path: Path) -> bytes:
    """The whole file, or one clear line about why not."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TerminalError("file-unreadable", path=path, reason=reason_of(error)) from error


def write_file(path: Path, data: bytes, *, force: bool = False, private: bool = False) -> None:
    """Whole or not at all, and never over an existing file unless that was said.

    `private` makes it its owner's alone: one-time codes.
    """
    if path.exists() and not force:
        raise TerminalError("file-exists", path=path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch(mode=0o600 if private else 0o666)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TerminalError("file-unwritable", path=path, reason=reason_of(error)) from error


def parse_time(text: str | None) -> datetime | None:
    """An ISO 8601 time; without a zone it is Vietnam's."""
    from api.local_time import VIETNAM

    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TerminalError("time-unreadable", value=text) from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=VIETNAM)


def _told(step: str) -> None:
    if step == "ceremony":
        say(
            "Lần chạy đầu: đang tạo khóa và chứng thư gốc…",
            "First run: making the root and the issuers…",
        )
