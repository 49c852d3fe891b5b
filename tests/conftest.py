"""What every room's tests share: a database of each kind, a blob store, a moment in time."""

from __future__ import annotations

import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from records.blobs import BlobStore
from records.database import Database
from tests import postgres

pytest_plugins = [
    f"tests.{plugin}" for plugin in ("world",) if (Path(__file__).parent / f"{plugin}.py").exists()
]


# The suite answers alike on every machine and every day: drawn examples are the same ones, and a
# slow machine is no finding. New ground is for `pytest --hypothesis-profile=explore`.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", deadline=None, max_examples=2_000)
settings.load_profile("suite")

# Few tests that take long: a worker is given whole modules, so these begin first, and none of them
# is left running alone at the end while the other processors wait.
LONG_WITH_FEW_TESTS = (
    "tests/flows/test_demonstration.py",
    "tests/test_house.py",
    "tests/flows/test_stories.py",
    "tests/certify/test_kills.py",
    "tests/api/test_command_line.py",
    "tests/api/test_two_houses.py",
    "tests/api/test_desk_browser.py",
    "tests/signer/test_files_of_others.py",
    "tests/signer/test_reports.py",
    "tests/api/test_large_documents.py",
    "tests/ca/test_plans.py",
    "tests/api/test_ca_command.py",
    "tests/api/test_enrol_command.py",
    "tests/signer/test_evidence_records.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long modules first, then by the number of tests, most first; whole modules stay together."""
    module = {item: item.location[0] for item in items}
    tests_in = Counter(module.values())
    first = {path: place for place, path in enumerate(LONG_WITH_FEW_TESTS)}

    def turn(item: pytest.Item) -> tuple[int, int, str]:
        path = module[item]
        return first.get(path, len(first)), -tests_in[path], path

    items.sort(key=turn)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "house: rules every file of every room keeps")
    config.add_cleanup(postgres.announce())


@pytest.fixture
def now() -> datetime:
    """A Tuesday morning in Việt Nam."""
    return datetime(2026, 3, 3, 2, 0, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Callable[[], Path]
) -> Iterator[Database]:
    """An empty, migrated database; every test that takes it runs on both kinds."""
    if request.param == "sqlite":
        path = tmp_path / "database" / "dauso.sqlite"
        path.parent.mkdir(mode=0o700)
        shutil.copyfile(sqlite_template(), path)
        with _disposed(f"sqlite:///{path}") as made:
            yield made
        return
    reason = postgres.why_absent()
    if reason is not None:
        pytest.skip(reason)
    with (
        postgres.fresh_database(_migrate, f"test_{uuid.uuid4().hex}") as address,
        _disposed(address) as made,
    ):
        yield made


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """A migrated SQLite file to copy, made when first asked for."""
    path = tmp_path_factory.mktemp("template") / "dauso.sqlite"

    def made() -> Path:
        if not path.exists():
            _migrate(f"sqlite:///{path}")
        return path

    return made


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """A local blob store of the test's own."""
    return BlobStore(str(tmp_path / "blobs"))


def _migrate(address: str) -> None:
    """Migrate and close: the last SQLite connection folds its log into the file."""
    with _disposed(address) as database:
        database.migrate()


class _disposed:
    """A database that is closed at the end, so that it can be copied or dropped."""

    def __init__(self, address: str) -> None:
        self._database = Database(address)

    def __enter__(self) -> Database:
        return self._database

    def __exit__(self, *_: object) -> None:
        self._database.dispose()
