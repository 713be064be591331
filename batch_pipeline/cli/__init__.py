"""The command `batch-pipeline`: one file per group of verbs. What others need too is in `batches`, not here.

Startup is cheap: a module of this package imports typer and little else, and each verb what it uses.
"""

from batch_pipeline.cli.app import main

__all__ = ["main"]
