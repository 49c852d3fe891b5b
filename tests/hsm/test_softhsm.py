"""The embedded token: made once, the owner's only, no PIN where others can see it."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hsm import softhsm
from hsm.errors import HsmError, TokenUnavailable
from hsm.mechanisms import KeyAlgorithm
from hsm.softhsm import existing, prepare
from hsm.token import Token

PINS = {"pin": "0389-1122", "so_pin": "0389-3344"}


def _tokens(directory: Path) -> list[str]:
    return sorted(each.name for each in (directory / "tokens").iterdir() if each.is_dir())


def test_preparing_twice_changes_nothing(tmp_path: Path) -> None:
    """ "Set-up is idempotent and quick the second time"."""
    first = prepare(tmp_path / "token", label="dauso", **PINS)
    made = _tokens(tmp_path / "token")
    assert len(made) == 1
    assert prepare(tmp_path / "token", label="dauso", **PINS) == first
    assert _tokens(tmp_path / "token") == made


def test_several_processes_starting_at_once_make_one_token(tmp_path: Path) -> None:
    """N API processes and M workers may all meet an empty directory."""
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: prepare(tmp_path / "token", label="dauso", **PINS), range(6)))
    assert len(_tokens(tmp_path / "token")) == 1


def test_everything_is_the_owners_only(tmp_path: Path) -> None:
    """Data "readable by the owner only"."""
    old = os.umask(0)
    try:
        prepare(tmp_path / "token", label="dauso", **PINS)
    finally:
        os.umask(old)
    for each in [tmp_path / "token", *(tmp_path / "token").rglob("*")]:
        mode = stat.S_IMODE(each.stat().st_mode)
        assert mode & 0o077 == 0, f"{each.name} is {mode:o}"


def test_a_start_cut_short_is_completed(tmp_path: Path) -> None:
    """C_InitToken done, C_InitPIN not: the next start sets the PIN."""
    directory = tmp_path / "token"
    settings = prepare(directory, label="other", **PINS)
    script = (
        "import ctypes, sys; sys.argv=['x'];"
        f"sys.path.insert(0, {str(softhsm._CHILD.parent)!r});"
        "import initialise_softhsm as i;"
        f"lib = ctypes.CDLL({str(settings.module)!r}); label = b'dauso'.ljust(32);"
        "i._call(lib, 'C_Initialize', None); slot, _ = i._find(lib, label);"
        f"so = {PINS['so_pin'].encode()!r};"
        "i._call(lib, 'C_InitToken', ctypes.c_ulong(slot), so, i._length(so), label)"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "SOFTHSM2_CONF": str(settings.softhsm_conf)},
        check=True,
    )
    completed = prepare(directory, label="dauso", **PINS)
    assert len(_tokens(directory)) == 2
    assert _in_child(_open_and_sign, completed) == "signed"


def test_no_pin_in_the_arguments_of_any_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract of the rooms: never a PIN in argv, which every user of the machine can read."""
    seen: list[Any] = []
    run = subprocess.run

    def watched(arguments: Any, **options: Any) -> Any:
        seen.append((arguments, {**options, "input": None}))
        return run(arguments, **options)

    monkeypatch.setattr("hsm.softhsm.subprocess.run", watched)
    settings = prepare(tmp_path / "token", label="dauso", **PINS)
    assert len(seen) == 1
    assert PINS["pin"] not in json.dumps(seen, default=str)
    assert PINS["so_pin"] not in json.dumps(seen, default=str)
    assert PINS["pin"] not in repr(settings)


def test_several_directories_on_one_machine(tmp_path: Path) -> None:
    """DESIGN 4: the root lives on its own token; a process opens one configuration, so the other
    is opened in a process of its own, at the same time."""
    service = prepare(tmp_path / "service", label="dauso", **PINS)
    root = prepare(tmp_path / "root", label="dauso", **PINS)
    assert service.softhsm_conf != root.softhsm_conf
    assert _in_child(_open_both, (service, root)) == "module-configured-otherwise"
    assert _in_child(_open_one_after_the_other, (service, root)) == "signed"


def test_a_forked_child_must_not_touch_the_module(tmp_path: Path) -> None:
    """PERFORMANCE: "Spawn workers, never fork after initialising": said, not crashed or hung."""
    settings = prepare(tmp_path / "token", label="dauso", **PINS)
    assert _in_child(_fork_and_open, settings) == "module-forked token-closed"


