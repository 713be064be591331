"""Jobs over HTTP: made, repeated, listed, read, cancelled, tried again."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from batch_pipeline_tests.api.conftest import ISSUES, Client
from batch_pipeline_tests.books import Books
from batch_pipeline_tests.cli.conftest import Command


def test_a_job_is_made_sent_and_collected_in_the_background(client: Client, books: Books) -> None:
    reply = client.create(limit=4, metadata={"team": "search"})
    assert reply.status_code == 202
    created = reply.json()
    assert reply.headers["location"] == f"/api/batch/{created['job_id']}"
    assert (created["records"], created["requests"], created["batches"]) == (4, 4, 1)
    now = client.done(created["job_id"])
    assert now["outcomes"] == {"answered": 4}
    assert (now["job_type"], now["metadata"]) == ("task", {"team": "search"})
    assert (len(books.batches), books.lines_executed) == (1, 4)


def test_it_shows_what_the_command_shows(client: Client, command: Command) -> None:
    job = client.made(limit=1)
    shown = client.done(job)
    assert command("status", job, "--cached", "--json").json == shown


def test_a_call_that_is_repeated_makes_no_second_job(client: Client, books: Books) -> None:
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.create, key="order-7", limit=3) for _ in range(8)]
        replies = [call.result() for call in calls]
    assert {reply.status_code for reply in replies} == {202}
    (job,) = {reply.json()["job_id"] for reply in replies}
    client.done(job)
    assert client.create(key="order-7", limit=3).json()["job_id"] == job
    assert [one["job_id"] for one in client.get("/api/batch")["jobs"]] == [job]
    assert (len(books.batches), books.lines_executed) == (1, 3)


def test_it_finds_its_job_when_the_settings_name_another_model(client: Client, serve: Callable[..., Client]) -> None:
    job = client.create(key="k", limit=1).json()["job_id"]
    assert serve(model="another").create(key="k", limit=1).json()["job_id"] == job


def test_a_key_serves_for_one_order(client: Client) -> None:
    client.create(key="k", limit=1)
    reply = client.create(key="k", limit=2)
    assert reply.status_code == 409
    assert reply.json()["type"].endswith(":key-reused")


def test_a_new_call_asks_for_what_is_new_and_for_nothing_where_nothing_is(client: Client) -> None:
    client.done(client.made())
    reply = client.create()
    assert reply.status_code == 200
    assert (reply.json()["state"], reply.json()["records"], reply.json()["skipped"]) == ("done", 0, ISSUES)
    assert client.get(f"/api/batch/{reply.json()['job_id']}")["state"] == "done"


def test_many_orders_at_once_are_kept_at_once_and_planned_in_turn(client: Client) -> None:
    asked: list[dict[str, Any]] = [{"ids": [f"acme/orbit#{n % ISSUES + 1}"], "which": "all"} for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        replies = [call.result() for call in [pool.submit(client.create, **order) for order in asked]]
    assert {reply.status_code for reply in replies} == {202}
    assert "planning" in {reply.json()["state"] for reply in replies}, "the last ones do not wait for their plan"
    made = {reply.json()["job_id"] for reply in replies}
    assert len(made) == len(asked)
    for job in made:
        client.until(job, "planned", "in_flight", "ended", "done")


def test_a_query_that_takes_too_long_is_stopped(client: Client, serve: Callable[..., Client]) -> None:
    endless = "SELECT record_id, repo, title, body, created_at FROM issues, range(100000000000) GROUP BY ALL"
    impatient = serve(sql_seconds=0.2)
    for reply in (impatient.create(sql=endless), impatient.create(sql=endless, dry_run=True)):
        assert reply.status_code == 409
        assert "stopped after 0.2 s" in reply.json()["detail"]


def test_answers_may_be_asked_for_at_once_and_after_a_canary(client: Client) -> None:
    now = client.done(client.made(limit=2, mode="realtime"))
    assert (now["mode"], now["outcomes"]) == ("realtime", {"answered": 2})
    whole = client.done(client.made(canary=1))
    assert whole["records"] == ISSUES - 2
    assert client.done(whole["canary"])["outcomes"] == {"answered": 1}


def test_a_dry_run_keeps_nothing(client: Client, books: Books) -> None:
    reply = client.create(dry_run=True, key="k")
    told = reply.json()
    assert (reply.status_code, told["job_id"], told["records"], told["dry_run"]) == (200, None, ISSUES, True)
    assert told["saved_usd"] == pytest.approx(told["realtime_usd"] - told["batch_usd"])
    assert client.get("/api/batch")["jobs"] == []
    assert books.batches == []


@pytest.mark.parametrize(
    ("asked", "records"),
    [
        ({"ids": ["acme/orbit#1", "acme/orbit#3"]}, 2),
        ({"repo": "acme/orbit", "limit": 3}, 3),
        ({"org": "nobody"}, 0),
        ({"state": "open", "order": "newest", "which": "missing"}, ISSUES),
        ({"sql": "SELECT record_id, repo, title, body, created_at FROM issues WHERE number > 4"}, 2),
        ({"force": True}, ISSUES),
    ],
)
def test_records_are_selected_as_with_the_command(client: Client, asked: dict[str, Any], records: int) -> None:
    assert client.create(dry_run=True, **asked).json()["records"] == records


@pytest.mark.parametrize(
    ("asked", "status", "says"),
    [
        ({"task": "none"}, 404, "There is no task `none`"),
        ({"sql": "FROM nowhere"}, 409, "nowhere"),
        ({"sql": "COPY issues TO '/tmp/never.csv'"}, 409, "a COPY"),
        ({"variant": "none"}, 409, "none"),
        ({"provider": "openai", "limit": 1}, 409, "OPENAI_API_KEY"),
        ({"provider": "openai", "model": "no-such-model"}, 409, "no-such-model"),
        ({"limit": -1}, 422, "body.limit"),
        ({"unknown": 1}, 422, "body.unknown"),
        ({"metadata": {"a b": "c"}}, 422, "body.metadata"),
        ({"budget_usd": -1}, 422, "body.budget_usd"),
    ],
)
def test_what_can_not_be_is_refused_with_the_reason(
    client: Client, asked: dict[str, Any], status: int, says: str
) -> None:
    reply = client.create(**asked)
    assert reply.status_code == status
    assert says in reply.json()["detail"]
    assert client.get("/api/batch")["jobs"] == []


def test_nothing_is_planned_where_the_pipeline_is_switched_off(client: Client, serve: Callable[..., Client]) -> None:
    reply = serve(enabled=False).create()
    assert reply.status_code == 409
    assert reply.json()["type"].endswith(":disabled")
    assert "BATCH_PIPELINE_ENABLED" in reply.json()["detail"]
    assert client.get("/api/batch")["jobs"] == []


def test_jobs_are_listed_page_by_page_and_narrowed(client: Client) -> None:
    made = [client.made(ids=[f"acme/orbit#{n}"], metadata={"n": str(n)}) for n in range(1, 6)]
    for job in made:
        client.done(job)
    pages, cursor = list[list[str]](), None
    while True:
        page = client.get("/api/batch", limit=2, **({"cursor": cursor} if cursor else {}))
        pages.append([job["job_id"] for job in page["jobs"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert pages == [made[:2:-1], made[2:0:-1], made[:1]]
    assert [job["job_id"] for job in client.get("/api/batch", meta="n=3")["jobs"]] == [made[2]]
    assert len(client.get("/api/batch", state="done", limit=3, task="issue-kind", job_type="task")["jobs"]) == 3
    for narrowed in ({"state": "failed"}, {"task": "nothing"}, {"job_type": "eval"}, {"meta": "n=9"}):
        assert client.get("/api/batch", **narrowed) == {"jobs": [], "next_cursor": None}


def test_results_are_read_page_by_page_and_as_json_lines(client: Client, books: Books) -> None:
    books.order({"kind": "rows", "status": 400, "custom_id": "*_2"})
    job = client.made()
    client.done(job)
    first = client.get(f"/api/batch/{job}/results", limit=4)
    second = client.get(f"/api/batch/{job}/results", limit=4, cursor=first["next_cursor"])
    found = first["results"] + second["results"]
    assert [one["record_id"] for one in found] == [f"acme/orbit#{n}" for n in range(1, ISSUES + 1)]
    assert second["next_cursor"] is None
    assert {one["outcome"] for one in found if one["answer"]} == {"answered"}
    (failed,) = [one for one in found if not one["answer"]]
    assert (failed["record_id"], failed["outcome"]) == ("acme/orbit#2", "failed")
    assert failed["error_message"]
    for query, accept in (("?format=jsonl", "*/*"), ("", "application/jsonl")):
        lines = client.http.get(f"/api/batch/{job}/results{query}", headers={"accept": accept})
        assert lines.headers["content-type"].startswith("application/jsonl")
        assert [json.loads(line) for line in lines.text.splitlines()] == found


def test_an_answer_that_was_bought_before_is_among_the_results(client: Client) -> None:
    client.done(client.made(limit=1, order="age"))
    job = client.made(which="all")
    client.done(job)
    results = client.get(f"/api/batch/{job}/results")["results"]
    assert [bool(one["reused_from"]) for one in results] == [True, *[False] * (ISSUES - 1)]


def test_a_job_is_cancelled_and_tried_again(client: Client, books: Books) -> None:
    books.order({"kind": "slow", "stage": "in_progress", "seconds": 60})
    job = client.made(limit=2)
    client.until(job, "in_flight")
    reply = client.http.post(f"/api/batch/{job}/retry")
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:batch-pipeline:problem:not-through")
    assert client.http.post(f"/api/batch/{job}/cancel").status_code == 202
    client.until(job, "cancelled", "done")
    books.order()
    reply = client.http.post(f"/api/batch/{job}/retry")
    assert reply.status_code == 202
    if reply.json()["attempt"]:
        client.done(job)


def test_tasks_and_costs_are_told(client: Client) -> None:
    client.done(client.made(limit=2))
    tasks = {one["task"]: one for one in client.get("/api/tasks")["tasks"]}
    assert tasks["issue_kind"]["answer"] == {"label": "VARCHAR"}
    (cost,) = client.get("/api/cost")["costs"]
    assert (cost["task"], cost["jobs"], cost["records"], cost["answered"]) == ("issue_kind", 1, 2, 2)
    assert cost["saved_usd"] == pytest.approx(cost["realtime_usd"] - cost["batch_usd"])
