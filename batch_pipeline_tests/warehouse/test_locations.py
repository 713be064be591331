from __future__ import annotations

from pathlib import Path

import pytest

from batch_pipeline.errors import InvalidSettings, UsageError
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.locations import DuckDBFile, DuckLake, Location, MotherDuck, located
from batch_pipeline.warehouse.object_storage import secret
from batch_pipeline.warehouse.postgres_catalogue import Catalogue

SECRET = "p w/with@signs"  # what a URL has as p%20w%2Fwith%40signs
URL = "postgresql://me:p%20w%2Fwith%40signs@db.internal:6543/warehouse"


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/a/warehouse.duckdb", DuckDBFile(Path("/a/warehouse.duckdb"))),
        ("a/b.duckdb", DuckDBFile(Path("a/b.duckdb"))),
        ("duckdb:////a/b.duckdb", DuckDBFile(Path("/a/b.duckdb"))),
        ("duckdb:///b.duckdb", DuckDBFile(Path("b.duckdb"))),
        (f"ducklake:{URL}", DuckLake(URL, "/data/")),
        (f"ducklake:{URL}?sslmode=require", DuckLake(f"{URL}?sslmode=require", "/data/")),
        (f"ducklake:{URL}?data_path=s3://bucket/prefix&sslmode=require", DuckLake(f"{URL}?sslmode=require", "s3://bucket/prefix/")),
        ("ducklake:postgres:dbname=warehouse host=db", DuckLake("dbname=warehouse host=db", "/data/")),
        ("md:answers", MotherDuck("md:answers", Path("/data.lock"))),
    ],
)  # fmt: skip
def test_a_url_says_where_the_warehouse_is(url: str, location: Location) -> None:
    assert located(url, "/data") == location


@pytest.mark.parametrize("url", [f"mysql:{URL}", f"ducklake:mysql:{URL}", "ducklake:/a/catalogue.ducklake", URL])
def test_another_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidSettings, match="must be a path, duckdb:///path, ducklake:postgresql://") as refused:
        located(url, "/data")
    assert "p%20w" not in str(refused.value)


def test_a_password_is_in_no_name() -> None:
    lake = Warehouse(located(f"ducklake:{URL}", "/data"))
    assert lake.name == "ducklake:postgresql://me@db.internal:6543/warehouse"
    catalogue = Catalogue(URL)
    assert catalogue.password == SECRET
    assert SECRET not in catalogue.without_password + repr(lake.location)
    assert "p%20w" not in repr(lake.location)


def test_what_libpq_can_not_read_is_named_without_being_repeated() -> None:
    with pytest.raises(InvalidSettings, match="can't be read: write ducklake:postgresql://") as refused:
        Catalogue("postgresql://me:a%zz@db/warehouse")
    assert "%zz" not in str(refused.value)


def test_only_a_file_has_a_path() -> None:
    with pytest.raises(UsageError, match="is no file"):
        _ = Warehouse(located(f"ducklake:{URL}", "/data")).path


def test_the_keys_of_object_storage_are_those_that_every_client_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        secret("s3://bucket/prefix/")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "it's hidden")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    amazon = secret("s3://bucket/prefix/")
    assert "SECRET 'it''s hidden', SCOPE 's3://bucket/prefix/', REGION 'eu-central-1'" in amazon
    assert "ENDPOINT" not in amazon
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://other.internal:9000/")
    assert "ENDPOINT 'other.internal:9000', URL_STYLE 'path', USE_SSL true" in secret("s3://bucket/prefix/")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000")
    assert "ENDPOINT '127.0.0.1:9000', URL_STYLE 'path', USE_SSL false" in secret("s3://bucket/prefix/")
    with pytest.raises(InvalidSettings, match=r"can't be at gs://…: give a folder or s3://bucket/prefix\.$"):
        secret("gs://bucket/")
