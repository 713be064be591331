"""Moves a ledger, a warehouse and the files of batches from this host's disk to servers.

The source is only read, and nobody can write it meanwhile. Each table is copied in one transaction, and compared by
its rows and a sum over them; a run that was killed is run again, knows what is there already, and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from batch_pipeline.batches.points import reach
from batch_pipeline.batches.storage.disk import Disk
from batch_pipeline.batches.storage.moving import files_of, storage
from batch_pipeline.errors import PipelineError, UsageError
from batch_pipeline.ledger import copying as ledgers
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.warehouse import copying as warehouses
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.locations import DuckDBFile, located

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection
    from sqlalchemy import Connection

    from batch_pipeline.batches.pipeline import Pipeline

What = Literal["ledger", "warehouse", "files"]
State = Literal["to copy", "copied", "there already"]

LOCK_SECONDS = 60.0
"""How long to wait for who writes the warehouse now."""


@dataclass(frozen=True)
class Target:
    """Where to; what is None stays where it is."""

    ledger_url: str | None = field(default=None, repr=False)
    warehouse_url: str | None = field(default=None, repr=False)
    files_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Part:
    """A table, or all files; `rows` are rows of a table, or files."""

    what: What
    name: str
    rows: int
    state: State


Told = Callable[[Part], None]


def migrate_to(pipeline: Pipeline, target: Target, told: Told = lambda _: None, *, dry: bool = False) -> list[Part]:
    """Copies what has a target; the source stays as it is.

    Args:
        pipeline: As the settings have it now: in files.
        target: Where to.
        told: Is told of each part when it is there.
        dry: Only look at what there is.

    Raises:
        UsageError: Nothing is to be moved, the source is no file, something is being sent or planned, or the target has
            other data.
        PipelineError: What is there is not what was copied.
        WarehouseBusy: Others write the warehouse.
        LedgerUnavailable: Others write the ledger, or its server is not there.
        FilesUnreachable: The storage is not there.
    """
    if target == Target():
        raise UsageError("Nothing is to be moved: give --ledger-url, --warehouse-url or --files-url.")
    _must_be_files(pipeline, target)
    with _held(pipeline, target) as source:
        move = _Move(pipeline, target, source, told)
        return move.look() if dry else move.run()


def _must_be_files(pipeline: Pipeline, target: Target) -> None:
    _ledger_file(pipeline)
    if target.warehouse_url and not isinstance(pipeline.warehouse.location, DuckDBFile):
        raise UsageError(
            "The warehouse is on a server already: unset BATCH_PIPELINE_WAREHOUSE_URL to move one from a file."
        )
    if target.files_url and pipeline.settings.files_url is not None:
        raise UsageError("The files of batches are in an object storage already: leave --files-url out.")


@contextmanager
def _held(pipeline: Pipeline, target: Target) -> Generator[Connection]:
    """The ledger to read, while nobody can write it, nor the warehouse: its lock first, as a collection has it."""
    with ExitStack() as stack:
        if target.warehouse_url:
            if not pipeline.warehouse.path.exists():
                raise UsageError(f"There is no warehouse at {pipeline.warehouse.path}: leave --warehouse-url out.")
            stack.enter_context(pipeline.warehouse.patient(LOCK_SECONDS).write_lock())
        source = stack.enter_context(ledgers.held(_ledger_file(pipeline)))
        if unsettled := ledgers.unsettled(source):
            raise UsageError(
                f"Being sent or planned right now: {', '.join(unsettled[:5])}{', …' if unsettled[5:] else ''}. "
                "Stop what sends, run `batch-pipeline collect JOB` of these, and this again."
            )
        yield source


def _ledger_file(pipeline: Pipeline) -> Path:
    file = ledgers.file_of(pipeline.settings.ledger)
    if file is None:
        raise UsageError("The ledger is on a server already: unset BATCH_PIPELINE_LEDGER_URL to move one from a file.")
    return file


class _Move:
    """One run."""

    def __init__(self, pipeline: Pipeline, target: Target, source: Connection, told: Told) -> None:
        self._pipeline = pipeline
        self._target = target
        self._source = source
        self._told = told
        self._parts: list[Part] = []
        self._pipeline_id = (Disk().read(pipeline.data_dir / "pipeline-id") or b"").decode().strip()

    def look(self) -> list[Part]:
        """What would be copied."""
        if self._target.ledger_url:
            for table in ledgers.all_tables():
                self._tell("ledger", table.name, ledgers.sum_of(self._source, table).rows, "to copy")
        if self._target.warehouse_url:
            with warehouses.opened(self._pipeline.warehouse.path) as source:
                for table in warehouses.tables(source):
                    self._tell("warehouse", table.name, warehouses.sum_there(source, table).rows, "to copy")
        if self._target.files_url:
            self._tell("files", "batches", len(files_of(self._pipeline.data_dir)), "to copy")
        return self._parts

    def run(self) -> list[Part]:
        """Copies; the files first, the ledger last: a ledger that is there finds what it names."""
        if self._target.files_url:
            self._files(self._target.files_url)
        if self._target.warehouse_url:
            self._warehouse(self._target.warehouse_url)
        if self._target.ledger_url:
            self._ledger(self._target.ledger_url)
        self._close()
        return self._parts

    def _close(self) -> None:
        """Says there that all of it is there: what differs from then on has been in use."""
        if self._target.warehouse_url:
            with self._target_warehouse(self._target.warehouse_url) as warehouse:
                warehouse.transact(lambda db: warehouses.put_note(db, self._pipeline_id, done=True))
        if self._target.ledger_url:
            with closing(Ledger(self._target.ledger_url)) as ledger, ledger.begin() as db:
                ledgers.put_note(db, {**(ledgers.note(db) or {}), "done_at": time.time()})

    @contextmanager
    def _target_warehouse(self, url: str) -> Generator[Warehouse]:
        with closing(Warehouse(located(url, self._pipeline.settings.warehouse[1]))) as warehouse:
            yield warehouse

    def _tell(self, what: What, name: str, rows: int, state: State) -> None:
        part = Part(what, name, rows, state)
        self._parts.append(part)
        self._told(part)

    def _files(self, url: str) -> None:
        data_dir = self._pipeline.data_dir
        files = files_of(data_dir)
        jobs = {path.parts[1] for path in files if len(path.parts) > 2}  # batches/JOB/FILE
        with storage(url, data_dir) as there:
            there.must_be_for(self._pipeline_id, sorted(jobs))
            put = 0
            for path in files:
                put += there.put(data_dir, path)
                reach("move.file")
        self._tell("files", "batches", len(files), "copied" if put else "there already")

    def _warehouse(self, url: str) -> None:
        file = self._pipeline.warehouse.path
        with self._target_warehouse(url) as warehouse:
            if isinstance(warehouse.location, DuckDBFile) and warehouse.path.resolve() == file.resolve():
                raise UsageError("The warehouse's target is the warehouse itself: give another --warehouse-url.")
            with warehouses.opened(file) as source:
                sums = {table: warehouses.sum_there(source, table) for table in warehouses.tables(source)}
            done = warehouse.transact(self._begin_warehouse)
            with warehouse.read() as db:
                here = {table: warehouses.sum_here(db, table) for table in sums}
            for table, wanted in sums.items():
                if here[table] != wanted:
                    if done:
                        raise UsageError(_USED.format(what="warehouse", name=table.name))
                    warehouse.transact(lambda db, table=table, wanted=wanted: _copy(db, file, table, wanted))
                    reach("move.warehouse_table")
                state: State = "there already" if here[table] == wanted else "copied"
                self._tell("warehouse", table.name, wanted.rows, state)
            if not done:
                warehouse.transact(lambda db: _copy_views(db, file))

    def _begin_warehouse(self, db: DuckDBPyConnection) -> bool:
        """Takes the target for this pipeline; whether all of it was there at the end of an earlier run."""
        known = warehouses.note(db)
        if known is None:
            if warehouses.has_data(db):
                raise UsageError(_FOREIGN.format(what="warehouse", option="--warehouse-url"))
            warehouses.put_note(db, self._pipeline_id, done=False)
            return False
        if known[0] != self._pipeline_id:
            raise UsageError(_FOREIGN.format(what="warehouse", option="--warehouse-url"))
        return known[1]

    def _ledger(self, url: str) -> None:
        if (file := ledgers.file_of(url)) and file.resolve() == _ledger_file(self._pipeline).resolve():
            raise UsageError("The ledger's target is the ledger itself: give another --ledger-url.")
        with closing(Ledger(url)) as ledger:
            with ledger.begin() as db:
                done = self._begin_ledger(db)
            sums = {table.name: ledgers.sum_of(self._source, table) for table in ledgers.all_tables()}
            with ledger.read() as db:
                here = {table.name: ledgers.sum_of(db, table) for table in ledgers.all_tables()}
            others = [name for name, wanted in sums.items() if here[name] != wanted]
            if others and done:
                raise UsageError(_USED.format(what="ledger", name=others[0]))
            if any(here[name].rows for name in others):  # the source went on after a run that was killed
                with ledger.begin() as db:
                    ledgers.clear(db)
                others = list(sums)
            for table in ledgers.all_tables():
                if table.name in others:
                    with ledger.begin() as db:
                        ledgers.copy(self._source, db, table)
                        _must_be_same("ledger", table.name, sums[table.name], ledgers.sum_of(db, table))
                        reach("move.ledger_half")
                    reach("move.ledger_table")
                state: State = "copied" if table.name in others else "there already"
                self._tell("ledger", table.name, sums[table.name].rows, state)

    def _begin_ledger(self, db: Connection) -> bool:
        known = ledgers.note(db)
        if known is None:
            if ledgers.has_data(db):
                raise UsageError(_FOREIGN.format(what="ledger", option="--ledger-url"))
            ledgers.put_note(db, {"pipeline_id": self._pipeline_id, "begun_at": time.time()})
            return False
        if known.get("pipeline_id") != self._pipeline_id:
            raise UsageError(_FOREIGN.format(what="ledger", option="--ledger-url"))
        return "done_at" in known


def _copy(db: DuckDBPyConnection, file: Path, table: warehouses.Moving, wanted: warehouses.Sum) -> None:
    warehouses.attach(db, file)
    warehouses.copy(db, table)
    _must_be_same("warehouse", table.name, wanted, warehouses.sum_here(db, table))
    reach("move.warehouse_half")


def _copy_views(db: DuckDBPyConnection, file: Path) -> None:
    warehouses.attach(db, file)
    warehouses.copy_views(db)


def _must_be_same(what: What, name: str, wanted: tuple[int, int], found: tuple[int, int] | None) -> None:
    if wanted != found:
        rows = "none" if found is None else f"{found[0]:,}"
        raise PipelineError(
            f"The {what}'s table {name} would not be the same there ({wanted[0]:,} rows here, {rows} there), so it was "
            "not copied. The source is as it was; look at what else writes the target, or name another."
        )


_FOREIGN = "The {what} that {option} names has other data: nothing was copied there. Name an empty one."
_USED = (
    "The {what} was moved there before, and its table {name} has changed since, here or there: nothing was copied. "
    "If it is in use there, go on with that one; else name an empty one."
)
