"""Schedules over HTTP."""

from __future__ import annotations

from batch_pipeline_tests.api.conftest import Client


def test_a_schedule_is_made_listed_and_removed(client: Client) -> None:
    asked = {"task": "issue-kind", "repository": "acme/orbit", "hour": 3, "most_records": 10, "order": "newest,age"}
    made = client.http.post("/api/batch/schedule", json=asked)
    assert made.status_code == 201
    told = made.json()
    assert {name: told[name] for name in asked} == {**asked, "task": "issue_kind"}
    assert client.get("/api/batch/schedule")["schedules"] == [told]
    path = f"/api/batch/schedule/{told['schedule_id']}"
    assert client.http.delete(path).status_code == 204
    assert client.http.delete(path).status_code == 404
    assert client.get("/api/batch/schedule")["schedules"] == []
