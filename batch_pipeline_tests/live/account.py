"""The account at the provider: what is asked of it, each thing written down before it is made."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar, cast

import openai
import orjson

from batch_pipeline.errors import FileGone, ProviderRefused, ProviderUnreachable
from batch_pipeline.providers.base import Created, Fenced, Refused, Unknown
from batch_pipeline.providers.openai import OpenAIProvider
from batch_pipeline.settings import Settings
from batch_pipeline.wire.lines import Json, parse_output_line
from batch_pipeline.wire.replies import read_reply
from batch_pipeline_tests.live.money import ENDPOINT, Money, request_line
from batch_pipeline_tests.live.state import Entry, Rows, Sample, State, StateFile, Trial

T = TypeVar("T")

SECONDS = 60.0
"""How long one answer may take."""
LOOK_BACK = 600.0
"""How much older than its POST a batch may seem by the provider's clock."""


class Account:
    """One run's account. Requests go the project's own way; only what that does not show is asked beside it.

    Args:
        settings: Base URL, key, organization and project.
        provider: At these settings.
        state: The run.
        file: Where it is kept.
        money: Prices of the run's model.
    """

    def __init__(
        self, settings: Settings, provider: OpenAIProvider, state: State, file: StateFile, money: Money
    ) -> None:
        self.state = state
        self._provider = provider
        self._file = file
        self._money = money
        key = settings.openai_api_key
        self._client = openai.OpenAI(
            api_key=key.get_secret_value() if key else "",
            organization=settings.openai_org_id,
            project=settings.openai_project_id,
            base_url=settings.openai_base_url,
            timeout=SECONDS,
        )

    def close(self) -> None:
        """Gives its connections back."""
        self._client.close()

    def write(self) -> None:
        """Keeps what is known."""
        self._file.write(self.state)

    def upload(self, trial: Trial, lines: int = 1, post_after: float = 0.0) -> Sample:
        """A new sample, its file uploaded."""
        claim = secrets.token_hex(6)
        filename = f"live-{self.state.run}-{claim}.jsonl"
        bound = self._money.bound_usd(lines)
        sample = Sample(
            trial=trial, claim=claim, filename=filename, lines=lines, bound_usd=bound, post_after=post_after
        )
        self.state.samples.append(sample)
        self.write()
        with TemporaryDirectory(dir=self._file.folder) as folder:
            path = Path(folder) / filename
            path.write_bytes(b"".join(orjson.dumps(request_line(self.state.model, n)) + b"\n" for n in range(lines)))
            sample.file_id = self._provider.upload(path, filename).file_id
        self.write()
        return sample

    def post(self, sample: Sample) -> None:
        """Creates its batch, with one request; a lost reply leaves it unknown.

        Raises:
            TooDear: It could be a cent too much.
            ProviderRefused: Not for this request's sake: a key, an account, a rate limit.
            ProviderUnreachable: The connection never opened.
        """
        self._money.must_stay_below(self.state.bound_usd + sample.bound_usd)
        sample.posted_at = time.time()
        self.write()
        metadata = {"purpose": "make live", "run": self.state.run, "claim": sample.claim}
        reply = self._provider.create(sample.file_id or "", ENDPOINT, metadata)
        match reply:
            case Created(batch):
                sample.batch = batch
            case Refused():
                sample.refused = f"{reply.status} {reply.code or ''}: {reply.message}"
            case Unknown():
                pass
        self.write()
        if isinstance(reply, Refused) and reply.status not in (400, 404):
            failed = ProviderUnreachable if reply.status is None else ProviderRefused
            raise _as_error(failed, reply)

    def delete(self, sample: Sample) -> bool:
        """Deletes its input file; False where the server does not."""
        said = self._provider.delete_file(sample.file_id or "")
        sample.file_gone = isinstance(said, Fenced)
        sample.not_deleted = None if isinstance(said, Fenced) else said.why
        sample.kept = not isinstance(said, Fenced) and not said.supported
        self.write()
        return sample.file_gone

    def delete_outputs(self, sample: Sample) -> None:
        """Deletes the files that its batch, which has ended, made."""
        made = (sample.batch.output_file_id, sample.batch.error_file_id) if sample.batch else ()
        said = [self._provider.delete_file(file_id) for file_id in made if file_id]
        sample.files_gone = all(isinstance(one, Fenced) or not one.supported for one in said)
        self.write()

    def cancel(self, sample: Sample) -> None:
        """Asks for its batch to be cancelled."""
        if sample.batch and sample.batch.status != "cancelling":
            sample.batch = self._provider.cancel(sample.batch.id) or sample.batch
            self.write()

    def look(self, sample: Sample) -> None:
        """Reads its batch anew, and its rows if it has ended."""
        if sample.batch is None:
            return
        sample.batch = self._provider.get(sample.batch.id) or sample.batch
        if sample.batch.ended and sample.batch.output_file_id and sample.rows is None:
            sample.rows = self._rows(sample)
        self.write()

    def find_batch(self, sample: Sample) -> bool:
        """Whether the listing shows a batch of its file or claim, which then is its own."""
        listed = self._provider.list((sample.posted_at or 0.0) - LOOK_BACK).batches
        for batch in listed:
            if batch.input_file_id == sample.file_id or (batch.metadata or {}).get("claim") == sample.claim:
                sample.batch = batch
                self.write()
                return True
        return False

    def find_file(self, sample: Sample) -> None:
        """Its file, where it was uploaded and the reply was lost."""
        shown = self._asked(lambda: self._client.files.list(purpose="batch", limit=1000, order="desc").data)
        sample.file_id = next((file.id for file in shown if file.filename == sample.filename), None)
        self.write()

    def shows_file(self, sample: Sample) -> bool:
        """Whether its file is still there for whoever asks."""
        try:
            return bool(self._asked(lambda: self._client.files.retrieve(sample.file_id or "").id))
        except FileGone:
            return False

    def lists(self, sample: Sample) -> bool:
        """Whether the first page of the listing shows its batch; what it says of it is kept the first time."""
        raw = self._asked(lambda: self._client.batches.with_raw_response.list(limit=100))
        shown = _entries(raw.text)
        entry = next((one for one in shown if sample.batch and one.get("id") == sample.batch.id), None)
        if entry is not None and sample.entry is None:
            sample.entry = _entry(sample, entry, shown, raw.headers)
        return entry is not None

    def _rows(self, sample: Sample) -> Rows | None:
        batch, settlement, count = sample.batch, self._money.settlement(), 0
        if batch is None or batch.output_file_id is None:
            return None
        with TemporaryDirectory(dir=self._file.folder) as folder:
            path = Path(folder) / "output.jsonl"
            self._provider.download(batch.output_file_id, path)
            for raw in path.read_bytes().splitlines():
                line = parse_output_line(raw)
                if line is not None and line.error_code is None:
                    settlement.add(read_reply(ENDPOINT, line.body).usage)
                    count += 1
        usage, difference = settlement.usage, settlement.against(batch.usage)
        return Rows(
            rows=count,
            input_tokens=usage.input_tokens,
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=settlement.cost_usd,
            agrees=difference.agrees if difference else None,
        )

    def _asked(self, call: Callable[[], T]) -> T:
        """In this project's errors, without the provider's words: some put the key into them."""
        where = self._provider.base_url
        try:
            return call()
        except openai.NotFoundError:
            raise FileGone(f"{where} knows no such thing") from None
        except openai.APIStatusError as error:
            raise ProviderUnreachable(f"{where} answered {error.status_code}. Run this again later.") from None
        except openai.OpenAIError as error:
            raise ProviderUnreachable(f"{where} gave no answer ({type(error).__name__}). Run this again.") from None


def _as_error(kind: type[ProviderUnreachable | ProviderRefused], reply: Refused) -> Exception:
    told = f"No batch can be created: {reply.message.rstrip('.')}. What was seen so far is kept; run this again."
    return (
        ProviderRefused(told, reply.status or 0, reply.code) if kind is ProviderRefused else ProviderUnreachable(told)
    )


def _entries(listing: str) -> list[Json]:
    """The batches of a page as they came, whatever they lack."""
    return cast("dict[str, list[Json]]", orjson.loads(listing)).get("data", [])


def _entry(sample: Sample, entry: Json, shown: list[Json], headers: Mapping[str, str]) -> Entry:
    times = [cast(int, one.get("created_at", 0)) for one in shown]
    metadata = cast("Json | None", entry.get("metadata")) or {}
    date = headers.get("date")
    return Entry(
        metadata=metadata.get("claim") == sample.claim,
        input_file_id=entry.get("input_file_id") == sample.file_id,
        newest_first=times == sorted(times, reverse=True),
        request_id="x-request-id" in headers,
        organization="openai-organization" in headers,
        project="openai-project" in headers,
        date=date is not None,
        clock_off=parsedate_to_datetime(date).timestamp() - time.time() if date else None,
    )
