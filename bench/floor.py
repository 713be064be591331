"""What is compared with: a loop on the plain `openai` SDK and `json`, as a careful user would write it.

It keeps no ledger, checks no answer, counts no token and can't be gone on with when it is killed.

    python -m bench.floor build ROWS.csv REQUESTS.jsonl
    python -m bench.floor send REQUESTS.jsonl BASE_URL        prints the batch's id when it is completed
    python -m bench.floor collect BATCH BASE_URL ANSWERS.csv
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from pathlib import Path

from openai import OpenAI
from openai.lib._pydantic import to_strict_json_schema
from openai.types.chat import ChatCompletionMessageParam

from bench.clock import Clock
from bench.question import LIMIT, MODEL, SYSTEM, Kind


def build(rows: Path, requests: Path) -> int:
    """Reads the rows and writes a request for each; how many."""
    schema = {"name": "kind", "strict": True, "schema": to_strict_json_schema(Kind)}
    written = 0
    with rows.open(newline="", encoding="utf-8") as source, requests.open("w", encoding="utf-8") as target:
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
            target.write(json.dumps(line, ensure_ascii=False) + "\n")
            written += 1
        target.flush()
        os.fsync(target.fileno())
    return written


def send(requests: Path, url: str) -> str:
    """Uploads the file, makes the batch, and waits for its end."""
    client = OpenAI(api_key="none", base_url=url)
    with requests.open("rb") as file:
        uploaded = client.files.create(file=file, purpose="batch")
    batch = client.batches.create(input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h")
    while batch.status != "completed":
        time.sleep(0.2)
        batch = client.batches.retrieve(batch.id)
    return batch.id


def collect(batch_id: str, url: str, answers: Path) -> int:
    """Downloads the output and writes an answer a row; how many."""
    client = OpenAI(api_key="none", base_url=url)
    batch = client.batches.retrieve(batch_id)
    output = answers.with_suffix(".jsonl")
    with client.files.with_streaming_response.content(batch.output_file_id or "") as response:
        response.stream_to_file(output)
    read = 0
    with output.open(encoding="utf-8") as source, answers.open("w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, ["record_id", "label", "reason"])
        writer.writeheader()
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
                done = collect(arguments[0], arguments[1], Path(arguments[2]))
    clock.tell(done)


if __name__ == "__main__":
    main(*sys.argv[1:])
