"""What the protocol assumes of a provider, and what follows where it is wrong.

docs/operations.md shows this table; a test compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Name = (
    Literal[
        "deleted_before",
        "deleted_after",
        "delete_lag",
        "listing_lag",
        "listing_order",
        "listing_names",
        "clock",
        "usage",
    ]
    | Literal["request_id", "account_headers"]
)

NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Assumption:
    """One of them, and what this project does where it does not hold."""

    name: Name
    assumed: str
    if_wrong: str
    rests: bool = True
    """Whether anything rests on it."""


ASSUMPTIONS = (
    Assumption(
        "deleted_before",
        "A POST whose input file was deleted before it executes nothing, once the DELETE has taken effect.",
        "The fence does not hold: a POST that arrives after it is a second, paid batch. At most one for each lost "
        "reply; it is cancelled once it is listed, and counted as spent. Until the protocol is changed, raise "
        "`BATCH_PIPELINE_CREATE_WAIT_SECONDS` to an hour, above the longest stop of a process.",
    ),
    Assumption(
        "deleted_after",
        "A batch whose file is deleted while it is validated fails with nothing executed, or runs as if it were there.",
        "Neither is relied on: what is listed is adopted if it runs, and sent anew if it failed. A batch that runs and "
        "is not listed within WAIT is the case of the line on the listing.",
    ),
    Assumption(
        "delete_lag",
        "A deleted file is gone within WAIT, less what the listing lags.",
        "A POST in between is executed, and listed after it was given up: paid twice, at most one batch for each lost "
        "reply. Set `BATCH_PIPELINE_CREATE_WAIT_SECONDS` above both lags together.",
    ),
    Assumption(
        "listing_lag",
        "A new batch is listed within WAIT, less what a DELETE lags, and stays listed.",
        "A batch whose reply was lost is given up too early and sent anew: paid twice, at most one batch for each lost "
        "reply; it is cancelled once it is listed, and counted as spent. Set `BATCH_PIPELINE_CREATE_WAIT_SECONDS` "
        "above both lags together.",
    ),
    Assumption(
        "listing_order",
        "The listing gives the newest batch first.",
        "The listing counts as not whole: what it shows is adopted, what it lacks proves nothing, and after a lost "
        "reply nothing is sent until `resolve`.",
    ),
    Assumption(
        "listing_names",
        "The listing gives each batch's `metadata` and `input_file_id`.",
        "One of them is enough to find a batch whose reply was lost. Without `input_file_id` the answer is not taken "
        "for a listing, and nothing is sent; without `metadata`, batches are not found again where the ledger and its "
        "markers are lost.",
    ),
    Assumption(
        "clock",
        "Answers carry a `Date`.",
        "Fences are dated by this machine's clock, which must then not be moved while a reply is looked for.",
    ),
    Assumption(
        "usage",
        "A batch's own `usage` is the sum of its rows.",
        "`cost JOB` shows both and the difference. Budgets are held to by the bound, costs are the rows' own: neither "
        "rests on it.",
    ),
    Assumption(
        "request_id",
        "Answers carry an `x-request-id`.",
        "Nothing rests on it: a question to the provider's support has less to go by.",
        rests=False,
    ),
    Assumption(
        "account_headers",
        "Answers name the organization and the project of the key.",
        "Nothing rests on it: accounts are told apart by base URL, key, and the organization and project that are set.",
        rests=False,
    ),
)
"""In the order of the table."""
