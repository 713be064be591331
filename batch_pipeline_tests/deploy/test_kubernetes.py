"""The manifests, and the Job that the launcher of the Helm values sends for a run, held to Kubernetes' own schema."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import dagster as dg
import kubernetes_validate
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from typing_extensions import override

from batch_pipeline_tests.deploy.commands import parses
from batch_pipeline_tests.deploy.files import VALUES, Tree, documents, part, read, unknown

VERSION = "1.34"
MANIFESTS = ("kubernetes/rest.yaml", "kubernetes/settings.yaml", "kubernetes/secrets.example.yaml")
CHART = {
    *("global", "generatePostgresqlPasswordSecret", "generateCeleryConfigSecret", "postgresql", "dagsterWebserver"),
    *("dagsterDaemon", "runLauncher", "dagster-user-deployments", "computeLogManager", "retention", "telemetry"),
    *("additionalInstanceConfig", "rabbitmq", "redis", "flower", "ingress", "imagePullSecrets", "scheduler"),
    *("pythonLogs", "busybox", "migrate", "serviceAccount", "extraManifests"),
}
"""The keys of Dagster's chart, by its `values.schema.json`."""


def validate(manifest: Tree) -> None:
    kubernetes_validate.validate(dict(manifest), VERSION, strict=True)


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_manifest_is_what_kubernetes_takes(name: str) -> None:
    assert [validate(document) for document in documents(name)]


def test_the_schema_is_strict() -> None:
    first = next(documents("kubernetes/rest.yaml"))
    with pytest.raises(kubernetes_validate.ValidationError):
        validate({**first, "spec": {**part(first, "spec"), "replica": 2}})


def test_the_rest_api_runs_a_command_that_is_there_and_can_change_nothing_but_its_volumes() -> None:
    deployment = next(documents("kubernetes/rest.yaml"))
    pod = part(deployment, "spec", "template", "spec")
    (container,) = cast("list[Tree]", pod["containers"])
    assert parses(cast("list[str]", container["command"]))
    assert part(pod, "securityContext")["runAsNonRoot"]
    assert part(container, "securityContext")["readOnlyRootFilesystem"]
    assert {name for kind in ("startupProbe", "readinessProbe", "livenessProbe") for name in part(container, kind)} > {
        "httpGet",
        "tcpSocket",
    }
    assert (
        part(deployment, "spec", "selector", "matchLabels").items()
        <= part(deployment, "spec", "template", "metadata", "labels").items()
    )


def test_every_variable_is_read_by_somebody_and_no_secret_is_in_the_example() -> None:
    (settings,) = documents("kubernetes/settings.yaml")
    secrets, _ = documents("kubernetes/secrets.example.yaml")
    given = {**part(settings, "data"), **part(secrets, "stringData")}
    assert unknown(set(given)) == set()
    kept = {name: value for name, value in part(secrets, "stringData").items() if value}
    assert all(":PASSWORD@" in str(value) for value in kept.values())


def test_the_values_are_the_charts_and_name_what_the_manifests_make() -> None:
    values = read(VALUES)
    assert set(values) <= CHART
    made = {str(part(each, "metadata")["name"]) for name in MANIFESTS for each in documents(name)}
    launcher = part(values, "runLauncher", "config", "k8sRunLauncher")
    (deployment,) = cast("list[Tree]", part(values, "dagster-user-deployments")["deployments"])
    for place in (launcher, deployment):
        named = [*cast("list[Tree]", place["envSecrets"]), *cast("list[Tree]", place["envConfigMaps"])]
        assert {str(each["name"]) for each in named} <= made
    assert part(values, "global")["postgresqlSecretName"] in made
    assert part(values, "postgresql")["postgresqlScheme"] == "postgresql+psycopg2"
    arguments = cast("list[str]", deployment["dagsterApiGrpcArgs"])
    assert parses(["dagster", "api", "grpc", "--host", "0.0.0.0", "--port", str(deployment["port"]), *arguments])


