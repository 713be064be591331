from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.requests.messages_form import message_line
from batch_pipeline.providers import inline
from batch_pipeline.providers.inline import InlineRequests
from batch_pipeline.wire.messages import without_claim

CLAIM = "0123456789abcdef"

IDS = st.lists(st.from_regex(r"[a-zA-Z0-9_-]{1,55}", fullmatch=True), min_size=1, unique=True)
PARAMS = st.dictionaries(st.text(max_size=5), st.text(max_size=200), max_size=3)


@given(IDS, PARAMS, st.sampled_from([1, 100, 1024 * 1024]))
def test_the_body_holds_each_planned_request_with_the_claim_before_its_id(
    ids: list[str], params: dict[str, str], piece: int
) -> None:
    lines = [message_line(each.encode(), orjson.dumps(params)) for each in ids]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "requests-0000.jsonl"
        path.write_bytes(b"".join(lines))
        requests = InlineRequests(path, CLAIM)
        before, inline._PIECE = inline._PIECE, piece  # pyright: ignore[reportPrivateUsage] - small enough to be tried
        try:
            body = b"".join(requests.pieces())
        finally:
            inline._PIECE = before  # pyright: ignore[reportPrivateUsage] - as above
        sent = orjson.loads(body)["requests"]
        assert [row["custom_id"] for row in sent] == [f"01234567-{each}" for each in ids]
        assert [without_claim(row["custom_id"]) for row in sent] == ids
        assert all(row["params"] == params for row in sent)
        assert (requests.bytes, requests.sha256) == (len(body), hashlib.sha256(body).hexdigest())
        assert path.read_bytes() == b"".join(lines)
