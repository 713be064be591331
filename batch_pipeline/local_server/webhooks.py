"""Webhooks: tells somebody that a batch has ended, signed as OpenAI signs it (Standard Webhooks), until it arrives.

What did not arrive when the server ends is not sent by the next one: whoever waits for it polls as well.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import time

import httpx2
import orjson

from batch_pipeline.errors import UsageError
from batch_pipeline.local_server.records import BatchRecord
from batch_pipeline.wire.messages import MESSAGES

log = logging.getLogger(__name__)

TIMEOUT = 10.0
FIRST_WAIT, LONGEST_WAIT, MOST_TRIES = 0.5, 60.0, 12
"""Seconds until one that did not arrive goes again, twice as long each time."""
PREFIX = "whsec_"


def signed(secret: str, webhook_id: str, at: int, body: bytes) -> dict[str, str]:
    """The headers of a webhook.

    Args:
        secret: `whsec_` and base64, or any other text, of which the bytes are taken.
        webhook_id: The same for each try.
        at: When it is sent, in unix seconds.
        body: As it is sent, to the byte.
    """
    content = f"{webhook_id}.{at}.".encode() + body
    signature = base64.b64encode(hmac.new(key_of(secret), content, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
    }


def key_of(secret: str) -> bytes:
    """The bytes that are signed with.

    Raises:
        UsageError: It begins as one in base64 does, and is none.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise UsageError(f"A webhook secret that begins with {PREFIX} goes on in base64, and this one does not.") from (
            error
        )


class Webhooks:
    """Sends one for each batch that ends.

    Args:
        url: Where to; None: nowhere.
        secret: What to sign with.
    """

    def __init__(self, url: str | None, secret: str | None) -> None:
        self._url, self._secret = url, secret or ""
        self._sending = set[asyncio.Task[None]]()

    def tell(self, record: BatchRecord) -> None:
        """Sends it, and goes on sending it, beside whatever else goes on; not for what Anthropic's clients asked."""
        shown = record.object
        if self._url is None or not shown.ended or shown.endpoint == MESSAGES:
            return
        event = {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "type": f"batch.{shown.status}",
            "created_at": int(time.time()),
            "data": {"id": shown.id},
        }
        task = asyncio.create_task(self._send(self._url, f"wh_{secrets.token_hex(12)}", orjson.dumps(event)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def close(self) -> None:
        """Sends nothing more."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _send(self, url: str, webhook_id: str, body: bytes) -> None:
        # the environment's proxies are not for a server that the user named
        async with httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
            for number in range(MOST_TRIES):
                headers = signed(self._secret, webhook_id, int(time.time()), body)
                try:
                    reply = await client.post(url, content=body, headers=headers)
                except httpx2.HTTPError as error:
                    why_not = type(error).__name__
                else:
                    if reply.is_success:
                        return
                    why_not = str(reply.status_code)
                log.warning("webhook %s did not arrive: %s", webhook_id, why_not)
                await asyncio.sleep(min(FIRST_WAIT * 2**number, LONGEST_WAIT))