def instance_config(values: Tree, kubeconfig: Path) -> dict[str, object]:
    """What the chart's template makes of the values; the tests' API server in the place of that of a cluster."""
    launcher = part(values, "runLauncher", "config", "k8sRunLauncher")
    special = part(launcher, "runK8sConfig")
    snake = {
        "containerConfig": "container_config",
        "podSpecConfig": "pod_spec_config",
        "podTemplateSpecMetadata": "pod_template_spec_metadata",
        "jobSpecConfig": "job_spec_config",
    }
    config: dict[str, object] = {
        "load_incluster_config": False,
        "kubeconfig_file": str(kubeconfig),
        "job_namespace": launcher["jobNamespace"],
        "image_pull_policy": launcher["imagePullPolicy"],
        "service_account_name": "dagster",
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": part(values, "global")["postgresqlSecretName"],
        "env_config_maps": [each["name"] for each in cast("list[Tree]", launcher["envConfigMaps"])],
        "env_secrets": [each["name"] for each in cast("list[Tree]", launcher["envSecrets"])],
        "labels": launcher["labels"],
        "resources": launcher["resources"],
        "security_context": launcher["securityContext"],
        "run_k8s_config": {snake[name]: value for name, value in special.items()},
    }
    return {
        "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": config},
        **cast("dict[str, object]", part(values, "additionalInstanceConfig")),
    }


class _Api(BaseHTTPRequestHandler):
    """The part of Kubernetes' API that makes Jobs; it gives back what it was given."""

    jobs: list[tuple[str, Tree]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.jobs.append((self.path, cast("Tree", json.loads(body))))
        self.send_response(201)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def jobs(tmp_path: Path) -> Generator[list[tuple[str, Tree]]]:
    """The Jobs that were sent to an API server, whose address is in `kubeconfig`."""
    handler = type("Handler", (_Api,), {"jobs": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    named: Mapping[str, object] = {
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "nobody", "user": dict[str, str]()}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
    }
    kubeconfig: Tree = {"apiVersion": "v1", "kind": "Config", "current-context": "here", **named}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(dict(kubeconfig)))
    yield handler.jobs
    server.shutdown()
    server.server_close()


@dg.job(name="collect_issues")  # pyright: ignore[reportUnknownMemberType] - dagster leaves types open
def _job() -> None:
    """Stands for a run of ours: the launcher looks at its name and at where its code is."""


def _origin(image: str) -> JobPythonOrigin:
    code = ModuleCodePointer("batch_pipeline.definitions", "defs", working_directory=None)
    return JobPythonOrigin("collect_issues", RepositoryPythonOrigin("python", code, image, ["dagster"], None))


def test_the_launcher_takes_the_values_and_sends_a_job_that_kubernetes_takes(
    jobs: list[tuple[str, Tree]], tmp_path: Path
) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance_config(read(VALUES), tmp_path / "kubeconfig")))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        run = instance.create_run_for_job(_job, job_code_origin=_origin("batch-pipeline:0.1.0"))
        instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    ((path, job),) = jobs
    assert path.startswith("/apis/batch/v1/namespaces/batch-pipeline/jobs")
    validate({"apiVersion": "batch/v1", "kind": "Job", **job})
    pod = part(job, "spec", "template", "spec")
    (container,) = cast("list[Tree]", pod["containers"])
    assert container["image"] == "batch-pipeline:0.1.0"
    assert part(pod, "securityContext")["runAsNonRoot"]
    assert {str(volume["name"]) for volume in cast("list[Tree]", pod["volumes"])} == {"data", "tmp"}
    assert part(container, "resources")["limits"] == {"memory": "4Gi"}
    assert {"secretRef": {"name": "batch-pipeline-secrets"}} in cast("list[object]", container["envFrom"])
    assert cast("list[str]", container["args"])[:3] == ["dagster", "api", "execute_run"]
    given = {str(variable["name"]): variable for variable in cast("list[Tree]", container["env"])}
    assert part(given["DAGSTER_PG_PASSWORD"], "valueFrom", "secretKeyRef")["name"] == "batch-pipeline-dagster-postgres"
