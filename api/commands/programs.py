"""Programs that live outside the rooms (benchmarks, campaigns), found by name."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Sequence
from pathlib import Path

from api.commands.terminal import Outcome, TerminalError

NAME_AND_REST = {"allow_extra_args": True, "ignore_unknown_options": True}


def run_program(package: str, name: str, arguments: Sequence[str]) -> None:
    """Run ``main(arguments)`` of the module; its return value is the exit code."""
    known = programs(package)
    name = name.replace("-", "_")
    if name not in known:
        raise TerminalError(
            "bench-unknown", kind=package, name=name[:40], known=listed(package) or "-"
        )
    module = importlib.import_module(f"{package}.{name}")
    raise Outcome(module.main(list(arguments)) or 0)


def listed(package: str) -> str:
    """Their names as they are typed, for people."""
    return ", ".join(name.replace("_", "-") for name in programs(package))


def programs(package: str) -> list[str]:
    """The modules of the package that can be run."""
    if importlib.util.find_spec(package.partition(".")[0]) is None:
        return []
    try:
        found = importlib.import_module(package)
    except ModuleNotFoundError:
        return []
    return [
        one.name
        for one in pkgutil.iter_modules(found.__path__)
        if not one.ispkg and _has_main(f"{package}.{one.name}")
    ]


def _has_main(module: str) -> bool:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return False
    return "\ndef main(arguments" in Path(spec.origin).read_text("utf-8")
