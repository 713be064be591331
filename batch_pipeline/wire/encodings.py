"""The tokenizers of OpenAI's published encodings."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from itertools import pairwise
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from bpe_openai._bindings import PyTokenizer
    from splintr import AnyTokenizer

Encoding = Literal["o200k_base", "cl100k_base"]

_THREADS, _MAKING = "RAYON_NUM_THREADS", Lock()
_SPECIAL = "<|"
"""How all special tokens begin: splintr 0.22 takes text that looks like one for it, as no provider does."""
_LONG_S = "'\u017f"
"""Splintr 0.22 does not know that this is `'s` in another case: one token less."""


@cache
def tokenizer(encoding: Encoding) -> PyTokenizer:
    """The tokenizer of an encoding; made once in a process."""
    return cast("PyTokenizer", _bindings().tokenizer_for_encoding(encoding))


def count_many(encoding: Encoding, texts: Sequence[str]) -> list[int]:
    """Tokens of each text, as `tokenizer` counts them, in a third of the time; but first it takes 0.15 s to load.

    While it counts, other threads may have Python's lock.

    Raises:
        UnicodeEncodeError: A text holds half a surrogate pair.
    """
    if _threads_made_by() != os.getpid():
        return [tokenizer(encoding).count(text) for text in texts]
    _, offsets = _mass_tokenizer(encoding).encode_batch_flat(texts)
    counts = [end - start for start, end in pairwise(memoryview(offsets).cast("Q"))]
    for place, text in enumerate(texts):
        if ("<" in text and _SPECIAL in text) or _LONG_S in text:  # one letter is found in no time
            counts[place] = tokenizer(encoding).count(text)
    return counts


@cache
def _mass_tokenizer(encoding: Encoding) -> AnyTokenizer:
    """One that counts in a single thread: it is far ahead of whoever makes the texts, who has use for the other cores.

    How many threads there are, splintr reads when it first counts, and from nowhere else.
    """
    import splintr

    with _MAKING:
        mass, kept = splintr.Tokenizer.from_pretrained(encoding), os.environ.get(_THREADS)
        os.environ[_THREADS] = "1"
        try:
            mass.encode_batch_flat([""])
        finally:
            os.environ.pop(_THREADS)
            os.environ.update({} if kept is None else {_THREADS: kept})
    return mass


@cache
def _threads_made_by() -> int:
    """The process whose threads splintr counts in; they are not there in one that was forked, which would wait."""
    return os.getpid()


def _bindings() -> ModuleType:
    """The compiled part of bpe-openai alone: 0.01 s of CPU; the package around it unpacks all encodings, 0.5 s."""
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
