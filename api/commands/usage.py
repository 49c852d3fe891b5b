"""A command that was typed wrongly, told in one line of the user's language.

The parser's own words are English and take four lines; which kind of mistake it was is what we take
from it.
"""

from __future__ import annotations

from typing import Any

from typer.exceptions import TyperException

from api.commands.terminal import TerminalError


def mistake(error: TyperException, command: str) -> TerminalError:
    """What was wrong, and where the help is: `usage-…`."""
    context = getattr(error, "ctx", None)
    help_of = f"{context.command_path if context is not None else command} --help"
    match type(error).__name__:
        case "MissingParameter":
            return TerminalError("usage-missing", name=_name(error), help=help_of)
        case "NoSuchOption":
            option: Any = getattr(error, "option_name", "")
            return TerminalError("usage-option-unknown", name=str(option)[:40], help=help_of)
        case "BadParameter":
            reason = error.message[:200]
            return TerminalError("usage-value", name=_name(error), reason=reason, help=help_of)
        case "UsageError" if error.message.startswith("Missing command"):
            return TerminalError("usage-missing", name="COMMAND", help=help_of)
        case _:
            return TerminalError("usage-other", reason=error.format_message()[:200], help=help_of)


def _name(error: TyperException) -> str:
    """`--option` or ARGUMENT, as the help has it."""
    hint = getattr(error, "param_hint", None)
    if isinstance(hint, str):
        return hint
    parameter: Any = getattr(error, "param", None)
    if parameter is None:
        return "?"
    options = [one for one in parameter.opts if one.startswith("--")]
    return options[0] if options else str(parameter.name).upper()
