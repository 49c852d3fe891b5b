"""`dauso people`: accounts made, changed and disabled at the terminal."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from api.commands.__main__ import main


def test_accounts_at_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`dauso people add` prints a link of this machine's name; a mistake is one line."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for name in [one for one in os.environ if one.startswith("DAUSO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAUSO_HOME", str(home))

    def people(*arguments: str) -> tuple[int, str, str]:
        status = main(["people", *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    who = ("add", "Lê Văn Thử", "--number", "038800000102", "--unit", "14797", "--role", "signer")
    status, out, error = people(*who, "--json")
    assert status == 0, error
    made = json.loads(out)
    assert made["sign_in_link"].startswith("http://localhost:8000/sign-in/link/")
    assert people(*who)[0] == 1
    assert people("roles", made["account_id"], "--role", "king")[2].count("\n") == 1
    assert "clerk" in people("roles", made["account_id"], "--role", "clerk")[1]
    assert made["account_id"] in people("list", "thử")[1]
    assert people("disable", made["account_id"])[0] == 0
    assert people("link", made["account_id"])[0] == 1
    assert people("enable", made["account_id"])[0] == 0
    assert "localhost" in people("link", made["account_id"])[1]
