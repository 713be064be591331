"""The catalogue of a lake, asked without DuckDB: whether it is there, how far it is, and the lock of its writers."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from batch_pipeline.errors import InvalidSettings, WarehouseBusy, WarehouseUnreachable
from batch_pipeline.warehouse.attached import in_a_line
from batch_pipeline.warehouse.locations import VARIABLE

if TYPE_CHECKING:
    import psycopg

_CONNECT_SECONDS = 10
# a server finds out within a minute that a host has gone, and does not end a lock that is only held
_PATIENT = """
    SET tcp_keepalives_idle = 30;
    SET tcp_keepalives_interval = 10;
    SET tcp_keepalives_count = 3;
    SET idle_in_transaction_session_timeout = 0;
    SET statement_timeout = 0;
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('batch_pipeline.warehouse', 0))"
_HOLDER = """
    SELECT activity.application_name, activity.client_addr
    FROM pg_locks AS locks
    JOIN pg_stat_activity AS activity USING (pid)
    WHERE locks.locktype = 'advisory' AND locks.granted
        AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND ((locks.classid::bigint << 32) | locks.objid::bigint) = hashtextextended('batch_pipeline.warehouse', 0)
"""


class Catalogue:
    """A database of Postgres.

    Args:
        conninfo: A URL, or `host=… dbname=…`; what is not in it comes from libpq's own variables, such as `PGPASSWORD`.

    Raises:
        InvalidSettings: It is neither, or psycopg is not installed.
    """

    def __init__(self, conninfo: str) -> None:
        try:
            import psycopg
            from psycopg.conninfo import conninfo_to_dict, make_conninfo
        except ModuleNotFoundError as error:
            raise InvalidSettings(
                f"{VARIABLE} names a catalogue in Postgres: pip install 'batch_pipeline[ducklake]'."
            ) from error
        try:
            given: dict[str, Any] = dict(conninfo_to_dict(conninfo))
        except psycopg.ProgrammingError:
            raise InvalidSettings(
                f"{VARIABLE} can't be read: write ducklake:postgresql://user@host/database, and in its user and "
                "password %-codes for signs such as @ and /."
            ) from None
        self.password: str | None = given.pop("password", None)
        self.without_password = make_conninfo("", **{"connect_timeout": _CONNECT_SECONDS, **given})
        self.name = "ducklake:postgresql://{user}{host}{port}/{dbname}".format(
            user=f"{given['user']}@" if "user" in given else "",
            host=given.get("host", ""),
            port=f":{given['port']}" if "port" in given else "",
            dbname=given.get("dbname", ""),
        )

    def snapshot(self) -> int | None:
        """The number of the newest state; None where no lake was ever made there."""
        with self._connected() as connection:
            if connection.execute("SELECT to_regclass('ducklake_snapshot')").fetchall() == [(None,)]:
                return None
            ((newest,),) = connection.execute("SELECT max(snapshot_id) FROM ducklake_snapshot").fetchall()
            return None if newest is None else int(newest)

    @contextmanager
    def lock(self, wait_seconds: float) -> Generator[Callable[[], None]]:
        """The lock of those who write: of a transaction of its own, let go by the server when its process dies.

        Raises:
            WarehouseBusy: Another process held it for longer than `wait_seconds`.
            WarehouseUnreachable: The server is not there.
        """
        import psycopg

        with self._connected() as connection:
            connection.execute(_PATIENT.encode())
            connection.commit()
            connection.execute(f"SET LOCAL lock_timeout = {max(1, round(wait_seconds * 1000))}".encode())
            try:
                connection.execute(_LOCK)
            except psycopg.errors.LockNotAvailable:
                connection.rollback()
                raise WarehouseBusy(
                    f"{self._holder(connection)} has been writing to {self.name} for {wait_seconds:.0f} s. "
                    "Nothing is lost: run this again when it is done."
                ) from None
            yield lambda: self._must_hold(connection)

    def _must_hold(self, connection: psycopg.Connection[Any]) -> None:
        """Before a commit: whose connection was cut may have been followed by another writer."""
        import psycopg

        try:
            connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise self._unreachable(error) from None

    def _holder(self, connection: psycopg.Connection[Any]) -> str:
        found = connection.execute(_HOLDER).fetchone()
        return "Another process" if found is None else f"{found[0] or 'Another process'} at {found[1]}"

    @contextmanager
    def _connected(self) -> Generator[psycopg.Connection[Any]]:
        import psycopg

        name = f"batch_pipeline, process {os.getpid()} of {socket.gethostname()}"[:63]
        try:
            connection = psycopg.connect(self.without_password, password=self.password, application_name=name)
        except psycopg.OperationalError as error:
            raise self._unreachable(error) from None
        try:
            yield connection
        finally:
            connection.close()

    def _unreachable(self, error: Exception) -> WarehouseUnreachable:
        return WarehouseUnreachable(
            f"{self.name} can't be reached: {in_a_line(error)}. Run this again when it is there."
        )
