"""Nearest neighbours among embeddings, by the cosine of the angle between them: 1 is the same direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_pipeline.warehouse.names import quoted, text_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DUPLICATE = 0.9
"""From this similarity on, two records of a repository stand in the view of duplicates."""


@dataclass(frozen=True)
class Neighbour:
    """A record near another one; `title` is that of an issue, None of anything else."""

    record_id: str
    repo: str | None
    similarity: float
    title: str | None


@dataclass(frozen=True)
class Embedded:
    """A record that has an embedding: by which model, in how many numbers."""

    record_id: str
    model: str
    dimensions: int


_FIND = """
    SELECT record_id, model, len(embedding)
    FROM {latest}
    WHERE record_id = $record_id
    ORDER BY answered_at DESC
    LIMIT 1
"""

# FLOAT[n] has the function that is vectorized; the tables keep FLOAT[], which every catalogue can hold
_NEAREST = """
    WITH wanted AS (
        SELECT repo, CAST(embedding AS FLOAT[{n}]) AS embedding
        FROM {latest}
        WHERE record_id = $record_id AND model = $model
        LIMIT 1
    )
    SELECT other.record_id, other.repo,
        array_cosine_similarity(CAST(other.embedding AS FLOAT[{n}]), wanted.embedding) AS similarity, issues.title
    FROM wanted, {latest} AS other
    LEFT JOIN issues USING (record_id)
    WHERE other.record_id <> $record_id AND other.model = $model AND len(other.embedding) = {n}
        AND ($everywhere OR other.repo IS NOT DISTINCT FROM wanted.repo)
    ORDER BY similarity DESC, other.record_id
    LIMIT $limit
"""

_DUPLICATES = """
    CREATE OR REPLACE VIEW {view} AS
    WITH embedded AS (
        SELECT record_id, repo, CAST(embedding AS FLOAT[{n}]) AS embedding
        FROM {latest}
        WHERE model = {model} AND len(embedding) = {n}
    )
    SELECT later.repo, later.record_id, earlier.record_id AS duplicate_of,
        array_cosine_similarity(later.embedding, earlier.embedding) AS similarity
    FROM embedded AS later
    JOIN embedded AS earlier
        ON earlier.repo IS NOT DISTINCT FROM later.repo
        AND (len(earlier.record_id), earlier.record_id) < (len(later.record_id), later.record_id)
    WHERE array_cosine_similarity(later.embedding, earlier.embedding) >= {least}
"""


_VIEW = "SELECT sql FROM duckdb_views() WHERE view_name = ? AND database_name = current_database()"


def embedded(connection: DuckDBPyConnection, task: str, record_id: str) -> Embedded | None:
    """The record as the task has embedded it last; None where it has not."""
    found = connection.execute(_FIND.format(latest=_latest(task)), {"record_id": record_id}).fetchone()
    return Embedded(record_id, str(found[1]), int(found[2])) if found else None


def nearest(
    connection: DuckDBPyConnection, task: str, record: Embedded, *, limit: int, everywhere: bool
) -> list[Neighbour]:
    """The records nearest to one, the nearest first; of its own repository alone, or of all.

    Only embeddings of the same model and size can be compared, and are.
    """
    sql = _NEAREST.format(latest=_latest(task), n=record.dimensions)
    values = {"record_id": record.record_id, "model": record.model, "everywhere": everywhere, "limit": limit}
    rows = connection.execute(sql, values).fetchall()
    return [Neighbour(str(name), repo, float(similarity), title) for name, repo, similarity, title in rows]


def make_duplicates_view(connection: DuckDBPyConnection, task: str, model: str) -> None:
    """Makes the view `<task>_duplicates` anew: pairs of one repository, by the model that embedded last."""
    sizes = f"SELECT len(embedding) FROM {quoted(task)} WHERE model = ? ORDER BY answered_at DESC LIMIT 1"  # noqa: S608 - quoted
    if found := connection.execute(sizes, [model]).fetchone():
        view = quoted(f"{task}_duplicates")
        size, told = int(found[0]), text_literal(model)
        known = connection.execute(_VIEW, [f"{task}_duplicates"]).fetchone()
        if known is None or f"FLOAT[{size}]" not in str(known[0]) or f"= {told})" not in str(known[0]):
            sql = _DUPLICATES.format(view=view, latest=_latest(task), model=told, n=size, least=DUPLICATE)
            connection.execute(sql)


def _latest(task: str) -> str:
    return quoted(f"{task}_latest")
