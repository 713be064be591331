"""What is asked, and the most that it can cost."""

from __future__ import annotations

from batch_pipeline.batches.money.estimates import Estimator
from batch_pipeline.batches.money.prices import PriceBook
from batch_pipeline.batches.money.tokens import TokenCounter, headroom_tokens
from batch_pipeline.errors import PipelineError
from batch_pipeline.settings import Settings
from batch_pipeline.wire.lines import Json
from batch_pipeline_tests.live.settlement import Settlement

LIMIT_USD = 0.01
"""What all of it together may cost, at worst."""
ENDPOINT = "/v1/chat/completions"
MAX_OUTPUT_TOKENS = 32
TEXT = "Say one word that rhymes with light. Number {number}."


class TooDear(PipelineError):
    """More than a cent, at worst: nothing was sent of it."""

    exit_code = 2


class Money:
    """Prices of one model at OpenAI, in batch.

    Raises:
        UnpricedModel: No price of it is known.
    """

    def __init__(self, settings: Settings, model: str) -> None:
        self._model = model
        self._tariff = PriceBook(settings.prices_file, settings.price_as).tariff("openai", model)
        self._counter = TokenCounter(self._tariff.paid.model)

    def bound_usd(self, lines: int) -> float:
        """The most that so many requests can cost: each at its longest answer, and half as much input again."""
        estimator = Estimator(
            self._tariff.paid, MAX_OUTPUT_TOKENS, exact=self._counter.exact, headroom=headroom_tokens(1)
        )
        estimator.add(self._counter.count_many([_text(number) for number in range(lines)]))
        return estimator.result().bound_usd

    def settlement(self) -> Settlement:
        """For the rows of one batch."""
        return Settlement(self._tariff)

    def must_stay_below(self, usd: float) -> None:
        """Checks a sum before anything is sent.

        Raises:
            TooDear: It is more than may be spent.
        """
        if usd > LIMIT_USD:
            raise TooDear(
                f"With {self._model} this can cost {usd:.4f} USD, and {LIMIT_USD} USD is the limit: nothing was sent. "
                "Give a cheaper model with --model."
            )


def request_line(model: str, number: int) -> Json:
    """One request of an input file."""
    said = [{"role": "user", "content": _text(number)}]
    body = {"model": model, "messages": said, "max_completion_tokens": MAX_OUTPUT_TOKENS}
    return {"custom_id": f"live-{number}", "method": "POST", "url": ENDPOINT, "body": body}


def _text(number: int) -> str:
    return TEXT.format(number=number)
