"""DuckDB's extensions out of packages: loaded by their path, never downloaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from batch_pipeline.errors import InvalidSettings
from batch_pipeline.warehouse.names import text_literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NO_DOWNLOADS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
"""Nothing is fetched because a query happens to need it."""
CHECKED_HERE: dict[str, str | bool | int | float | list[str]] = {**NO_DOWNLOADS, "allow_unsigned_extensions": True}
"""Configuration of a connection that `load` is for: it checks signatures itself, once a process."""

_checked: set[Path] = set()


def load(connection: DuckDBPyConnection, *names: str) -> None:
    """Loads extensions, such as `ducklake`.

    DuckDB checks the signature of a file for each connection, which takes 0.1 s; here it does so once a process, which
    goes on with the code that was loaded then.

    Args:
        connection: Made with `CHECKED_HERE`.
        names: Of the extensions.

    Raises:
        InvalidSettings: One is not installed, or is of another version of DuckDB.
    """
    for file in [_file(name) for name in names]:
        if file not in _checked:
            _check(file)
        connection.execute(f"LOAD {text_literal(file)}")


def _check(file: Path) -> None:
    import duckdb

    with duckdb.connect(config=NO_DOWNLOADS) as checking:
        checking.execute(f"LOAD {text_literal(file)}")
    _checked.add(file)


def _file(name: str) -> Path:
    import duckdb

    package = f"duckdb_extension_{name}"
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise InvalidSettings(
            f"The warehouse needs DuckDB's extension `{name}`, which is not installed: "
            f"pip install {_named(package, name)}."
        )
    file = Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
    if not file.exists():
        raise InvalidSettings(
            f"DuckDB is {duckdb.__version__}, and its extension `{name}` is for another version: "
            f"pip install {_named(package, name)}."
        )
    return file


def _named(package: str, name: str) -> str:
    import duckdb

    extra = name in {"ducklake", "postgres_scanner", "httpfs"}
    return "'batch_pipeline[ducklake]'" if extra else f"{package.replace('_', '-')}=={duckdb.__version__}"
