"""How a job lives: plan, submit, poll, collect, retry, and the money. No Dagster, no command in here."""
