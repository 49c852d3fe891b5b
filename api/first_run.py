"""The first run of the embedded default: from an empty directory to a working instance.

    house = create(settings, now=now, by="operator:root", told=print)

1. The data directory and its secrets: random PINs, the access-token key, owner-only files.
2. The token (SoftHSM), initialised without a PIN on any command line.
3. The tables.
4. The ceremony, from the reviewed plan, with two generated witness passphrases.

Every step looks first and completes what an interrupted run left. A production token is never
initialised here, nor its ceremony run: those are acts of people, with `dauso ca ceremony`.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from api.auth.access_tokens import new_key
from api.house import House, HouseError, default_plan
from api.settings import Settings, read_secret, write_secret


def prepare_home(settings: Settings) -> None:
    """Step 1: the directory for its owner alone, and the secrets that are not there yet.

    A missing secret in a directory that holds data is never made anew: what the old one closed
    would stay closed, and the cause (a bad restore) would be hidden.
    """
    home = settings.home
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HouseError("file-unwritable", path=home, reason=error.strerror or "") from error
    if home.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise HouseError("home-open-to-others", home=home)
    settings.secrets.mkdir(mode=0o700, exist_ok=True)
    if settings.embedded and not (home / "token").exists():
        for name in ("token.pin", "token.so-pin"):
            _once(settings.secrets / name, secrets.token_urlsafe(24))
    # Losing this one only ends the sessions of the clients.
    _once(settings.secrets / "access-token.pem", new_key())


def create(
    settings: Settings, *, now: datetime, by: str, told: Callable[[str], None] = lambda _text: None
) -> House:
    """A working instance under ``settings.home``; does only what is still missing.

    ``told`` hears about each slow step. Raises like House.open, and `home-busy` when another
    process is at it for too long.
    """
    prepare_home(settings)
    with _alone(settings.home):
        house = House(settings)
        try:
            prepare(house)
            house.token.check()
            if settings.embedded and not house.authority.issuers():
                told("ceremony")
                _ceremony(house, now=now, by=by)
        except BaseException:
            house.close()
            raise
        house.close()
    return House.open(settings, now=now)


def prepare(house: House) -> None:
    """Steps 1 to 3; a token is made only while no certificate depends on one.

    A lost token is never replaced by an empty one: that would hide the loss.
    """
    from hsm import softhsm

    settings = house.settings
    prepare_home(settings)
    house.database.migrate()
    if not settings.embedded or house.trust.anchors:
        return
    softhsm.prepare(
        settings.home / "token",
        label=settings.token_label,
        pin=read_secret(settings.secrets / "token.pin"),
        so_pin=read_secret(settings.secrets / "token.so-pin"),
    )


def _ceremony(house: House, *, now: datetime, by: str) -> None:
    from ca.ceremonies.ceremony import RootSettings, run_ceremony
    from ca.ceremonies.plan import load_plan
    from ca.ceremonies.root_secret import Witness

    settings = house.settings
    plan = load_plan(default_plan())
    witnesses = []
    for number, name in enumerate(plan.witnesses, start=1):
        path = settings.secrets / f"witness-{number}.passphrase"
        _once(path, secrets.token_urlsafe(24))
        witnesses.append(Witness(name, read_secret(path)))
    run_ceremony(
        plan,
        root_settings=RootSettings(settings.home / "root"),
        token=house.token,
        database=house.database,
        base_url=settings.base_url,
        witnesses=witnesses,
        now=now,
        by=by,
    )


def _once(path: Path, text: str) -> None:
    if not path.exists():
        write_secret(path, text)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two first runs at once: the second waits, then finds everything done."""
    descriptor = os.open(home / ".first-run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
