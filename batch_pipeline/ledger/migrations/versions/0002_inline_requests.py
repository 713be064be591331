"""Requests that are sent in the body of the create, and not as a file: the hash of what was sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the column."""
    op.add_column("sends", sa.Column("sent_sha256", sa.String(), nullable=True))


def downgrade() -> None:
    """Takes it away."""
    op.drop_column("sends", "sent_sha256")
