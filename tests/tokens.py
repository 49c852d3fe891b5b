"""Test tokens. One process opens one SoftHSM configuration, so there is one token directory per
process: the first directory asked for, and the same token again afterwards.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from hsm.softhsm import prepare
from hsm.token import Token, TokenSettings

PIN = "0388-2468"
SO_PIN = "0388-so-1357"

_settings: list[TokenSettings] = []


def test_token(
    directory: Path | None = None,  # noqa: PT028 – not a test
    *,
    label: str = "test",  # noqa: PT028 – not a test
) -> Token:
    """The process's test token, opened (again, if a test closed it).

    `directory` counts the first time only; later calls get the token in that directory. Another
    `label` is another token there, made at the first call.
    """
    for known in _settings:
        if known.label == label and known.softhsm_conf is not None and known.softhsm_conf.exists():
            return Token.open(known)
    home = _home(directory)
    settings = prepare(home, label=label, pin=PIN, so_pin=SO_PIN)
    _settings.append(settings)
    return Token.open(settings)


test_token.__test__ = False  # type: ignore[attr-defined]  # a helper whose name pytest would collect


def _home(directory: Path | None) -> Path:
    for known in _settings:
        if known.softhsm_conf is not None and known.softhsm_conf.exists():
            return known.softhsm_conf.parent
    if directory is not None:
        return directory
    made = Path(tempfile.mkdtemp(prefix="dauso-token-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
