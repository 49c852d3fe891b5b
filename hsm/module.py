"""The PKCS#11 module loaded in this process: initialised once, finalised with its last token.

A module is process-wide by its nature (C_Initialize, one login state per token), so this is the
one place that keeps state for the process: which modules are loaded, and their generation. A new
generation means every session and session object of the one before is gone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pkcs11

from hsm.errors import HsmError
from hsm.thread import TokenThread

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library

_loaded: Final[dict[Path, Module]] = {}
_state: Final = {"forked": False}
"""Whether this process was forked from one that had a module initialised."""


class Module:
    """One loaded module, its thread, and how often it has been initialised."""

    def __init__(self, path: Path, softhsm_conf: Path | None) -> None:
        self.path = path
        self.softhsm_conf = softhsm_conf
        self.thread = TokenThread()
        self.generation = 0
        self.users = 0
        self.library: Library | None = None

    def initialise(self) -> Library:
        """C_Initialize, on the thread. SoftHSM reads SOFTHSM2_CONF now and never again."""
        if self.softhsm_conf is not None:
            os.environ["SOFTHSM2_CONF"] = str(self.softhsm_conf)
        self.library = pkcs11.lib(str(self.path))
        self.generation += 1
        return self.library

    def reinitialise(self) -> Library:
        """C_Finalize and C_Initialize: the only way back after a token went away."""
        self.finalise()
        return self.initialise()

    def finalise(self) -> None:
        if self.library is not None:
            library, self.library = self.library, None
            library.finalize()


def acquire(path: Path, softhsm_conf: Path | None) -> Module:
    """The process's module for `path`, loaded if it is not; pair with `release`."""
    if _state["forked"]:
        raise HsmError("module-forked", module=path.name)
    module = _loaded.get(path)
    if module is None:
        if not path.is_file():
            raise HsmError("module-missing", module=str(path))
        module = _loaded[path] = Module(path, softhsm_conf)
    elif module.softhsm_conf != softhsm_conf:
        # One SoftHSM per process reads one configuration: the root's token, which has its own,
        # is opened in a child process.
        raise HsmError("module-configured-otherwise", module=path.name)
    module.users += 1
    return module


def release(module: Module) -> None:
    """One user less; the last one finalises the module and ends its thread."""
    module.users -= 1
    if module.users == 0 and _loaded.get(module.path) is module:
        del _loaded[module.path]
        module.thread.call(module.finalise)
        module.thread.stop()


def _forget_in_child() -> None:
    _state["forked"] = bool(_loaded)
    for module in _loaded.values():
        module.thread.abandon()
    _loaded.clear()


os.register_at_fork(after_in_child=_forget_in_child)
