"""Who answers: `simulated`, `upstream` and `smollm2`, behind the protocol of `base`."""

from __future__ import annotations

from typing import cast

from batch_pipeline.local_server.engines.base import Answer, Engine, Request, answer_one
from batch_pipeline.local_server.options import LocalServerOptions

__all__ = ["Answer", "Engine", "Request", "answer_one", "make_engine"]


def make_engine(options: LocalServerOptions) -> Engine:
    """The engine that the options name; imported only now, since each brings other libraries."""
    match options.engine:
        case "simulated":
            from batch_pipeline.local_server.engines.simulated import Simulated

            return Simulated()
        case "upstream":
            from batch_pipeline.local_server.engines.upstream import Upstream

            return Upstream(cast(str, options.upstream_url), options.upstream_key, options.concurrency)
        case "smollm2":
            from batch_pipeline.local_server.engines.smollm2 import SmolLM2

            return SmolLM2(options.model_path, options.threads)
