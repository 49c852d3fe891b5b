"""The embedded default token: SoftHSM in a directory of our own.

    settings = prepare(home / "token", label="dauso", pin=pin, so_pin=so_pin)
    token = Token.open(settings)

Each directory has its own configuration, so the service's token and the root's are apart; one
process opens only one of them (SoftHSM reads its configuration once).
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hsm.errors import HsmError, TokenUnavailable
from hsm.token import TokenSettings

MODULE_PLACES: Final = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
    Path("/opt/homebrew/lib/softhsm/libsofthsm2.so"),
)
"""Where distributions put SoftHSM 2 (Debian and Ubuntu first)."""

_TEMPLATE: Final = Path(__file__).parent.parent / "softhsm.conf"
_CHILD: Final = Path(__file__).with_name("initialise_softhsm.py")
_LABEL_LIMIT: Final = 32


def find_module() -> Path:
    """The SoftHSM library of this machine; HsmError `softhsm-missing` says what to install."""
    for place in MODULE_PLACES:
        if place.is_file():
            return place
    raise HsmError("softhsm-missing")


def prepare(
    directory: Path, *, label: str, pin: str, so_pin: str, module: Path | None = None
) -> TokenSettings:
    """Make sure a token with this label is in `directory`, and say how to open it.

    Doing it again changes nothing; a start that was interrupted half-way is completed. Files are
    the owner's only. HsmError `softhsm-missing`, `token-not-initialised`, `token-label`.
    """
    if not label.strip() or len(label.encode()) > _LABEL_LIMIT:
        raise HsmError("token-label", label=label)
    module = module or find_module()
    directory = directory.resolve()
    tokens = directory / "tokens"
    try:
        for each in (directory, tokens):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            each.chmod(0o700)
        with _alone(directory):
            conf = _write_configuration(directory, tokens)
            _initialise(module, conf, label=label, pin=pin, so_pin=so_pin)
    except OSError as error:
        raise HsmError(
            "token-not-initialised", label=label, reason=error.strerror or "OSError"
        ) from error
    return TokenSettings(module=module, label=label, pin=pin, softhsm_conf=conf)


def existing(directory: Path, *, label: str, pin: str, module: Path | None = None) -> TokenSettings:
    """How to open the token that `prepare` once made; never makes one.

    An empty token in the place of a lost one would hide the loss. TokenUnavailable `token-absent`
    when none is there. The configuration is written anew, as the directory may have been moved.
    """
    module = module or find_module()
    directory = directory.resolve()
    tokens = directory / "tokens"
    if not tokens.is_dir() or not any(tokens.iterdir()):
        raise TokenUnavailable(f"{tokens} is empty", retry_after=60)
    try:
        with _alone(directory):
            conf = _write_configuration(directory, tokens)
    except OSError as error:
        raise TokenUnavailable(error.strerror or "OSError", retry_after=60) from error
    return TokenSettings(module=module, label=label, pin=pin, softhsm_conf=conf)


def _write_configuration(directory: Path, tokens: Path) -> Path:
    conf = directory / "softhsm.conf"
    text = _TEMPLATE.read_text("utf-8").replace("{directory}", str(tokens))
    if not conf.is_file() or conf.read_text("utf-8") != text:
        fresh = directory / "softhsm.conf.new"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        fresh.replace(conf)
    return conf


def _initialise(module: Path, conf: Path, *, label: str, pin: str, so_pin: str) -> None:
    wanted = {"module": str(module), "label": label, "pin": pin, "so_pin": so_pin}
    done = subprocess.run(  # noqa: S603 – our own file, run by our own interpreter
        [sys.executable, "-I", "-S", str(_CHILD)],
        input=json.dumps(wanted),
        env={**os.environ, "SOFTHSM2_CONF": str(conf)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise HsmError("token-not-initialised", label=label, reason=reason)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Two processes starting at once must not both initialise the token."""
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
