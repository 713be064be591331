"""The schema's history, run by Alembic when the ledger is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from batch_pipeline.ledger.tables import metadata

HEAD = "0004"
"""The newest revision; `test_migrations.py` compares it with the folder."""


def upgrade(engine: Engine) -> None:
    """Brings the schema to `HEAD`; importing Alembic costs 0.4 s, so it is asked only where something is to change."""
    if _revision(engine) == HEAD or _made_new(engine):
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, "head")


def _made_new(engine: Engine) -> bool:
    """A ledger with nothing in it gets its tables as they are now; `test_migrations.py` compares the two ways.

    Of two who come at once, the second waits, and finds it made.
    """
    with engine.begin() as db:
        if found := inspect(db).get_table_names():
            return "alembic_version" in found and _version(db) == HEAD
        metadata.create_all(db, checkfirst=False)
        _note_head(db)
    return True


def _note_head(db: Connection) -> None:
    """As Alembic would."""
    db.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    db.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _revision(engine: Engine) -> str | None:
    with engine.connect().execution_options(reads_only=True) as db:
        return _version(db) if inspect(db).has_table("alembic_version") else None


def _version(db: Connection) -> str | None:
    return db.scalar(text("SELECT version_num FROM alembic_version"))
