"""The line in which orders wait to be planned."""

from __future__ import annotations

import anyio
import pytest

from batch_pipeline.api.problems import Refused
from batch_pipeline.api.service import Line


def test_what_waits_is_done_in_turn_and_counted() -> None:
    line = Line(at_once=1, most_waiting=3)

    async def three() -> list[int]:
        seen = list[int]()
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(line.run, lambda: seen.append(line.waiting))
        return seen

    assert anyio.run(three) == [3, 2, 1]
    assert line.waiting == 0


def test_a_line_that_is_too_long_asks_to_come_again() -> None:
    with pytest.raises(Refused) as refused:
        anyio.run(Line(at_once=1, most_waiting=0).run, lambda: None)
    assert refused.value.problem.status == 503
