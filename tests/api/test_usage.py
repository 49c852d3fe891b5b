"""Commands that are typed wrongly: one line each, in the user's language, and never a trace."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.commands.__main__ import main
from api.commands.terminal import TerminalError, ask_pin, complain, set_language
from api.settings import SettingsError
from signer.errors import ActivationRefused

Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Iterator[Typed]:
    """Exit code and what stands on standard error."""
    mask = os.umask(0o077)

    def run(*arguments: object) -> tuple[int, str]:
        code = main([str(one) for one in arguments])
        return code, capsys.readouterr().err

    yield run
    os.umask(mask)
    set_language([], {})


@pytest.mark.parametrize(
    ("arguments", "vietnamese", "english"),
    [
        (["validate"], "Thiếu FILES.", "FILES is missing."),
        (["sign", "a.pdf"], "Thiếu --credential.", "--credential is missing."),
        (["sign", "--nope"], "Không có tùy chọn --nope.", "There is no option --nope."),
        (["ca"], "Thiếu COMMAND.", "COMMAND is missing."),
        (["ca", "nope"], "Lệnh chưa đúng:", "The command is not right:"),
        (["validate", "a", "--report", "x"], "--report không dùng được", "--report cannot be used"),
        (["nope"], "Không có lệnh nope.", "There is no command nope."),
    ],
)
def test_one_line(typed: Typed, arguments: list[str], vietnamese: str, english: str) -> None:
    """EX_USAGE, what was wrong, and where the help is."""
    for language, told in (("vi", vietnamese), ("en", english)):
        code, line = typed(*arguments, "--lang", language)
        assert code == 64
        assert told in line
        assert "help" in line
        assert line.count("\n") == 1


def test_files_that_cannot_be_read(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder, a file that is not there: each told in its line, and the others are judged."""
    monkeypatch.delenv("DAUSO_TEST_POSTGRES")  # no setting of the service's
    monkeypatch.setenv("DAUSO_HOME", str(tmp_path / "none"))
    code, lines = typed("validate", tmp_path, tmp_path / "absent.pdf")
    assert code == 3
    assert lines.splitlines() == [
        f"Không đọc được {tmp_path}: đây là thư mục",
        f"Không đọc được {tmp_path}/absent.pdf: không có tệp hoặc thư mục này",
    ]


def test_pin_files(tmp_path: Path) -> None:
    """A PIN file that is no file is not taken for a lost secret of the service's."""
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(TerminalError) as caught:
            ask_pin("PIN", path)
        assert caught.value.code == "file-unreadable"
    noise = tmp_path / "noise"
    noise.write_bytes(b"\xff\xfe\xff")
    noise.chmod(0o600)
    with pytest.raises(SettingsError) as refused:
        ask_pin("PIN", noise)
    assert refused.value.code == "secret-unreadable"


def test_a_wrong_pin_says_how_many_attempts_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    """The fifth wrong one locks the key for good: nobody should come to it unwarned."""
    complain(ActivationRefused("pin-wrong", left=2))
    assert capsys.readouterr().err == (
        "Mã PIN không đúng. Còn 2 lần thử trước khi khóa ký bị khóa lại.\n"
    )
