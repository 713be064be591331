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
from batch_pipeline.ledger.migrations import HEAD
from batch_pipeline.ledger.tables import metadata
from batch_pipeline_tests.ledger.rows import ledger_in

FOLDER = str(Path(migrations.__file__).parent)


def migrate(engine: Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", FOLDER)
    with engine.begin() as db:
        config.attributes["connection"] = db
        (command.downgrade if revision == "base" else command.upgrade)(config, revision)


def test_the_tables_and_the_migrations_agree(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    migrate(ledger.engine, "base")  # a new one is made from the tables themselves
    migrate(ledger.engine, "head")
    with ledger.read() as db:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(db, opts=options), metadata) == []
    ledger.close()


def test_a_new_ledger_is_as_one_that_took_every_step(tmp_path: Path) -> None:
    """It is made without Alembic, whose import is a fifth of a small plan."""
    ledger = ledger_in(tmp_path)
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


def test_a_downgrade_takes_everything_away_and_an_upgrade_brings_it_back(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    migrate(ledger.engine, "base")
    assert inspect(ledger.engine).get_table_names() == ["alembic_version"]
    migrate(ledger.engine, "head")
    assert set(inspect(ledger.engine).get_table_names()) == {*metadata.tables, "alembic_version"}
    ledger.close()


def test_a_ledger_that_is_up_to_date_is_opened_without_alembic(tmp_path: Path) -> None:
    """Importing it costs 0.4 s, at each start of the command."""
    ledger_in(tmp_path).engine.dispose()
    script = (
        "import sys; from pathlib import Path;"
        "from batch_pipeline_tests.ledger.rows import ledger_in;"
        "ledger_in(Path(sys.argv[1])).engine; assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


KILLED_IN_THE_MIDDLE = """
import os, sys
from pathlib import Path
from sqlalchemy import Engine, event
from batch_pipeline_tests.ledger.rows import ledger_in

made = []

@event.listens_for(Engine, "after_cursor_execute")
def count(connection, cursor, statement, *rest):
    made.extend(["table"] if "CREATE TABLE" in statement else [])
    if len(made) == 5:
        os._exit(9)

ledger_in(Path(sys.argv[1])).engine
"""


def test_a_process_that_dies_while_it_makes_the_tables_leaves_the_next_one_to_make_them(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(tmp_path)], check=False)
    assert died.returncode == 9
    assert (tmp_path / "var" / "ledger.db").exists()
    ledger = ledger_in(tmp_path)
    with ledger.begin() as db:
        assert meta.count_up(db, "counter") == 1
    ledger.close()
