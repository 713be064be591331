"""What is compared with: a loop on the plain `openai` SDK and `json`, as a careful user would write it.

It keeps no ledger, checks no answer, counts no token and can't be gone on with when it is killed. It keeps to the
provider's limits: a file has no more requests and bytes than one batch takes.

    python -m bench.floor build ROWS.csv FOLDER
    python -m bench.floor send FOLDER BASE_URL            prints the batches' ids when they are completed
    python -m bench.floor collect BATCH,... BASE_URL ANSWERS.csv
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from openai import OpenAI
from openai.lib._pydantic import to_strict_json_schema
from openai.types.chat import ChatCompletionMessageParam

from bench.clock import Clock
from bench.question import LIMIT, MODEL, SYSTEM, Kind

MOST_REQUESTS, MOST_BYTES = 50_000, 200 * 1024 * 1024
"""What OpenAI takes in one file of a batch."""


def build(rows: Path, folder: Path) -> int:
    """Reads the rows and writes a request for each; how many."""
    schema = {"name": "kind", "strict": True, "schema": to_strict_json_schema(Kind)}
    folder.mkdir()
    written, target = 0, Target(folder)
    with rows.open(newline="", encoding="utf-8") as source:
        for row in csv.DictReader(source):
            messages: list[ChatCompletionMessageParam] = [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": row["text"]},
            ]
            body = {
                "model": MODEL,
                "messages": messages,
                "response_format": {"type": "json_schema", "json_schema": schema},
                "max_completion_tokens": LIMIT,
            }
            line = {"custom_id": row["record_id"], "method": "POST", "url": "/v1/chat/completions", "body": body}
            target.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            written += 1
    target.close()
    return written


class Target:
    """Files of a folder, one after the other, each within the limits."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = self._requests = self._bytes = 0
        self._file: BinaryIO | None = None

    def write(self, line: bytes) -> None:
        """Puts the line into the file, or into the next one."""
        if self._file is None or self._requests == MOST_REQUESTS or self._bytes + len(line) > MOST_BYTES:
            self.close()
            self._file = (self._folder / f"requests-{self._files:04}.jsonl").open("wb")
            self._files, self._requests, self._bytes = self._files + 1, 0, 0
        self._file.write(line)
        self._requests, self._bytes = self._requests + 1, self._bytes + len(line)

    def close(self) -> None:
        """Syncs the file."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


def send(folder: Path, url: str) -> str:
    """Uploads the files, makes a batch of each, and waits for their ends."""
    client = OpenAI(api_key="none", base_url=url)
    ids: list[str] = []
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            given = client.files.create(file=file, purpose="batch").id
        batch = client.batches.create(input_file_id=given, endpoint="/v1/chat/completions", completion_window="24h")
        ids.append(batch.id)
    while any(client.batches.retrieve(batch_id).status != "completed" for batch_id in ids):
        time.sleep(0.2)
    return ",".join(ids)


def collect(batch_ids: Sequence[str], url: str, answers: Path) -> int:
    """Downloads the outputs and writes an answer a row; how many."""
    client = OpenAI(api_key="none", base_url=url)
    read = 0
    with answers.open("w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, ["record_id", "label", "reason"])
        writer.writeheader()
        for batch_id in batch_ids:
            output = answers.with_name(f"{batch_id}.jsonl")
            batch = client.batches.retrieve(batch_id)
            with client.files.with_streaming_response.content(batch.output_file_id or "") as response:
                response.stream_to_file(output)
            with output.open(encoding="utf-8") as source:
                for text in source:
                    line = json.loads(text)
                    if line["response"]["status_code"] == 200:
                        answer = json.loads(line["response"]["body"]["choices"][0]["message"]["content"])
                        writer.writerow({"record_id": line["custom_id"], **answer})
                        read += 1
        target.flush()
        os.fsync(target.fileno())
    return read


def main(verb: str, *arguments: str) -> None:
    """One step, and what it took, as JSON."""
    with Clock() as clock:
        match verb:
            case "build":
                done: object = build(Path(arguments[0]), Path(arguments[1]))
            case "send":
                done = send(Path(arguments[0]), arguments[1])
            case _:
                done = collect(arguments[0].split(","), arguments[1], Path(arguments[2]))
    clock.tell(done)


if __name__ == "__main__":
    main(*sys.argv[1:])
