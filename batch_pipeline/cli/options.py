"""Arguments and options that several verbs take, each said once."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from batch_pipeline.cli.completion import job_ids, task_names

Provider = Literal["openai", "anthropic", "local"]

TaskName = Annotated[str, typer.Argument(metavar="TASK", autocompletion=task_names, help="The task's name.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", autocompletion=job_ids, help="The job's id.")]
Key = Annotated[str | None, typer.Option("--key", metavar="KEY", help="Called again with it, the same job goes on.")]
Model = Annotated[str | None, typer.Option("--model", metavar="MODEL", help="The model, in place of the task's.")]
Asked = Annotated[Provider | None, typer.Option("--provider", help="Who answers, in place of the task's.")]
Variant = Annotated[str | None, typer.Option("--variant", metavar="NAME", help="One of the task's named prompts.")]
Budget = Annotated[
    float | None,
    typer.Option("--budget", metavar="USD", min=0, help="What the job may cost with its attempts, at worst."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what it would come to; send nothing.")]
PollSeconds = Annotated[
    float | None,
    typer.Option("--poll-seconds", metavar="S", min=0.1, help="Between two looks; 1 for the local server."),
]
