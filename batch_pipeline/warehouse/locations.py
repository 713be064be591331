"""Where the warehouse is: a DuckDB file, DuckLake with its catalogue in Postgres, or MotherDuck."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from batch_pipeline.errors import InvalidSettings

VARIABLE = "BATCH_PIPELINE_WAREHOUSE_URL"


@dataclass(frozen=True)
class DuckDBFile:
    """One file, on a disk of this machine."""

    path: Path


@dataclass(frozen=True)
class DuckLake:
    """Tables in Parquet files, listed in a catalogue in Postgres.

    `catalogue` is what libpq takes, a URL or `host=… dbname=…`, and may hold a password. `data` is where the files
    are, a folder of every writer's and reader's or `s3://bucket/prefix`, with a slash at its end.
    """

    catalogue: str = field(repr=False)
    data: str


@dataclass(frozen=True)
class MotherDuck:
    """A database there; the token is `MOTHERDUCK_TOKEN`. `lock` is the file that this machine's writers lock."""

    database: str
    lock: Path


Location = DuckDBFile | DuckLake | MotherDuck


def located(url: str, data: str | Path) -> Location:
    """What a URL means.

    Args:
        url: A path, `duckdb:///path`, `ducklake:postgres:host=… dbname=…`, `ducklake:postgresql://…`, or `md:database`.
        data: A folder or `s3://bucket/prefix` for the data of a lake; the URL's own `?data_path=` goes before it.

    Raises:
        InvalidSettings: It is none of these; the URL is not repeated, since it may hold a password.
    """
    if url.startswith("ducklake:"):
        return _lake(url.removeprefix("ducklake:"), str(data))
    if url.startswith("md:"):
        return MotherDuck(url, Path(data).with_suffix(".lock"))
    if found := re.match(r"duckdb:(///)?(?P<path>[^/].*|/.*)", url):
        return DuckDBFile(Path(found["path"]))
    if re.match(r"[a-z][a-z0-9+]+:", url):
        raise InvalidSettings(f"{VARIABLE} begins with `{url.partition(':')[0]}:`, {_WANTED}")
    return DuckDBFile(Path(url))


_WANTED = "and must be a path, duckdb:///path, ducklake:postgresql://user@host/database, or md:database."


def _lake(catalogue: str, data: str) -> DuckLake:
    if re.match(r"postgres(ql)?://", catalogue):
        parts = urlsplit(catalogue)
        parameters = dict(parse_qsl(parts.query))
        data = parameters.pop("data_path", data)
        return DuckLake(urlunsplit(parts._replace(query=urlencode(parameters))), _folder(data))
    if catalogue.startswith("postgres:"):
        return DuckLake(catalogue.removeprefix("postgres:"), _folder(data))
    raise InvalidSettings(
        f"{VARIABLE} names a lake whose catalogue is not in Postgres, {_WANTED.replace('and must', 'which must')}"
    )


def _folder(data: str) -> str:
    """With a slash at its end: so a folder whose name only begins like it is not allowed with it."""
    known = data if "://" in data else str(Path(data).expanduser().absolute())
    return known.rstrip("/") + "/"
