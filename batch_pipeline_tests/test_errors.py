from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import cast

import pytest

from batch_pipeline import errors
from batch_pipeline.errors import PipelineError, ProviderRefused


def below(kind: type[PipelineError]) -> Iterator[type[PipelineError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from below(child)


ALL = [PipelineError, *below(PipelineError)]


def drawn() -> dict[str, str]:
    """The tree of the module's docstring: each name, and the one it hangs on."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in cast(str, errors.__doc__).splitlines()[2:]:
        name = line.lstrip("│├└─ ").split(" ")[0]
        depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
        path = [*path[:depth], name]
        parents[name] = path[-2] if depth else "Exception"
    return parents


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    assert drawn() == {kind.__name__: kind.__bases__[0].__name__ for kind in ALL}


@pytest.mark.parametrize("kind", ALL)
def test_an_error_survives_pickling(kind: type[PipelineError]) -> None:
    error = kind("what happened", 401, "bad_key") if issubclass(kind, ProviderRefused) else kind("what happened")
    for same in (cast(PipelineError, pickle.loads(pickle.dumps(error))), copy.copy(error)):
        assert type(same) is kind
        assert str(same) == "what happened"
        assert vars(same) == vars(error)


def test_wrong_usage_exits_with_2_and_what_went_wrong_with_1() -> None:
    wrong_usage = {kind.__name__ for kind in ALL if kind.exit_code == 2}
    assert wrong_usage == {
        *("UsageError", "InvalidSettings", "InvalidTask", "UnknownTask", "UnknownJob", "InvalidSelection"),
        *("MissingKey", "UnpricedModel"),
    }
    assert {kind.exit_code for kind in ALL} == {1, 2}


@pytest.mark.parametrize(
    ("status", "code", "stops"),
    [
        (401, "invalid_api_key", True),
        (403, None, True),
        (400, "billing_hard_limit_reached", True),
        (400, None, False),
        (429, "rate_limit_exceeded", False),
    ],
)
def test_only_a_refused_key_or_account_stops_everything(status: int, code: str | None, stops: bool) -> None:
    assert ProviderRefused("no", status, code).stops_everything is stops
