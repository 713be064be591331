"""The compose files: a strict parser takes them, and what they name is there."""

from __future__ import annotations

import json
import shlex
from typing import cast

import pytest
from compose_spec import PyCompose

from batch_pipeline_tests.deploy.commands import parses
from batch_pipeline_tests.deploy.files import (
    CELERY,
    COMPOSE,
    DEPLOY,
    GIVEN,
    Tree,
    part,
    read,
    services,
    unknown,
    variables,
)

BOTH = pytest.mark.parametrize("name", [COMPOSE, CELERY])
OURS = ("code-server", "webserver", "daemon", "rest")


def together() -> dict[str, dict[str, object]]:
    """The services as both files give them, as far as the tests look: mappings are merged, the rest is replaced."""
    merged = {name: dict(service) for name, service in services(COMPOSE).items()}
    for name, service in services(CELERY).items():
        old = merged.setdefault(name, {})
        for key, value in service.items():
            known = old.get(key)
            both = isinstance(known, dict) and isinstance(value, dict)
            old[key] = {**cast("Tree", known), **cast("Tree", value)} if both else value
    return merged


@BOTH
def test_it_is_a_compose_file(name: str) -> None:
    parsed = PyCompose.from_json(json.dumps(read(name)))
    parsed.validate()
    assert set(parsed.services or {}) == set(services(name))


@pytest.mark.parametrize(
    "broken",
    [{"healthchek": {}}, {"restart": "sometimes"}, {"deploy": {"resources": {"limits": {"memory": "2Q"}}}}],
)
def test_the_parser_is_strict(broken: Tree) -> None:
    with pytest.raises(ValueError, match="line"):
        PyCompose.from_json(json.dumps({"services": {"rest": {**services(COMPOSE)["rest"], **broken}}}))


def test_what_a_service_waits_for_is_a_service_that_can_be_asked_for_its_health() -> None:
    every = together()
    for name, service in every.items():
        for wanted, how in part(service, "depends_on").items() if "depends_on" in service else ():
            assert cast("Tree", how)["condition"] == "service_healthy", name
            assert "healthcheck" in every[wanted], (name, wanted)


@BOTH
def test_volumes_are_named_or_files_that_are_there(name: str) -> None:
    named = {*part(read(COMPOSE), "volumes"), *part(read(CELERY), "volumes")}
    for service in services(name).values():
        for volume in cast("list[str]", service.get("volumes", [])):
            source = volume.split(":")[0]
            assert source in named or (DEPLOY / source).is_file(), volume


def test_every_service_comes_back_is_bounded_and_is_asked_for_its_health() -> None:
    for name, service in together().items():
        assert service["restart"] == "unless-stopped", name
        assert set(part(service, "deploy", "resources", "limits")) == {"cpus", "memory"}, name
        assert part(service, "healthcheck")["test"], name


@pytest.mark.parametrize("name", [*OURS, "worker"])
def test_ours_run_a_command_that_is_there_and_can_change_nothing_but_their_volumes(name: str) -> None:
    service = together()[name]
    assert parses(cast("list[str]", service["command"]))
    kept = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    assert {key: service[key] for key in kept} == kept


@pytest.mark.parametrize("name", [*OURS, "worker"])
def test_they_are_asked_for_their_health_by_a_command_that_is_there(name: str) -> None:
    kind, *command = cast("list[str]", part(together()[name], "healthcheck")["test"])
    words = shlex.split(command[0]) if kind == "CMD-SHELL" else command
    if words[0] == "python":
        compile(words[2], name, "exec")
    else:
        assert parses(words)


@pytest.mark.parametrize(
    "command",
    [
        ["batch-pipeline", "serve", "--prot", "8000"],
        ["dagster-webserver", "--prot", "3000"],
        ["dagster-daemon", "ran"],
        ["celery", "--app=dagster_celery.app", "worker", "--qeues=dagster"],
    ],
)
def test_an_option_or_a_verb_that_is_not_there_is_seen(command: list[str]) -> None:
    with pytest.raises(Exception, match=r"(?i)no such"):
        parses(command)


@BOTH
@pytest.mark.parametrize("service", [*OURS, "worker"])
def test_every_variable_is_read_by_somebody(name: str, service: str) -> None:
    if service in services(name) and "environment" in services(name)[service]:
        assert unknown(set(part(services(name)[service], "environment"))) == set()


def test_the_workers_get_what_the_code_server_gets_and_where_the_broker_is() -> None:
    every = together()
    environment = {name: part(every[name], "environment") for name in ("worker", "code-server", "daemon")}
    assert environment["worker"] == environment["code-server"]
    assert environment["daemon"].items() <= environment["worker"].items()
    same = ("image", "init", "tmpfs")
    assert {key: every["worker"][key] for key in same} == {key: every["code-server"][key] for key in same}


def test_every_variable_is_in_the_example_and_no_secret_is() -> None:
    lines = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    required = {name for file in (COMPOSE, CELERY) for name in variables(file) if f"${{{name}:?" in _text(file)}
    assert required <= set(example)
    assert set(example) <= variables(COMPOSE) | variables(CELERY)
    assert {name for name, value in example.items() if value} == {"BATCH_PIPELINE_PROVIDER"}


def test_no_port_is_open_to_others_and_no_image_is_whatever_is_newest() -> None:
    for name, service in together().items():
        assert all(str(port).startswith("127.0.0.1:") for port in cast("list[str]", service.get("ports", []))), name
        tag = str(service["image"]).partition(":")[2]
        assert tag, name
        assert tag != "latest", name


def test_a_password_is_never_in_a_command() -> None:
    for name, service in together().items():
        command = cast("list[str]", service["command"])
        assert [word for word in command if GIVEN in word] == [], name


def _text(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")
