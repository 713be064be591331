from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect

from batch_pipeline.ledger import meta, migrations
from batch_pipeline.ledger.engine import Ledger
from batch_pipeline.ledger.migrations import HEAD
from batch_pipeline.ledger.tables import metadata

FOLDER = str(Path(migrations.__file__).parent)


def migrate(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", FOLDER)
    with engine.begin() as db:
        config.attributes["connection"] = db
        (command.downgrade if revision == "base" else command.upgrade)(config, revision)


def test_the_tables_and_the_migrations_agree(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    migrate(ledger.engine, "base")  # a new one is made from the tables themselves
    migrate(ledger.engine, "head")
    with ledger.read() as db:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(db, opts=options), metadata) == []
    ledger.close()


def test_a_new_ledger_is_as_one_that_took_every_step(ledger_url: str) -> None:
    """It is made without Alembic, whose import is a fifth of a small plan."""
    ledger = Ledger(ledger_url)
    made = schema_of(ledger.engine)
    migrate(ledger.engine, "base")
    migrate(ledger.engine, "head")
    assert made == schema_of(ledger.engine)
    ledger.close()


def schema_of(engine: Engine) -> dict[str, object]:
    found = inspect(engine)
    return {
        name: (
            sorted(str({**column, "type": str(column["type"])}) for column in found.get_columns(name)),
            found.get_pk_constraint(name)["constrained_columns"],
            sorted(map(str, found.get_indexes(name))),
            sorted(map(str, found.get_unique_constraints(name))),
            sorted(map(str, found.get_foreign_keys(name))),
        )
        for name in found.get_table_names()
    }


def test_head_is_the_newest_revision_of_the_folder() -> None:
    assert ScriptDirectory(FOLDER).get_heads() == [HEAD]


def test_a_downgrade_takes_everything_away_and_an_upgrade_brings_it_back(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    migrate(ledger.engine, "base")
    assert inspect(ledger.engine).get_table_names() == ["alembic_version"]
    migrate(ledger.engine, "head")
    assert set(inspect(ledger.engine).get_table_names()) == {*metadata.tables, "alembic_version"}
    ledger.close()


def test_a_ledger_that_is_up_to_date_is_opened_without_alembic(ledger_url: str) -> None:
    """Importing it costs 0.4 s, at each start of the command."""
    Ledger(ledger_url).engine.dispose()
    script = (
        "import sys; from batch_pipeline.ledger.engine import Ledger;"
        "Ledger(sys.argv[1]).engine; assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, ledger_url], check=True)


KILLED_IN_THE_MIDDLE = """
import os, sys
from sqlalchemy import Engine, event
from batch_pipeline.ledger.engine import Ledger

made = []

@event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, *rest):
    made.extend(["table"] if "CREATE TABLE" in statement else [])
    if len(made) == 5:
        os._exit(9)

Ledger(sys.argv[1]).engine
"""


def test_a_process_that_dies_while_it_makes_the_tables_leaves_the_next_one_to_make_them(ledger_url: str) -> None:
    died = subprocess.run([sys.executable, "-c", KILLED_IN_THE_MIDDLE, ledger_url], check=False)
    assert died.returncode == 9
    ledger = Ledger(ledger_url)
    with ledger.begin() as db:
        assert meta.count_up(db, "counter") == 1
    ledger.close()
