"""How Celery's workers work; `dagster_celery.app` imports it by this name, from PYTHONPATH.

The broker and the store of results are `CELERY_BROKER_URL` and `CELERY_RESULT_BACKEND`, which Celery reads itself:
their passwords are in no file.
"""

task_acks_late = False
"""Taken is done with: a task that is delivered a second time finds its run begun, and leaves it hanging."""
task_reject_on_worker_lost = False
worker_prefetch_multiplier = 1
worker_disable_prefetch = True
"""A worker takes what it has a process for: what it put aside would wait behind a run of hours."""
worker_max_tasks_per_child = 20
"""A process is replaced after so many runs, and gives back what they held."""
worker_cancel_long_running_tasks_on_connection_loss = False
"""A broker that is away for a moment does not end a run that is at work."""
broker_connection_retry_on_startup = True
worker_hijack_root_logger = False
"""Dagster's own handlers write the runs' logs."""
result_extended = True
"""So that Dagster can say which worker a run was with."""
result_expires = 7 * 24 * 3600
"""Seconds; longer than any run, and than a look at why it failed."""
broker_transport_options = {
    "visibility_timeout": 3600,
    "health_check_interval": 10,
    "socket_keepalive": True,
}
