"""A service under test: the application over a small world, with a clock that the test sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.auth import clients
from api.auth.access_tokens import new_key
from api.house import House
from api.services import Services
from api.settings import Settings, write_secret
from certify.office import Office
from tests.certify.town_hall import TownHall, town_hall
from tests.world import World

ONLY_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@dataclass
class Service:
    """The running application and what a test needs to ask it."""

    http: TestClient
    house: House
    world: World
    now: datetime
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        wired: Services = self.http.app.state.services
        return wired

    def client(self, name: str, *scopes: str, units: list[str] | None = None) -> str:
        """Make a client; its secret."""
        made = clients.create(
            self.house.database,
            self.services.secrets,
            client_id=name,
            name=name,
            scopes=scopes,
            units=units,
            now=self.now,
            by="operator:test",
        )
        self.secrets[name] = made.secret
        return made.secret

    def bearer(self, *scopes: str, name: str = "procedure-system", **more: Any) -> dict[str, str]:
        """The headers of an authenticated client."""
        if name not in self.secrets:
            self.client(name, *scopes, **more)
        answer = self.http.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials", "scope": " ".join(scopes)},
            auth=(name, self.secrets[name]),
        )
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def tags(self) -> list[str]:
        """The tags of the audit log, in order."""
        from sqlalchemy import select

        from records.models import AuditEntry

        with self.house.database.reading() as session:
            return list(session.scalars(select(AuditEntry.tag).order_by(AuditEntry.position)))

    def later(self, by: timedelta) -> None:
        self.now += by


def house_of(world: World, home: Path, **settings: Any) -> House:
    """A house whose parts are those of the world."""
    home.mkdir(mode=0o700, exist_ok=True)
    write_secret(home / "secrets" / "access-token.pem", new_key().rstrip("\n"))
    wanted = {
        "home": home,
        "database_url": "sqlite:///unused",
        "blobs": str(home / "blobs"),
        "base_url": world.base_url,
        **settings,
    }
    house = House(Settings(**wanted))
    parts = ("database", "blobs", "token", "authority", "responder", "tsa", "custody", "trust")
    house.__dict__.update({name: getattr(world, name) for name in (*parts, "desk")})
    house.__dict__["office"] = Office(
        desk=world.desk, database=world.database, blobs=world.blobs, base_url=world.base_url
    )
    return house


@pytest.fixture
def service(world: World, tmp_path: Path) -> Iterator[Service]:
    """The application; raise_server_exceptions is off, as a real server answers 500."""
    house = house_of(world, tmp_path / "home")
    made = Service(http=None, house=house, world=world, now=world.now)  # type: ignore[arg-type]  # set below
    app = create_app(house, clock=lambda: made.now)
    with TestClient(app, base_url=world.base_url, raise_server_exceptions=False) as http:
        made.http = http
        yield made


@pytest.fixture
def hall(service: Service) -> TownHall:
    """A unit with a certifying official and a seal."""
    return town_hall(service.world)
