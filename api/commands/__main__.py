"""`python -m api.commands NAME …`: imports the one module that the command needs and runs it.

A mistake of the user's ends as one line on standard error and an exit code; a defect of ours as
one line too, with its trace in a file that only the owner may read.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback
from typing import Final

from typer.exceptions import Abort, TyperException

from api.commands.terminal import Outcome, TerminalError, complain, set_language
from api.commands.usage import mistake
from records.errors import DomainError

COMMANDS: Final = {
    "serve": "API, pages and worker in one process",
    "demo": "sets everything up and runs the main job",
    "sign": "signs a PDF, any file, or several together",
    "batch": "signs a folder or a list of PDFs with one PIN",
    "prepare": "has a signature made with a key elsewhere",
    "augment": "raises the level of signatures, renews archives",
    "timestamp": "proves that a file exists now",
    "certify": "makes a certified copy",
    "validate": "says what a signed file is worth",
    "verify-qr": "says whether a copy's QR code is genuine, without a network",
    "credentials": "enrols and lists signing credentials",
    "enrol": "enrols whole lists from CSV or XLSX",
    "holders": "renews, re-keys, hands over and ends credentials",
    "renew": "proofs that outlive certificates: what is due, run, look ahead",
    "people": "accounts of people at the screens",
    "ca": "certificates, CRLs, the ceremony",
    "audit": "proves that the audit log is whole",
    "clients": "systems that may call the API",
    "doctor": "checks token, database, clock, disk and says what to do",
    "bench": "measures beside the peers",
    "campaign": "long trials: kills, attacks, soak",
}
EXIT_REFUSED = 1
EXIT_USAGE = 64  # EX_USAGE
EXIT_DEFECT = 70  # EX_SOFTWARE
EXIT_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    os.umask(0o077)  # whatever is written here is its owner's alone
    arguments = set_language(arguments, os.environ)
    name = arguments[0] if arguments else "help"
    if name in {"help", "--help", "-h"}:
        _help()
        return 0
    if name not in COMMANDS:
        complain(TerminalError("command-unknown", name=name[:40]))
        return EXIT_USAGE
    try:
        module = importlib.import_module(f"api.commands.{name.replace('-', '_')}")
        code = module.app(
            args=arguments[1:], prog_name=f"dauso {name}", standalone_mode=False
        )  # 0 after --help
        return code if isinstance(code, int) else 0
    except DomainError as error:
        complain(error)
        return EXIT_REFUSED
    except TyperException as error:
        complain(mistake(error, f"dauso {name}"))
        return EXIT_USAGE
    except BrokenPipeError:
        # The reader (head, less) has had enough; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, Abort):
        return EXIT_INTERRUPTED
    except Outcome as outcome:
        return outcome.code if isinstance(outcome.code, int) else EXIT_REFUSED
    except SystemExit as ended:
        return int(ended.code or 0)
    except Exception as error:  # the last resort of a program
        return _defect(error)


def _help() -> None:
    width = max(len(name) for name in COMMANDS)
    lines = [f"  dauso {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    sys.stdout.write("\n".join(lines) + "\n\n  dauso COMMAND --help\n")


def _defect(error: Exception) -> int:
    """The trace goes into a file: it may name people, and it helps nobody at the terminal."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="dauso-trace-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    complain(f"dauso: {type(error).__name__}; {file.name}")
    return EXIT_DEFECT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
