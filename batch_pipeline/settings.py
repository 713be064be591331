"""Every environment variable of the project, in one place."""

from __future__ import annotations

import re
from datetime import date, tzinfo
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from batch_pipeline.errors import InvalidSettings, UsageError

PREFIX = "BATCH_PIPELINE_"

ProviderName = Literal["openai", "anthropic", "local"]

Mode = Literal["batch", "realtime", "flex"]
"""How a job is answered, and priced: in batches, or at once; at once by flex processing, which may take longer."""

DEFAULT_EMBEDDING_MODELS: dict[ProviderName, str] = {
    "openai": "text-embedding-3-small",
    "local": "smollm2-135m",
}
"""Anthropic has no embeddings."""

DEFAULT_MODELS: dict[ProviderName, str] = {
    "openai": "gpt-6-luna",
    "anthropic": "claude-haiku-5-5",
    "local": "smollm2-135m",
}


def project_root() -> Path:
    """The checkout that this package lies in, else the working directory."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "workspace.yaml").exists() else Path.cwd()


def _bare(name: str) -> AliasChoices:
    return AliasChoices(name)


class Settings(BaseSettings):
    """The settings as read from the environment, checked. Made by `load_settings`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    openai_api_key: SecretStr | None = Field(default=None, validation_alias=_bare("OPENAI_API_KEY"))
    openai_base_url: str = Field(default="https://api.openai.com/v1", validation_alias=_bare("OPENAI_BASE_URL"))
    openai_org_id: str | None = Field(default=None, validation_alias=_bare("OPENAI_ORG_ID"))
    openai_project_id: str | None = Field(default=None, validation_alias=_bare("OPENAI_PROJECT_ID"))
    openai_webhook_secret: SecretStr | None = Field(default=None, validation_alias=_bare("OPENAI_WEBHOOK_SECRET"))
    """What OpenAI signs its webhooks with; where it is set, they are taken, and polling slows down."""
    anthropic_api_key: SecretStr | None = Field(default=None, validation_alias=_bare("ANTHROPIC_API_KEY"))
    anthropic_base_url: str = Field(default="https://api.anthropic.com", validation_alias=_bare("ANTHROPIC_BASE_URL"))
    github_token: SecretStr | None = Field(default=None, validation_alias=_bare("GITHUB_TOKEN"))
    github_api_url: str = Field(default="https://api.github.com", validation_alias=_bare("GITHUB_API_URL"))
    dagster_home: Path | None = Field(default=None, validation_alias=_bare("DAGSTER_HOME"))

    enabled: bool = True
    """False plans and sends nothing."""
    provider: ProviderName = "local"
    model: str | None = None
    """The model where a task names none; the provider's default otherwise."""
    embedding_model: str | None = None
    """The same for embeddings."""
    local_url: str = "http://127.0.0.1:8765/v1"
    data_dir: Path = Field(default_factory=lambda: project_root() / "data" / "var")
    images_dir: Path = Field(default_factory=lambda: project_root() / "data" / "images")
    """What the `images` asset loads; so for the two that follow."""
    documents_dir: Path = Field(default_factory=lambda: project_root() / "data" / "documents")
    files_dir: Path = Field(default_factory=lambda: project_root() / "data" / "files")
    ledger_url: str | None = Field(default=None, repr=False)
    """An SQLAlchemy URL, which may hold a password; `sqlite:///<data_dir>/ledger.db` otherwise."""
    warehouse_url: str | None = Field(default=None, repr=False)
    """A DuckDB file, `ducklake:postgresql://…`, `md:…`; `<data_dir>/warehouse.duckdb` otherwise."""
    warehouse_data: str | None = None
    """Where a lake has its data: a folder, or `s3://bucket/prefix`; `<data_dir>/warehouse` otherwise."""
    files_url: str | None = Field(default=None, repr=False)
    """`s3://bucket/prefix`, where the files of batches are kept for all hosts; the data folder otherwise."""
    repos: Annotated[tuple[str, ...], NoDecode] = ()
    """`owner/name`, separated by commas: what the nightly schedule pulls."""
    tasks: Annotated[tuple[str, ...], NoDecode] = ()
    """Tasks that have assets in Dagster, separated by commas; all of them where it is empty."""
    first_night: date = date(2026, 1, 1)
    night_hour: int = Field(default=2, ge=0, le=23)
    timezone: str = "UTC"
    nightly: bool = True
    poll_seconds: int = Field(default=60, ge=1)
    webhook_poll_seconds: int = Field(default=900, ge=1)
    """The same where webhooks tell what has ended: what they did not tell is found so."""
    sql_seconds: float = Field(default=60.0, gt=0, le=86_400)
    """The longest that the SQL of an order over HTTP may run."""
    max_requests: int | None = Field(default=None, ge=1, le=100_000)
    """Requests in one file; the provider's limit otherwise, and never more: 50,000, Anthropic 100,000."""
    max_file_bytes: int | None = Field(default=None, ge=1_000, le=256_000_000)
    """Bytes in one file; the provider's limit otherwise, and never more: 209,715,200, Anthropic 256,000,000."""
    max_attempts: int = Field(default=3, ge=1, le=100)
    realtime_concurrency: int = Field(default=8, ge=1, le=100)
    """Requests that a realtime job has on their way at once."""
    missing_recheck_seconds: float | None = Field(default=None, ge=0)
    """When a row that is in no file is looked for again: an hour; local 1 s."""
    create_wait_seconds: float | None = Field(default=None, ge=0)
    """WAIT of docs/how-it-works.md: longer than a listing lags plus a DELETE takes; 10 min, local 1 s. It counts six
    times where there is no file to delete (Anthropic: an hour)."""
    hold_above_usd: float = Field(default=5.0, ge=0)
    budget_job_usd: float | None = Field(default=None, ge=0)
    budget_day_usd: float | None = Field(default=None, ge=0)
    budget_month_usd: float | None = Field(default=None, ge=0)
    prices_file: Path | None = None
    price_as: str = "gpt-6-luna"
    """What `local` would have cost: the model that its prices are shown for."""
    enqueued_tokens: int | None = Field(default=None, ge=1)
    delete_remote_files: bool = False
    notice_url: str | None = Field(default=None, repr=False)
    """Whoever knows it can write there."""
    bare_urls: bool | None = None
    """Whether the lines of a batch at `OPENAI_BASE_URL` name endpoints without `/v1`; so at Azure unless it is set."""
    log_format: Literal["text", "json"] = "text"
    api_token: SecretStr | None = None

    @field_validator("repos", "tasks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: `Europe` is a folder of the database
            raise ValueError(f"`{value}` is no time zone of the IANA database, such as Europe/Berlin") from error
        return value

    @field_validator("openai_base_url", "anthropic_base_url", "github_api_url", "local_url", "notice_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://[^/]", value):
            raise ValueError("it must begin with http:// or https://, and name a server")
        return value and value.rstrip("/")  # with a slash or without, it is one server: accounts are told apart by it

    @field_validator("ledger_url")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"\w+(\+\w+)?://", value):
            raise ValueError("it must be an SQLAlchemy URL, such as postgresql+psycopg://user@host/name")
        return value

    @field_validator("files_url")
    @classmethod
    def _storage(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"(\w+://[^/]|file:///[^/])", value):
            raise ValueError("it must name an object storage, such as s3://bucket/prefix")
        return value and value.rstrip("/")

    @field_validator("openai_api_key", "openai_webhook_secret", "anthropic_api_key", "github_token", "api_token")
    @classmethod
    def _one_word(cls, value: SecretStr | None) -> SecretStr | None:
        """A header holds no other, and the error of one that does would show the key."""
        if value is None:
            return None
        key = value.get_secret_value().strip()
        if not re.fullmatch(r"[!-~]+", key):
            raise ValueError("it must be one word of ASCII characters")
        return SecretStr(key)

    @field_validator("data_dir", "images_dir", "documents_dir", "files_dir", "prices_file", "dagster_home")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value and value.expanduser().absolute()

    @property
    def tz(self) -> tzinfo:
        """The time zone of nights and budget days."""
        return ZoneInfo(self.timezone)

    @property
    def batches_dir(self) -> Path:
        """Where the files of each job lie, one folder a job."""
        return self.data_dir / "batches"

    @property
    def dagster_dir(self) -> Path:
        """`DAGSTER_HOME`, or our own."""
        return self.dagster_home or self.data_dir / "dagster"

    @property
    def ledger(self) -> str:
        """The ledger's SQLAlchemy URL."""
        return self.ledger_url or f"sqlite:///{self.data_dir / 'ledger.db'}"

    @property
    def warehouse(self) -> tuple[str, str]:
        """The warehouse's URL, and where the data is of one that keeps it apart."""
        url = self.warehouse_url or str(self.data_dir / "warehouse.duckdb")
        return url, self.warehouse_data or str(self.data_dir / "warehouse")

    def webhooks_tell(self, provider: str) -> bool:
        """Whether a provider tells of what has ended; Anthropic tells nobody."""
        return self.openai_webhook_secret is not None and provider != "anthropic"

    @property
    def names_bare_urls(self) -> bool:
        """The setting `bare_urls`, else whether `OPENAI_BASE_URL` is Azure's."""
        return is_azure(self.openai_base_url) if self.bare_urls is None else self.bare_urls

    def model_for(self, provider: ProviderName, task_model: str | None = None, *, embeds: bool = False) -> str:
        """The model to use: the task's, else the setting's where it is for this provider, else the default.

        Raises:
            UsageError: Embeddings are asked of a provider that has none.
        """
        of_setting = self.embedding_model if embeds else self.model
        defaults = DEFAULT_EMBEDDING_MODELS if embeds else DEFAULT_MODELS
        model = task_model or (of_setting if provider == self.provider else None) or defaults.get(provider)
        if model is None:
            raise UsageError(f"`{provider}` has no embeddings. Ask another with --provider, or name the task's own.")
        return model


def is_azure(base_url: str) -> bool:
    """Whether Azure answers at this URL."""
    return (urlsplit(base_url).hostname or "").endswith((".azure.com", ".azure.us", ".azure.cn"))


def load_settings() -> Settings:
    """Reads the environment.

    Raises:
        InvalidSettings: A variable has a wrong value; each is named.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{_variable(str(e['loc'][0]))}: {e['msg']}" for e in error.errors(include_input=False))
        raise InvalidSettings(f"Settings that can't be used: {wrong}. Correct the environment and run again.") from None


def _variable(location: str) -> str:
    return location if location.isupper() else PREFIX + location.upper()
