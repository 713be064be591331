"""`/webhooks/openai`: OpenAI tells that a batch has ended. Signed, fresh, and once; else it is refused.

What is taken is in the ledger before it is answered, so whoever dies, the batch is looked at: by this server at once,
else by the next round or tick of any process. Nothing of the body is logged.
"""

from __future__ import annotations

import logging
import re

from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.concurrency import run_in_threadpool
from openai import InvalidWebhookSignatureError, OpenAI
from openai.types.webhooks import (
    BatchCancelledWebhookEvent,
    BatchCompletedWebhookEvent,
    BatchExpiredWebhookEvent,
    BatchFailedWebhookEvent,
)

from batch_pipeline.api.models import WebhookTaken
from batch_pipeline.api.problems import Refused
from batch_pipeline.api.service import Service
from batch_pipeline.batches.pipeline import Pipeline
from batch_pipeline.batches.poll import look_at_told
from batch_pipeline.errors import PipelineError
from batch_pipeline.ledger import webhooks

log = logging.getLogger(__name__)

BatchEvent = (
    BatchCancelledWebhookEvent | BatchCompletedWebhookEvent | BatchExpiredWebhookEvent | BatchFailedWebhookEvent
)
_ID = re.compile(r"[!-~]{1,200}")
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


def routes(service: Service) -> APIRouter:
    """The route of one server."""
    router = APIRouter(prefix="/webhooks", tags=["webhooks"])
    # only its verifying is used: it asks nobody, and needs no key
    verifier = OpenAI(api_key="none")

    @router.post("/openai", openapi_extra=_DESCRIBED)
    async def take_openai(request: Request, background: BackgroundTasks) -> WebhookTaken:
        """Take a webhook of OpenAI, or of the local server: the batch that it tells of is looked at now."""
        secret = service.pipeline.settings.openai_webhook_secret
        if secret is None:
            raise Refused(503, "no-webhooks", "Webhooks are off: set OPENAI_WEBHOOK_SECRET to take them.")
        body = await request.body()
        try:
            event = verifier.webhooks.unwrap(body, request.headers, secret=secret.get_secret_value())
            at = int(request.headers["webhook-timestamp"])
        except (InvalidWebhookSignatureError, ValueError, TypeError) as error:  # of a signature that is no ASCII
            raise _refused(request, f"its signature or its time does not hold ({type(error).__name__})") from None
        webhook_id = request.headers["webhook-id"]
        if not _ID.fullmatch(webhook_id):
            raise _refused(request, "its id is none")
        remote_id = event.data.id if isinstance(event, BatchEvent) else ""
        if not isinstance(remote_id, str):  # pyright: ignore[reportUnnecessaryIsInstance] - the client checks no types
            remote_id = ""
        if not await run_in_threadpool(_take, service.pipeline, webhook_id, at, remote_id):
            return WebhookTaken(status="known")
        if not remote_id:
            return WebhookTaken(status="ignored")
        background.add_task(_look, service)
        return WebhookTaken(status="taken")

    return router


def _take(pipeline: Pipeline, webhook_id: str, at: int, remote_id: str) -> bool:
    """False where it was taken before and is now sent anew, signed anew.

    Raises:
        Refused: It was taken as it is: somebody else may have recorded it.
    """
    with pipeline.ledger.begin() as db:
        if webhooks.take(db, webhook_id, at, remote_id):
            return True
        before = webhooks.signed_at(db, webhook_id)
    if before is not None and at <= before:
        log.warning("a webhook was refused: it was taken before (%s)", webhook_id)
        raise Refused(409, "webhook-replayed", "This webhook was taken before.")
    return False


def _refused(request: Request, why: str) -> Refused:
    given = {name: request.headers.get(name, "")[:100] for name in _HEADERS[:2]}
    log.warning("a webhook was refused: %s; %r", why, given)
    return Refused(401, "webhook-refused", "The webhook's signature or its time does not hold.")


def _look(service: Service) -> None:
    try:
        look_at_told(service.pipeline)
    except PipelineError as error:
        log.warning("what a webhook told of is looked at later: %s", error)
    service.wake()


_DESCRIBED = {
    "parameters": [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}, "description": what}
        for name, what in zip(
            _HEADERS,
            ("The same for each try.", "Unix seconds; 300 of them old at most.", "`v1,` and base64, as signed."),
            strict=True,
        )
    ],
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
}
