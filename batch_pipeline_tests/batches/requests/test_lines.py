"""Lines put together as they are written are those that would have been kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.requests.lines import Lines

PIECES = st.binary(max_size=5)


@given(st.lists(st.tuples(PIECES, PIECES)), PIECES, PIECES, PIECES, st.data())
def test_lines_that_are_alike_are_the_same_in_whatever_pieces(
    varied: list[tuple[bytes, bytes]], before: bytes, between: bytes, after: bytes, data: st.DataObject
) -> None:
    whole = [before + name + between + content + after for name, content in varied]
    made = Lines.alike(before, [name for name, _ in varied], between, [content for _, content in varied], after)
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, end - start)] * 2)))
    for lines in (made, Lines.of(whole)):
        assert list(lines.sizes) == [len(line) for line in whole]
        assert lines.each() == whole
        assert lines.joined(start, end) == b"".join(whole[start:end])
        part = lines.part(start, end)
        assert (len(part), part.each()) == (end - start, whole[start:end])
        assert part.joined(first, last) == b"".join(whole[start:end][first:last])
