"""Numbers that pass 2,147,483,647: tokens of a large job, GitHub's ids, seconds after 2038. SQLite has one size."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_COLUMNS = (("jobs", "input_tokens"), ("batches", "input_tokens"), ("repos", "github_id"), ("webhooks", "signed_at"))


def upgrade() -> None:
    """Makes room."""
    _become(sa.Integer(), sa.BigInteger())


def downgrade() -> None:
    """Takes it away, unless there is a number that needs it."""
    _become(sa.BigInteger(), sa.Integer())


def _become(old: sa.types.TypeEngine[int], new: sa.types.TypeEngine[int]) -> None:
    if op.get_context().dialect.name != "sqlite":
        for table, column in _COLUMNS:
            op.alter_column(table, column, existing_type=old, type_=new)
