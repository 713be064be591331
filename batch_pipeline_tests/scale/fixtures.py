"""Where a test's ledger and warehouse are: in files, or on servers that are started when the first test asks for them.

A test that uses `place`, itself or through `make_pipeline`, runs once in each of the places of its folder; all but
`file` carry the mark `scale`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, get_args

import pytest

from batch_pipeline_tests.scale.lakes import new_lake
from batch_pipeline_tests.scale.postgres import NoPostgres, PostgresServer

PlaceName = Literal["file", "postgres", "ducklake", "ducklake_s3", "servers"]
"""`postgres`: the ledger there. `ducklake`, `ducklake_s3`: the warehouse. `servers`: all that can be on servers."""

PLACES: Mapping[str, tuple[PlaceName, ...]] = {
    "ledger": ("file", "postgres"),
    "batches/money/test_admission_at_once.py": ("file", "postgres"),
    "batches/test_cancel.py": ("file", "postgres"),
    "batches/test_collect.py": ("file", "servers"),
    "batches/test_collect.py::test_whatever_comes_back_every_record_has_one_outcome": ("file",),  # minutes elsewhere
    # its processes have no key for the object storage
    "batches/test_collect.py::test_two_processes_that_collect_the_same_batch_collect_it_once": ("file", "postgres"),
    "batches/test_plan.py": ("file", "postgres"),
    "batches/test_recover.py": ("file", "postgres"),
    "batches/test_stopped.py": ("file", "postgres"),
    "batches/test_submit.py": ("file", "postgres"),
    "warehouse": ("file", "ducklake", "ducklake_s3"),
}
"""By folder, file or test of `batch_pipeline_tests`; elsewhere, `file` alone."""


class Place:
    """Where the ledger and the warehouse of one test are.

    Attributes:
        name: Of the place.
    """

    def __init__(self, name: PlaceName, request: pytest.FixtureRequest, stack: ExitStack) -> None:
        self.name = name
        self._request = request
        self._stack = stack
        self._settings: dict[Path, dict[str, object]] = {}

    def settings(self, data_dir: Path) -> dict[str, object]:
        """Settings for a pipeline with that data folder: the same ledger and warehouse whenever it is asked again."""
        if data_dir not in self._settings:
            self._settings[data_dir] = self._new(data_dir)
        return dict(self._settings[data_dir])

    def _new(self, data_dir: Path) -> dict[str, object]:
        ledger = {"ledger_url": self.database()} if self.name in {"postgres", "servers"} else {}
        return {**ledger, **self._lake(data_dir)}

    def _lake(self, data_dir: Path) -> dict[str, object]:
        if self.name not in {"ducklake", "ducklake_s3", "servers"}:
            return {}
        postgres: PostgresServer = self._request.getfixturevalue("postgres")
        if self.name == "ducklake":
            return new_lake(postgres, data_dir / "lake", self._stack)
        return new_lake(postgres, self._request.getfixturevalue("object_storage"), self._stack)

    def database(self) -> str:
        """An empty database of Postgres, until the end of the test; its address."""
        server: PostgresServer = self._request.getfixturevalue("postgres")
        url = server.new_database()
        self._stack.callback(server.drop, url)
        return url


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test in each of its places."""
    if "place" in metafunc.fixturenames:
        metafunc.parametrize("place", [_parameter(name) for name in _places_of(metafunc)], indirect=True)


def _places_of(metafunc: pytest.Metafunc) -> tuple[PlaceName, ...]:
    path = metafunc.definition.path.relative_to(Path(__file__).parent.parent)
    names = [
        f"{path.as_posix()}::{metafunc.definition.originalname}",
        *(each.as_posix() for each in (path, *path.parents)),
    ]
    return next((PLACES[name] for name in names if name in PLACES), ("file",))


def _parameter(name: PlaceName) -> object:
    if name == "file":
        return pytest.param(name, id=pytest.HIDDEN_PARAM)  # its tests are named as if there were no others
    return pytest.param(name, marks=pytest.mark.scale)


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Generator[Place]:
    """Where the ledger and the warehouse of this test are."""
    name: PlaceName = request.param
    assert name in get_args(PlaceName)
    with ExitStack() as stack:
        yield Place(name, request, stack)


@pytest.fixture
def ledger_url(place: Place, tmp_path: Path) -> str:
    """The address of a ledger that nobody has opened yet."""
    return str(place.settings(tmp_path).get("ledger_url", f"sqlite:///{tmp_path / 'var' / 'ledger.db'}"))


@contextmanager
def started_postgres() -> Generator[PostgresServer]:
    """A server for the length of the block; where there can be none, the test is skipped."""
    try:
        server = PostgresServer.start()
    except NoPostgres as why:
        pytest.skip(str(why))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """A server, started when the first test asks for it."""
    with started_postgres() as server:
        yield server
