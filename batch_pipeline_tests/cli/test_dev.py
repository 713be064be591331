"""`dev`, as a newcomer starts it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from urllib.request import Request, urlopen

from batch_pipeline.cli.programs import free_port, is_free
from batch_pipeline_tests.command import environment, started

LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries {
    name loadStatus locationOrLoadError { __typename }
} } } }"""


def test_dev_brings_up_the_ui_with_the_project_loaded_by_one_code_server_and_ends_all_of_it(tmp_path: Path) -> None:
    ui, local = free_port(), free_port()
    here = environment(tmp_path / "data", BATCH_PIPELINE_LOCAL_URL=f"http://127.0.0.1:{local}/v1")
    with started(here, "dev", "--port", ui, "--engine", "simulated", "--json") as dev:
        try:
            assert dev.stdout is not None
            told = json.loads(b"".join(iter(dev.stdout.readline, b"}\n")) + b"}")
            assert told["url"] == f"http://127.0.0.1:{ui}"
            location = ask(told["url"], LOCATIONS)["workspaceOrError"]["locationEntries"]
            assert [(entry["name"], entry["locationOrLoadError"]["__typename"]) for entry in location] == [
                ("batch_pipeline", "RepositoryLocation")
            ]
            logs = sorted(path.name for path in Path(told["logs"]).iterdir())
            assert logs == ["code-server.log", "daemon.log", "local-server.log", "webserver.log"]
        finally:
            dev.send_signal(signal.SIGINT)
            dev.wait(30)
    assert is_free(ui)
    assert is_free(local)


def ask(url: str, query: str) -> dict[str, dict[str, list[dict[str, dict[str, str]]]]]:
    request = Request(f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)["data"]
