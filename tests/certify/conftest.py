"""The town hall every test of this room may work in."""

from __future__ import annotations

import pytest

from tests.certify.town_hall import TownHall, town_hall
from tests.world import World


@pytest.fixture
def hall(world: World) -> TownHall:
    """A unit with a certifying official and a seal, on a database of each kind."""
    return town_hall(world)