def test_a_wrong_pin_is_said(tmp_path: Path) -> None:
    """One clear message that tells where to look, and no PIN in it."""
    settings = prepare(tmp_path / "token", label="dauso", pin="0389-9999", so_pin="0389-3344")
    again = prepare(tmp_path / "token", label="dauso", **PINS)
    assert _in_child(_code_of_opening, settings) == "opened"
    assert _in_child(_code_of_opening, again) == "token-pin-wrong"


def test_an_absent_token_is_said(tmp_path: Path) -> None:
    """A token that is absent at start."""
    settings = prepare(tmp_path / "token", label="dauso", **PINS)
    (tmp_path / "token" / "tokens").rename(tmp_path / "token" / "away")
    assert _in_child(_code_of_opening, settings) == "token-absent"


def test_a_lost_token_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    """A service that was set up opens its token or says that it is gone; it never makes another."""
    made = prepare(tmp_path / "token", label="dauso", **PINS)
    assert existing(tmp_path / "token", label="dauso", pin=PINS["pin"]) == made
    (tmp_path / "token").rename(tmp_path / "moved")
    with pytest.raises(TokenUnavailable):
        existing(tmp_path / "token", label="dauso", pin=PINS["pin"])
    assert not (tmp_path / "token").exists()
    moved = existing(tmp_path / "moved", label="dauso", pin=PINS["pin"])
    assert _in_child(_open_and_sign, moved) == "signed"


def test_a_missing_module_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "One clear line that says which to install"."""
    monkeypatch.setattr(softhsm, "MODULE_PLACES", (tmp_path / "none.so",))
    with pytest.raises(HsmError) as error:
        prepare(tmp_path / "token", label="dauso", **PINS)
    assert error.value.code == "softhsm-missing"
    assert "softhsm2" in error.value.message("vi")


def test_a_module_that_cannot_do_it_is_said(tmp_path: Path) -> None:
    """A library that is no PKCS#11 module: a domain error, not a traceback."""
    module = tmp_path / "module.so"
    module.write_bytes(b"no library")
    with pytest.raises(HsmError) as error:
        prepare(tmp_path / "token", label="dauso", module=module, **PINS)
    assert error.value.code == "token-not-initialised"
    assert PINS["pin"] not in str(error.value)


@pytest.mark.parametrize("label", ["", "   ", "x" * 33, "Sở Tư pháp tỉnh của chúng ta"])
def test_labels_fit_the_token(tmp_path: Path, label: str) -> None:
    """PKCS#11 v2.40, 3.2: the label is 32 bytes, padded with blanks."""
    with pytest.raises(HsmError) as error:
        prepare(tmp_path / "token", label=label, **PINS)
    assert error.value.code == "token-label"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the way, a full or read-only disk: named, and nothing half-done."""
    (tmp_path / "token").write_text("in the way")
    with pytest.raises(HsmError) as error:
        prepare(tmp_path / "token", label="dauso", **PINS)
    assert error.value.code == "token-not-initialised"


# In processes of their own --------------------------------------------------------------------


def _in_child(work: Any, argument: Any) -> str:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answer: str = pool.apply(work, (argument,))
        return answer


def _code_of_opening(settings: Any) -> str:
    try:
        Token.open(settings).close()
    except (HsmError, TokenUnavailable) as error:
        return error.code
    return "opened"


def _open_and_sign(settings: Any) -> str:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    token = Token.open(settings)
    key: Any = token.key(token.generate(KeyAlgorithm.P_256, label="child").key_id)
    signature = key.sign(b"data", ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(signature, b"data", ec.ECDSA(hashes.SHA256()))
    token.close()
    return "signed"


def _open_both(both: Any) -> str:
    service, root = both
    token = Token.open(service)
    try:
        Token.open(root)
    except HsmError as error:
        token.check()
        return error.code
    return "opened"


def _open_one_after_the_other(both: Any) -> str:
    return [_open_and_sign(each) for each in both][-1]


def _fork_and_open(settings: Any) -> str:
    token = Token.open(settings)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        codes = []
        for attempt in (lambda: Token.open(settings), token.check):
            try:
                attempt()
            except HsmError as error:
                codes.append(error.code)
        os.write(writer, " ".join(codes).encode())
        os._exit(0)
    os.waitpid(child, 0)
    token.check()
    return os.read(reader, 1000).decode()
