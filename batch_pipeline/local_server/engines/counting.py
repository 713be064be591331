"""Tokens of texts, counted with OpenAI's published encodings, and read back from their ids."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from bpe_openai._bindings import PyTokenizer


_IDS = {"cl100k_base": 100_256, "o200k_base": 199_998}
"""How many ids an encoding has; bpe-openai 0.1.4 ends the process when it is given a larger one."""


def token_counts(inputs: Sequence[str | list[int]], model: str) -> list[int]:
    """Tokens of each input, in the encoding of `model`."""
    count = _tokenizer(_encoding(model)).count
    return [count(each) if isinstance(each, str) else len(each) for each in inputs]


def decoded(tokens: Sequence[int], model: str) -> str:
    """The text of token ids of `model`; ids that are none, and parts of a letter, are left out."""
    encoding = _encoding(model)
    known = [token for token in tokens if 0 <= token < _IDS[encoding]]
    decode = _tokenizer(encoding).decode
    with suppress(ValueError):
        return decode(known)
    texts: list[str] = []
    for token in known:
        with suppress(ValueError):
            texts.append(decode([token]))
    return "".join(texts)


def _encoding(model: str) -> str:
    return "cl100k_base" if model.startswith("text-embedding-") else "o200k_base"


@cache
def _tokenizer(encoding: str) -> PyTokenizer:
    return cast("PyTokenizer", _bindings().tokenizer_for_encoding(encoding))


def _bindings() -> ModuleType:
    """The compiled part of bpe-openai alone: the package around it unpacks all encodings, 0.5 s."""
    name = "bpe_openai._bindings"
    if name in sys.modules:
        return sys.modules[name]
    package = find_spec("bpe_openai")
    spec = PathFinder.find_spec(name, package and package.submodule_search_locations)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    # under its own name, so that whoever imports the package finds this one: it can be loaded once in a process
    sys.modules[name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
