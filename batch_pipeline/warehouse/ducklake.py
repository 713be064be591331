"""The warehouse on DuckLake: a catalogue in Postgres, the data in Parquet files in a folder or on object storage."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from batch_pipeline.errors import InvalidSettings
from batch_pipeline.warehouse import extensions, object_storage
from batch_pipeline.warehouse.attached import ATTACHED, AttachedStore, in_a_line
from batch_pipeline.warehouse.names import quoted, text_literal
from batch_pipeline.warehouse.postgres_catalogue import Catalogue

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from batch_pipeline.warehouse.locations import DuckLake


class LakeStore(AttachedStore):
    """A lake.

    Args:
        lake: Where it is.
    """

    def __init__(self, lake: DuckLake) -> None:
        super().__init__()
        self._lake = lake

    @cached_property
    def catalogue(self) -> Catalogue:
        """What lists the tables and their files."""
        return Catalogue(self._lake.catalogue)

    @property
    @override
    def name(self) -> str:
        """The catalogue's URL, without a password."""
        return self.catalogue.name

    @override
    def exists(self) -> bool:
        """Whether the catalogue was made."""
        return self.catalogue.snapshot() is not None

    @override
    def version(self) -> int:
        """The number of the newest snapshot."""
        return self.catalogue.snapshot() or 0

    @override
    def lock(self, wait_seconds: float) -> AbstractContextManager[Callable[[], None]]:
        """An advisory lock of Postgres, of a transaction of its own."""
        return self.catalogue.lock(wait_seconds)

    @override
    def _reachable(self) -> tuple[str, ...]:
        return (self._lake.data,)

    @override
    def _attach(self, connection: DuckDBPyConnection, *, read_only: bool) -> None:
        if "://" in self._lake.data:
            extensions.load(connection, "httpfs")
            connection.execute(object_storage.secret(self._lake.data))
        else:
            Path(self._lake.data).mkdir(parents=True, exist_ok=True, mode=0o700)
        extensions.load(connection, "postgres_scanner", "ducklake")
        connection.execute(self._password())
        self._attach_lake(connection, ", READ_ONLY" if read_only else "")

    def _password(self) -> str:
        """In a secret: what is attached is shown to whoever asks for the databases."""
        password = self.catalogue.password
        given = "" if password is None else f", PASSWORD {text_literal(password)}"
        return f"CREATE SECRET warehouse_catalogue (TYPE postgres{given})"

    def _attach_lake(self, connection: DuckDBPyConnection, only: str) -> None:
        import duckdb

        catalogue, data = f"ducklake:postgres:{self.catalogue.without_password}", text_literal(self._lake.data)
        options = f"DATA_PATH {data}, META_SECRET 'warehouse_catalogue', DATA_INLINING_ROW_LIMIT 0{only}"
        try:
            connection.execute(f"ATTACH {text_literal(catalogue)} AS {ATTACHED} ({options})")
        except duckdb.Error as error:
            if "does not match existing data path" not in str(error):
                raise
            raise InvalidSettings(
                f"{self.name} has its data elsewhere than the settings say: {in_a_line(error)}. "
                "Set BATCH_PIPELINE_WAREHOUSE_DATA to where it is."
            ) from None


def is_lake(connection: DuckDBPyConnection) -> bool:
    """Whether what is used here is attached from a lake: its tables can be partitioned."""
    return connection.execute(_TYPE).fetchone() == ("ducklake",)


def partition(connection: DuckDBPyConnection, table: str) -> None:
    """What is written to the table from now on lies apart for each repository and night."""
    connection.execute(f"ALTER TABLE {quoted(table)} SET PARTITIONED BY (repo, night)")


def keep_in_catalogue(connection: DuckDBPyConnection, table: str) -> None:
    """The few rows of this table lie in the catalogue, and in no file."""
    name = text_literal(table)
    connection.execute(f"CALL {ATTACHED}.set_option('data_inlining_row_limit', 100, table_name => {name})")


_TYPE = "SELECT type FROM duckdb_databases() WHERE database_name = current_database()"
