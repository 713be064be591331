"""The files of `deploy/`, as what they are for reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

import yaml

from batch_pipeline.settings import PREFIX, Settings, project_root

DEPLOY = project_root() / "deploy"
COMPOSE, CELERY, VALUES = "compose.yaml", "celery/compose.yaml", "kubernetes/values.yaml"
GIVEN = "given"
"""What stands in the place of a variable that has no default."""

Tree = Mapping[str, object]

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<how>[-?])(?P<rest>[^}]*))?\}")
_OTHERS = {
    *("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),  # every client of S3
    *("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"),  # Celery
}


def read(name: str) -> Tree:
    """A YAML file of `deploy/`; of a compose file, with its variables put in."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    if name in (COMPOSE, CELERY):
        text = _VARIABLE.sub(lambda found: found["rest"] if found["how"] == "-" else GIVEN, text).replace("$$", "$")
    return cast("Tree", yaml.safe_load(text))


def variables(name: str) -> set[str]:
    """The variables that a compose file takes from its environment."""
    return {found["name"] for found in _VARIABLE.finditer((DEPLOY / name).read_text(encoding="utf-8"))}


def documents(name: str) -> Iterator[Tree]:
    """Those of a file of manifests."""
    yield from cast("Iterator[Tree]", yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def part(tree: Tree, *path: str) -> Tree:
    """What lies below, by key after key."""
    for key in path:
        tree = cast("Tree", tree[key])
    return tree


def services(name: str) -> dict[str, Tree]:
    """The services of a compose file."""
    return cast("dict[str, Tree]", part(read(name), "services"))


def unknown(names: Iterator[str] | set[str]) -> set[str]:
    """Of these variables, those that no program of ours reads."""
    fields = set(Settings.model_fields)
    ours = {name for name in names if name.removeprefix(PREFIX).lower() in fields}
    return {name for name in names if name not in ours | _OTHERS and not name.startswith("DAGSTER_")}
