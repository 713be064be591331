"""What a provider must be able to do for a batch to be created once, followed, and collected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from batch_pipeline.providers.inline import InlineRequests
from batch_pipeline.settings import ProviderName
from batch_pipeline.wire.batch import BatchObject


@dataclass(frozen=True)
class Uploaded:
    """An input file at the provider. `uploaded_at` is the provider's clock, `bytes` its count."""

    file_id: str
    uploaded_at: float
    bytes: int | None


@dataclass(frozen=True)
class Created:
    """The provider has the batch."""

    batch: BatchObject


@dataclass(frozen=True)
class Refused:
    """In the provider's own envelope, or the connection never opened: nothing was created, nothing will be."""

    message: str
    status: int | None = None
    code: str | None = None

    @property
    def stops_everything(self) -> bool:
        """A key or an account that is refused: no other batch will fare better."""
        return self.status in (401, 402, 403) or self.code == "billing_hard_limit_reached"


@dataclass(frozen=True)
class Unknown:
    """Anything else. Never read as absent."""

    why: str


@dataclass(frozen=True)
class Listing:
    """The provider's batches, the newest first, back to a time.

    `begun` is the provider's clock when the first page was given; `whole` is False where the listing can't be
    relied on for what it lacks.
    """

    begun: float
    batches: tuple[BatchObject, ...]
    whole: bool = True


@dataclass(frozen=True)
class Fenced:
    """The input file is gone, since this time of the provider's: a POST still on its way executes nothing."""

    at: float


@dataclass(frozen=True)
class NotFenced:
    """The input file could not be deleted; `supported` is False where the server knows no such call."""

    why: str
    supported: bool = True


class Provider(Protocol):
    """Who answers. Errors other than those told by the return types are `ProviderError`."""

    name: ProviderName
    account: str
    """Hash of base URL and key: a batch belongs to the account that made it."""
    takes_files: bool
    """Whether requests are uploaded as a file, whose deletion is the fence, and a batch keeps metadata. Else they go
    in the body of the create, each with the claim in its custom_id, and only results say whose a batch is."""
    wait_seconds: float
    """WAIT: longer than a listing lags and a DELETE takes."""
    recheck_seconds: float
    """When a row that was in no file is looked for again."""

    def upload(self, path: Path, filename: str) -> Uploaded:
        """Uploads an input file; only where it `takes_files`."""
        ...

    def create(
        self, given: str | InlineRequests, endpoint: str, metadata: Mapping[str, str]
    ) -> Created | Refused | Unknown:
        """Creates a batch: one POST, whatever comes of it.

        `given` is the id of a file that was uploaded, or, where it does not take files, the requests themselves.
        """
        ...

    def list(self, since: float) -> Listing:
        """The batches created since then (unix seconds), read to the end."""
        ...

    def get(self, remote_id: str) -> BatchObject | None:
        """One batch; None where the provider has none of that id."""
        ...

    def claim_of(self, remote: BatchObject) -> str | None:
        """The claim that a batch of this provider carries, or its first characters; None where nothing tells it yet.

        Raises:
            ProviderError: It could not be asked.
        """
        ...

    def cancel(self, remote_id: str) -> BatchObject | None:
        """Asks for a batch to be cancelled; None where it has ended already."""
        ...

    def download(self, file_id: str, into: Path) -> int | None:
        """Streams a file's content into `into`; gives the provider's count of bytes, None if it tells none.

        Raises:
            FileGone: The provider no longer has it.
        """
        ...

    def answer(self, line: bytes, *, flex: bool = False) -> bytes:
        """Asks one request at once, by a line of a plan's file; gives the line of a batch's output that judges it.

        The client's own retries are on; what fails for all that is a line too. It may be called by many threads.

        Raises:
            ProviderUnreachable: No connection was opened, or it is no such provider; nothing was asked.
            ProviderRefused: The key or the account; no other request would fare better.
        """
        ...

    def delete_file(self, file_id: str) -> Fenced | NotFenced:
        """Deletes a file; one that is gone counts as deleted. Results that are no file go with their batch."""
        ...

    def close(self) -> None:
        """Gives its connections back."""
        ...
