"""Alembic's entry: runs the revisions on the connection it is given."""

from __future__ import annotations

from typing import cast

from alembic import context
from sqlalchemy import Connection

from batch_pipeline.ledger.tables import metadata

connection = cast(Connection, context.config.attributes["connection"])
context.configure(connection=connection, target_metadata=metadata)
context.run_migrations()
