"""What can go wrong, as one tree.

PipelineError                 one sentence: what happened, to what, and what to do now
├── UsageError                asked for something that can't be (exit 2)
│   ├── InvalidSettings       an environment variable has a wrong value
│   ├── InvalidTask           a task's definition, SQL or columns are wrong
│   ├── UnknownTask           no task of that name
│   ├── UnknownJob            no job of that id
│   └── InvalidSelection      a filter, SQL text or glob that selects nothing meaningful
├── SourceError               records could not be read
│   ├── GitHubError           GitHub refused or did not answer
│   └── UnreadableFile        a file, or a line of it, is not what it should be
├── ProviderError             the provider refused or did not answer
│   ├── MissingKey            no key for that provider
│   ├── ProviderUnreachable   no connection, a time-out, a 5xx, or not its protocol at all
│   ├── ProviderRefused       a 4xx in the provider's own words
│   └── FileGone              the provider no longer has a file
├── UnpricedModel             no price is known for a model
├── WarehouseBusy             another process holds the warehouse for longer than we wait
│   ├── WarehouseConflict     a program that takes no lock wrote at the same time
│   └── WarehouseUnreachable  the servers of the warehouse do not answer
├── LedgerReplaced            another file has taken the place of the ledger that was open
├── FilesUnreachable          the object storage of batch files refused or did not answer
├── LedgerUnavailable         the ledger's server is not there, or the connection to it was lost
├── PlanSuperseded            another process took this plan over
├── DamagedFile               a file of a batch is not the one that was planned or sent
└── Disabled                  BATCH_PIPELINE_ENABLED is false
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of all errors that a person is told about; `str()` of it is the sentence they read."""

    exit_code = 1


class UsageError(PipelineError):
    """The person asked for something that can't be; nothing was changed."""

    exit_code = 2


class InvalidSettings(UsageError):
    """An environment variable has a wrong value; named."""


class InvalidTask(UsageError):
    """A task's definition, its SQL or its columns are wrong."""


class UnknownTask(UsageError):
    """No task of that name; the known ones are listed."""


class UnknownJob(UsageError):
    """No job of that id."""


class InvalidSelection(UsageError):
    """A filter, an SQL text or a glob that can't select anything."""


class SourceError(PipelineError):
    """Records could not be read."""


class GitHubError(SourceError):
    """GitHub refused or did not answer."""


class UnreadableFile(SourceError):
    """A file, or a line of it, is not what it should be."""


class ProviderError(PipelineError):
    """The provider refused or did not answer; what was sent is known to the ledger."""


class MissingKey(ProviderError):
    """No key for a provider that wants one."""

    exit_code = 2


class ProviderUnreachable(ProviderError):
    """No connection, a time-out, a 5xx, or an answer that is not the provider's protocol."""


class ProviderRefused(ProviderError):
    """A 4xx in the provider's own envelope.

    Args:
        message: The sentence for the person.
        status: HTTP status.
        code: The provider's own code, such as `invalid_api_key`.
    """

    def __init__(self, message: str, status: int, code: str | None = None) -> None:
        super().__init__(message, status, code)
        self.message = message
        self.status = status
        self.code = code

    def __str__(self) -> str:
        return self.message

    @property
    def stops_everything(self) -> bool:
        """True for a key or an account that is refused: no other request will fare better."""
        return self.status in (401, 403) or self.code == "billing_hard_limit_reached"


class FileGone(ProviderError):
    """The provider no longer has a file; what was in it is lost."""


class UnpricedModel(PipelineError):
    """No price is known for a model, so no job with it is planned."""

    exit_code = 2


class WarehouseBusy(PipelineError):
    """Another process holds the warehouse for longer than we wait; nothing was changed."""


class WarehouseConflict(WarehouseBusy):
    """Somebody else changed the same tables meanwhile, or a server ended the transaction; nothing was changed."""


class WarehouseUnreachable(WarehouseBusy):
    """The catalogue or the data of the warehouse is on servers that do not answer."""


class LedgerReplaced(PipelineError):
    """The ledger's file was removed or replaced under this process; its next transaction is in the other."""


class FilesUnreachable(PipelineError):
    """The object storage of batch files refused, did not answer, or is not there; what was asked may have been done."""


class LedgerUnavailable(PipelineError):
    """The ledger's server is not there, lets nobody in, or was lost; what was committed stands."""


class PlanSuperseded(PipelineError):
    """Another process took over this job's plan; nothing of ours is in it."""


class DamagedFile(PipelineError):
    """A file of a batch is not the one that was planned or sent."""


class Disabled(PipelineError):
    """`BATCH_PIPELINE_ENABLED` is false: nothing is planned or sent."""
