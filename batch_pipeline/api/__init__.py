"""REST: the same chain for a service, over HTTP."""

from __future__ import annotations

from batch_pipeline.api.server import ServeOptions, Serving, run, start

__all__ = ["ServeOptions", "Serving", "run", "start"]
