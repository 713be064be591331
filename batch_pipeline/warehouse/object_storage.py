"""How DuckDB reaches object storage: what every client of S3 reads from the environment, as a secret of DuckDB's."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from batch_pipeline.errors import InvalidSettings
from batch_pipeline.warehouse.names import text_literal


def secret(data: str) -> str:
    """The statement that gives a connection its keys for `s3://bucket/prefix/`, and for nothing else.

    From `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` or `AWS_DEFAULT_REGION`, and
    `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` for a storage that is not Amazon's.

    Raises:
        InvalidSettings: It is no address of S3, or there are no keys.
    """
    if not data.startswith("s3://"):
        scheme = data.partition("://")[0]
        raise InvalidSettings(
            f"The data of the warehouse can't be at {scheme}://…: give a folder or s3://bucket/prefix."
        )
    key, hidden = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if not key or not hidden:
        raise InvalidSettings(
            "The data of the warehouse is on object storage, and there is no key for it: "
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    options = {"KEY_ID": key, "SECRET": hidden, "SESSION_TOKEN": os.environ.get("AWS_SESSION_TOKEN"), "SCOPE": data}
    options["REGION"] = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    given = [f"{name} {text_literal(value)}" for name, value in options.items() if value]
    return f"CREATE SECRET warehouse_data (TYPE s3, {', '.join([*given, *_endpoint()])})"


def _endpoint() -> list[str]:
    url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not url:
        return []
    parts = urlsplit(url)
    host = text_literal(f"{parts.netloc}{parts.path}".rstrip("/"))
    return [f"ENDPOINT {host}", "URL_STYLE 'path'", f"USE_SSL {str(parts.scheme != 'http').lower()}"]
