"""Settings: read once, refused in plain words when they contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.settings import Settings, SettingsError, read_secret, write_secret


def refused(**environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({f"DAUSO_{name}": text for name, text in environment.items()})
    assert caught.value.message("vi") != caught.value.code
    return caught.value.code


def test_embedded_default(tmp_path: Path) -> None:
    """`./dauso serve` on 127.0.0.1:8000, embedded default, data under the home."""
    settings = Settings.from_environment({"DAUSO_HOME": str(tmp_path)})
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.base_url == "http://127.0.0.1:8000"
    assert settings.embedded
    assert settings.database_url == f"sqlite:///{tmp_path}/dauso.sqlite"


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"PORT": "0"}, "setting-number"),
        ({"PORT": "eight"}, "setting-number"),
        ({"PORT": "٨٠٠٠"}, "setting-number"),
        ({"BASE_URL": "kyso.example"}, "setting-base-url"),
        ({"BASE_URL": "https://kyso.example?x=1"}, "setting-base-url"),
        ({"HOST": "0.0.0.0"}, "setting-base-url-missing"),
        ({"DATABASE_URL": "mysql://x"}, "setting-database-url"),
        (
            {"DATABASE_URL": "postgresql+psycopg://u:secret@h/d"},
            "setting-database-password",
        ),
        ({"PKCS11_MODULE": "/nowhere/module.so"}, "setting-module-absent"),
        ({"LOG_LEVEL": "loud"}, "setting-log-level"),
        ({"TOKEN_LABLE": "x"}, "setting-unknown"),
    ],
)
def test_contradictions_refuse(environment: dict[str, str], code: str) -> None:
    """DESIGN.md §3.8: contradictory settings refuse to start, in plain words."""
    assert refused(**environment) == code


def test_a_module_needs_its_token_label(tmp_path: Path) -> None:
    """A production token is named, never guessed."""
    module = tmp_path / "module.so"
    module.touch()
    assert refused(PKCS11_MODULE=str(module)) == "setting-token-label-missing"


def test_the_database_address_is_not_shown() -> None:
    """Secrets never in repr."""
    settings = Settings.from_environment({"DAUSO_DATABASE_URL": "sqlite:///hidden"})
    assert "hidden" not in repr(settings)


def test_secrets_are_the_owners_alone(tmp_path: Path) -> None:
    """A secret that others can read is no secret: refused, with the command that mends it."""
    path = tmp_path / "secrets" / "token.pin"
    write_secret(path, "1234 5678")
    assert read_secret(path) == "1234 5678"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_secret(path, "other")
    path.chmod(0o640)
    with pytest.raises(SettingsError) as caught:
        read_secret(path)
    assert caught.value.code == "secret-open-to-others"
    assert "chmod 600" in caught.value.message("en")
    with pytest.raises(SettingsError) as caught:
        read_secret(tmp_path / "none")
    assert caught.value.code == "secret-absent"
