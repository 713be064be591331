"""The ledger on Postgres: by psycopg 3, whoever writes takes its turn, and what goes wrong is told in a sentence."""

from __future__ import annotations

from importlib.util import find_spec

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from batch_pipeline.errors import InvalidSettings, LedgerUnavailable

CONNECT_SECONDS = 10
IDLE_SECONDS = 60
"""A transaction that does nothing for so long was left by a process that is stopped, or cut off: the server ends it."""
LOCK_SECONDS = 90
"""How long to wait for one's turn; longer than `IDLE_SECONDS`: nobody gives up because of one that is stopped."""
STATEMENT_SECONDS = 600

TURN = (0x62617463, 1)
"""The advisory lock that writers take turns by; advisory locks are a database's own."""
NAMES = TURN[0] + 1
"""The class of the advisory locks of `lock`."""

_SESSION = {
    "idle_in_transaction_session_timeout": IDLE_SECONDS * 1000,
    "lock_timeout": LOCK_SECONDS * 1000,
    "statement_timeout": STATEMENT_SECONDS * 1000,
}
_SAFE = ("fsync", "full_page_writes", "synchronous_commit")
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


def is_postgres(url: URL) -> bool:
    """Whether it is one of Postgres, by whatever driver."""
    return url.drivername.partition("+")[0] in {"postgres", "postgresql"}


def engine_of(url: URL) -> Engine:
    """An engine by psycopg 3, whatever driver the URL names; settings of a connection can be given in its query.

    Raises:
        InvalidSettings: psycopg is not installed.
    """
    if find_spec("psycopg") is None:
        raise InvalidSettings(
            "The ledger is on Postgres, and its driver is not installed: pip install 'batch_pipeline[postgres]'."
        )
    given: dict[str, object] = {"connect_timeout": CONNECT_SECONDS, "application_name": "batch_pipeline", **_KEEPALIVE}
    options = [f"-c {name}={value}" for name, value in _SESSION.items()]
    options += url.normalized_query.get("options", ())
    engine = create_engine(
        url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
        connect_args={name: value for name, value in given.items() if name not in url.query}
        | {"options": " ".join(options)},
        isolation_level="READ COMMITTED",  # a compare-and-set that waited for another sees what that one wrote
        pool_pre_ping=True,
        pool_recycle=1800,
        use_native_hstore=False,
    )
    event.listen(engine, "begin", _take_turn)
    return engine


def readers(connection: Connection) -> Connection:
    """The same connection, for a transaction that sees one state throughout and writes nothing."""
    return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def lock(engine: Engine, name: str, *, wait: bool) -> Connection | None:
    """A connection that has `name` to itself until it is closed, or its process dies; None where another one has."""
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT", reads_only=True)
    connection.detach()  # never of use to anybody else: the lock is the session's
    try:
        for setting in ("lock_timeout", "statement_timeout"):
            connection.exec_driver_sql(f"SET {setting} = 0")
        call = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
        got = connection.scalar(text(f"SELECT {call}({NAMES}, hashtext(:name))"), {"name": name})
    except BaseException:
        connection.close()
        raise
    if got is False:
        connection.close()
        return None
    return connection


def unsafe_settings(db: Connection) -> list[str]:
    """Settings of the server without which a crash of its machine takes back what was committed."""
    if db.dialect.name != "postgresql":
        return []
    return [name for name in _SAFE if db.scalar(text(f"SHOW {name}")) == "off"]


def unavailable(url: URL, error: DBAPIError) -> LedgerUnavailable | None:
    """What went wrong with the server or the connection, in a sentence without the password; None for anything else."""
    where = f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"
    state: object = getattr(error.orig, "sqlstate", None)
    if state in _WAITED:
        return LedgerUnavailable(
            f"The ledger at {where} {_WAITED[str(state)]}; nothing of it is written: run it again."
        )
    if error.connection_invalidated or (state is not None and str(state)[:3] in {"57P", "080"}):
        return LedgerUnavailable(
            f"The connection to the ledger at {where} was lost in the middle ({_reason(error)}); "
            "run it again: what was written is found there, and what was sent is looked for first."
        )
    if isinstance(error, (OperationalError, InterfaceError)) and error.statement is None:
        return LedgerUnavailable(_not_reached(where, _reason(error)))
    return None


_WAITED = {
    "25P03": f"ended a transaction that did nothing for {IDLE_SECONDS} s",
    "40P01": "ended one of two transactions that waited for each other",
    "55P03": f"was written by others for longer than {LOCK_SECONDS} s",
    "57014": f"took longer than {STATEMENT_SECONDS} s for one statement",
}


def _not_reached(where: str, reason: str) -> str:
    if "authentication failed" in reason or "no password supplied" in reason:
        return f"The ledger at {where} refused the user or the password: correct BATCH_PIPELINE_LEDGER_URL."
    if "database" in reason and "does not exist" in reason:
        return f"There is no database for the ledger at {where}: create it, or correct BATCH_PIPELINE_LEDGER_URL."
    return f"The ledger at {where} can't be reached ({reason}): start its server, or correct BATCH_PIPELINE_LEDGER_URL."


def _reason(error: DBAPIError) -> str:
    """The server's own words, or the library's, in short; they name the user at most."""
    first = next((line for line in str(error.orig).splitlines() if line.strip()), "no reason given")
    return first.rpartition("failed: ")[2].removeprefix("FATAL:").strip().rstrip(".") or first


def _take_turn(connection: Connection) -> None:
    """A transaction that reads before it writes must not be overtaken in between: one after the other, as on SQLite.

    A statement of its own: what follows it sees what those before have committed.
    """
    options = connection.get_execution_options()
    if not options.get("reads_only", False) and options.get("alone", True):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURN[0]}, {TURN[1]})")
