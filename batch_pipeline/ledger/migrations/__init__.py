"""The schema's history, run by Alembic when the ledger is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from batch_pipeline.ledger.tables import metadata

HEAD = "0003"
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
    """A ledger with nothing in it gets its tables as they are now; `test_migrations.py` compares the two ways."""
    with engine.begin() as db:
        if engine.dialect.name != "sqlite" or inspect(db).get_table_names():  # elsewhere two may come at once
            return False
        metadata.create_all(db)
        _note_head(db)
    return True


def _note_head(db: Connection) -> None:
    """As Alembic would."""
    db.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    db.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})


def _revision(engine: Engine) -> str | None:
    with engine.connect() as db:
        if not inspect(db).has_table("alembic_version"):
            return None
        return db.scalar(text("SELECT version_num FROM alembic_version"))
