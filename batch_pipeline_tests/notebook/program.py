"""What a user writes, run as a program of its own: `python program.py COUNT`."""

import json
import sys
from typing import Literal

import pandas as pd
from pydantic import BaseModel

from batch_pipeline import Batch


class Label(BaseModel):
    """What a ticket is."""

    label: Literal["bug", "feature", "question"]


def main(count: int) -> None:
    """Labels so many tickets."""
    frame = pd.DataFrame({"id": range(count), "text": [f"ticket {n}" for n in range(count)]})
    run = (
        Batch("tickets", answer=Label, budget_usd=2.00, items_per_batch=2)
        .add_many(frame, record_id="id", prompt=lambda row: str(row["text"]))
        .submit()
    )
    sys.stdout.write("submitted\n")
    sys.stdout.flush()
    run.wait(interval=0.05)
    answers = {result.record_id: result.text for result in run.results() if len(run.answers()) == count}
    sys.stdout.write(f"{json.dumps(answers)}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
