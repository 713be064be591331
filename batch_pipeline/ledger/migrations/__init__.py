"""The schema's history, run by Alembic when the ledger is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, inspect, text

HEAD = "0003"
"""The newest revision; `test_migrations.py` compares it with the folder."""


def upgrade(engine: Engine) -> None:
    """Brings the schema to `HEAD`; importing Alembic costs 0.4 s, so it is asked only where something is to do."""
    if _revision(engine) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, "head")


def _revision(engine: Engine) -> str | None:
    with engine.connect() as db:
        if not inspect(db).has_table("alembic_version"):
            return None
        return db.scalar(text("SELECT version_num FROM alembic_version"))
