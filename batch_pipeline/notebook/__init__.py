"""Python's face: a batch is put together, submitted, waited for and read, in a script or a notebook.

It stands on the same chain as the command and Dagster: its jobs are in `batch-pipeline list`, in the ledger, and in the
asset `adhoc_jobs`.
"""

from batch_pipeline.notebook.batch import Batch
from batch_pipeline.notebook.results import ItemResult
from batch_pipeline.notebook.run import Run
from batch_pipeline.notebook.standing import DryRun, RunCost, RunStatus

__all__ = ["Batch", "DryRun", "ItemResult", "Run", "RunCost", "RunStatus"]
