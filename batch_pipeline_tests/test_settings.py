from __future__ import annotations

from pathlib import Path

import pytest

from batch_pipeline.errors import InvalidSettings
from batch_pipeline.settings import Settings, load_settings

SECRETS = (
    *("OPENAI_API_KEY", "OPENAI_WEBHOOK_SECRET", "ANTHROPIC_API_KEY", "GITHUB_TOKEN"),
    "BATCH_PIPELINE_API_TOKEN",
)


def test_nothing_needs_to_be_set() -> None:
    settings = load_settings()
    assert (settings.provider, settings.enabled, settings.nightly, settings.max_attempts) == ("local", True, True, 3)
    assert settings.openai_api_key is None
    assert settings.repos == ()
    assert settings.ledger == f"sqlite:///{settings.data_dir}/ledger.db"
    assert settings.warehouse[0] == str(settings.data_dir / "warehouse.duckdb")
    assert settings.dagster_dir == settings.data_dir / "dagster"
    assert settings.batches_dir == settings.data_dir / "batches"
    assert str(settings.tz) == "UTC"


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "BATCH_PIPELINE_PROVIDER", "BATCH_PIPELINE_BUDGET_JOB_USD"):
        monkeypatch.setenv(name, "")
    settings = load_settings()
    assert settings.openai_base_url == "https://api.openai.com/v1"
    assert settings.openai_api_key is None
    assert settings.budget_job_usd is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BATCH_PIPELINE_PROVIDER", "opanai"),
        ("BATCH_PIPELINE_ENABLED", "perhaps"),
        ("BATCH_PIPELINE_NIGHT_HOUR", "24"),
        ("BATCH_PIPELINE_FIRST_NIGHT", "2026-13-01"),
        ("BATCH_PIPELINE_TIMEZONE", "Mars/Phobos"),
        ("BATCH_PIPELINE_TIMEZONE", "Europe"),
        ("BATCH_PIPELINE_TIMEZONE", "../UTC"),
        ("BATCH_PIPELINE_POLL_SECONDS", "0"),
        ("BATCH_PIPELINE_MAX_REQUESTS", "100001"),
        ("BATCH_PIPELINE_MAX_FILE_BYTES", "256000001"),
        ("BATCH_PIPELINE_MAX_ATTEMPTS", "0"),
        ("BATCH_PIPELINE_MISSING_RECHECK_SECONDS", "-1"),
        ("BATCH_PIPELINE_CREATE_WAIT_SECONDS", "soon"),
        ("BATCH_PIPELINE_HOLD_ABOVE_USD", "nan"),
        ("BATCH_PIPELINE_BUDGET_JOB_USD", "-1"),
        ("BATCH_PIPELINE_BUDGET_DAY_USD", "nan"),
        ("BATCH_PIPELINE_BUDGET_MONTH_USD", "ten"),
        ("BATCH_PIPELINE_ENQUEUED_TOKENS", "0"),
        ("BATCH_PIPELINE_LOG_FORMAT", "xml"),
        ("BATCH_PIPELINE_LOCAL_URL", "127.0.0.1:8765"),
        ("BATCH_PIPELINE_LEDGER_URL", "ledger.db"),
        ("BATCH_PIPELINE_NOTICE_URL", "nobody"),
        ("OPENAI_BASE_URL", "api.openai.com/v1"),
        ("ANTHROPIC_BASE_URL", "ftp://api.anthropic.com"),
        ("GITHUB_API_URL", "https://"),
        ("OPENAI_API_KEY", "two words"),
        ("GITHUB_TOKEN", "ghp_\u00e9"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert f"{variable}: " in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_wrong_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_PROVIDER", "me")
    monkeypatch.setenv("OPENAI_BASE_URL", "here")
    with pytest.raises(InvalidSettings, match=r"OPENAI_BASE_URL: .*; BATCH_PIPELINE_PROVIDER: "):
        load_settings()


@pytest.mark.parametrize("variable", SECRETS)
def test_a_key_is_in_no_repr_and_in_no_complaint(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "sk-secret-0123456789")
    assert "secret-0123456789" not in f"{load_settings()!r} {load_settings()}"
    monkeypatch.setenv(variable, "sk-secret-0123456789 and more")
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    assert "secret-0123456789" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BATCH_PIPELINE_LEDGER_URL", "postgresql+psycopg://ada:hunter2@host/ledger"),
        ("BATCH_PIPELINE_WAREHOUSE_URL", "ducklake:postgres:password=hunter2"),
        ("BATCH_PIPELINE_NOTICE_URL", "https://hooks.example.com/hunter2"),
    ],
)
def test_a_url_that_may_hold_a_password_is_in_no_repr(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert "hunter2" not in repr(load_settings())


def test_a_line_break_after_a_key_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123\n")
    key = load_settings().openai_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-0123"


def test_a_base_url_is_the_same_with_a_slash_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://example.com/v1/")
    assert load_settings().openai_base_url == "https://example.com/v1"


@pytest.mark.parametrize(
    ("text", "repos"),
    [
        ("a/b", ("a/b",)),
        ("a/b,c/d", ("a/b", "c/d")),
        (" a/b , c/d ,, ", ("a/b", "c/d")),
        (",", ()),
    ],
)
def test_repositories_are_separated_by_commas(
    monkeypatch: pytest.MonkeyPatch, text: str, repos: tuple[str, ...]
) -> None:
    monkeypatch.setenv("BATCH_PIPELINE_REPOS", text)
    assert load_settings().repos == repos


def test_paths_are_absolute_and_know_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BATCH_PIPELINE_DATA_DIR", "here")
    monkeypatch.setenv("BATCH_PIPELINE_PRICES_FILE", "~/prices.json")
    settings = load_settings()
    assert settings.data_dir == tmp_path / "here"
    assert settings.prices_file == tmp_path / "home" / "prices.json"


def test_the_model_is_the_tasks_else_the_settings_else_the_providers() -> None:
    settings = Settings.model_validate({"provider": "openai", "model": "gpt-6-sol"})
    assert settings.model_for("openai", "mine") == "mine"
    assert settings.model_for("openai") == "gpt-6-sol"
    assert settings.model_for("local") == "smollm2-135m"  # the setting is not for this provider
    assert Settings().model_for("openai") == "gpt-6-luna"
