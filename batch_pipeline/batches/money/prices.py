"""What a request costs: a price per model and mode, from the user's own file or from `genai-prices`.

The user's file (`BATCH_PIPELINE_PRICES_FILE`, TOML) adds models, corrects prices and maps deployments. Prices are in
USD per million tokens; a mode that is left out is taken from `genai-prices` where that knows the model:

    [models."gpt-6.2-sol".batch]        # or .realtime, or .flex
    input = 1.0
    output = 5.0                        # 0 for embeddings
    cached_input = 0.05                 # as `input` if left out
    cache_write = 1.25                  # as `input` if left out

    [models."gpt-6.2-sol".batch.long_context]
    above = 272_000                     # input tokens of one request; beyond them all of it costs this:
    input = 2.0
    output = 7.5
    cached_input = 0.1
    cache_write = 2.5

    [deployments]
    "our-luna" = "gpt-6-luna"           # the name that is sent = the model whose price it has
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from batch_pipeline.errors import InvalidSettings, UnpricedModel
from batch_pipeline.settings import PREFIX, Mode, ProviderName

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Tier, TieredPrices

Basis = Literal["batch", "flex", "standard", "local", "file"]

BATCH_CONTEXT = {"processing": "batch"}
"""The only key by which `genai-prices` 0.2.3 gives batch prices; any other gives the full price in silence."""
FLEX_CONTEXT = {"service_tier": "flex"}

_MILLION = Decimal(1_000_000)
_DISCOUNTS: dict[Mode, tuple[tuple[Basis, dict[str, str]], ...]] = {
    "batch": (("batch", BATCH_CONTEXT),),
    "flex": (("flex", FLEX_CONTEXT), ("batch", BATCH_CONTEXT)),
    "realtime": (),
}
_SUBSTITUTES: dict[Mode, tuple[Mode, ...]] = {"batch": ("realtime",), "flex": ("batch", "realtime"), "realtime": ()}


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per token.

    Since gpt-5.6, input of 1,024 tokens and more is written to OpenAI's cache unless the request says otherwise
    (`prompt_cache_options`), and what is written costs 1.25 times the input rate: OpenAI's prompt caching guide.
    """

    input: float
    cached_input: float
    output: float
    cache_write: float


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one model in one mode, on one day.

    `model` is the one that was looked up: of a deployment, the model behind it. `basis` says where the price is from:
    `standard` is a full price, for want of a discounted one. A request of more than `threshold` input tokens is at
    `long_context` as a whole.
    """

    model: str
    mode: Mode
    basis: Basis
    base: Rates
    long_context: Rates | None = None
    threshold: int | None = None

    def rates(self, input_tokens: int) -> Rates:
        """The rates for a request of so many input tokens, the cached ones included."""
        long = self.long_context
        return self.base if long is None or self.threshold is None or input_tokens <= self.threshold else long

    def cost(self, input_tokens: int, cached_tokens: int, output_tokens: int, cache_write_tokens: int = 0) -> float:
        """USD for one request. Tokens read from and written to a cache are part of the input; never below zero."""
        rates = self.rates(input_tokens)
        plain = input_tokens - cached_tokens - cache_write_tokens
        return (
            (plain if plain > 0 else 0) * rates.input
            + cached_tokens * rates.cached_input
            + cache_write_tokens * rates.cache_write
            + output_tokens * rates.output
        )

    def costs(
        self,
        input_tokens: Sequence[int],
        cached_tokens: Sequence[int],
        output_tokens: Sequence[int],
        cache_write_tokens: Sequence[int] | None = None,
    ) -> list[float]:
        """USD for each of many requests: `cost`, column by column.

        Raises:
            ValueError: The columns differ in length.
        """
        written = [0] * len(input_tokens) if cache_write_tokens is None else cache_write_tokens
        columns = _same_length(input_tokens, cached_tokens, output_tokens, written)
        if self.threshold is not None and max(input_tokens, default=0) > self.threshold:
            return list(map(self.cost, *columns))
        base = self.base
        read, again, write, output = base.input, base.cached_input, base.cache_write, base.output
        return [
            (plain if (plain := asked - cached - new) > 0 else 0) * read + cached * again + new * write + said * output
            for asked, cached, said, new in zip(*columns, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Tariff:
    """What is paid, and what the same would cost in each mode; of `local`, what it would cost as `PRICE_AS`."""

    paid: Price
    batch: Price
    realtime: Price
    flex: Price


class PriceBook:
    """Prices by provider, model and mode, each looked up once a day.

    Args:
        prices_file: The user's own prices; see the module.
        price_as: The model whose price is shown for what ran on this machine.

    Raises:
        InvalidSettings: The file can't be read, or something in it is wrong; it is named.
    """

    def __init__(self, prices_file: Path | None = None, price_as: str = "gpt-6-luna") -> None:
        self._file = _read(prices_file) if prices_file else _PricesFile()
        self._price_as = price_as
        self._found: dict[tuple[ProviderName, str, Mode, date], Price] = {}

    def price(self, provider: ProviderName, model: str, mode: Mode = "batch", at: datetime | None = None) -> Price:
        """The price of `model` on the day of `at` (in UTC; today otherwise).

        From the file; else the discounted price; else the standard one, marked so. `local` costs nothing.

        Raises:
            UnpricedModel: None of them knows a price.
        """
        if provider == "local":
            return Price(model, mode, "local", Rates(0.0, 0.0, 0.0, 0.0))
        key = (provider, model, mode, _day(at))
        if key not in self._found:
            self._found[key] = self._look_up(*key)
        return self._found[key]

    def price_as(self, mode: Mode = "batch", at: datetime | None = None) -> Price:
        """What `local` would have cost: the price of the model that the setting `PRICE_AS` names.

        Raises:
            InvalidSettings: That model has no price.
        """
        provider: ProviderName = "anthropic" if "claude" in self._price_as.lower() else "openai"
        try:
            return self.price(provider, self._price_as, mode, at)
        except UnpricedModel as error:
            raise InvalidSettings(f"{PREFIX}PRICE_AS names a model without a price. {error}") from error

    def tariff(self, provider: ProviderName, model: str, mode: Mode = "batch", at: datetime | None = None) -> Tariff:
        """The price that is paid in `mode`, with those that it is compared with.

        Raises:
            UnpricedModel: A price of `model` is not known.
            InvalidSettings: The provider is `local`, and `PRICE_AS` has no price.
        """

        def compared(as_if: Mode) -> Price:
            return self.price_as(as_if, at) if provider == "local" else self.price(provider, model, as_if, at)

        return Tariff(self.price(provider, model, mode, at), compared("batch"), compared("realtime"), compared("flex"))

    def _look_up(self, provider: ProviderName, sent_model: str, mode: Mode, day: date) -> Price:
        model = self._file.deployments.get(sent_model, sent_model)
        own = self._file.models.get(model, _FileModel())
        price = own.price(model, mode) or _bundled(provider, model, mode, day) or own.substitute(model, mode)
        if price is None:
            raise UnpricedModel(_unpriced(provider, model, mode))
        return price


def _day(at: datetime | None) -> date:
    if at is None:
        return datetime.now(UTC).date()
    return at.date() if at.tzinfo is None else at.astimezone(UTC).date()


def _same_length(*columns: Sequence[int]) -> Iterable[Sequence[int]]:
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"Columns of tokens differ in length: {[len(column) for column in columns]}")
    return columns


def _unpriced(provider: ProviderName, model: str, mode: Mode) -> str:
    table = "realtime" if mode == "realtime" else "batch"
    return (
        f"No {mode} price is known for the model `{model}` at `{provider}`, so nothing is planned with it. "
        f'Give its price in a file that {PREFIX}PRICES_FILE names, as [models."{model}".{table}] with input and output '
        f"in USD per million tokens, or map it under [deployments] to a model whose price is known."
    )


def _bundled(provider: ProviderName, model: str, mode: Mode, day: date) -> Price | None:
    info = _find_model(provider, model)
    if info is None:
        return None
    at = datetime.combine(day, time(12), UTC)
    standard = _from_bundle(model, mode, "standard", info.get_prices(at))
    for basis, context in _DISCOUNTS[mode] if standard else ():
        price = _from_bundle(model, mode, basis, info.get_prices(at, context))
        # where there is no such variant, the full price comes back without a word
        if price and standard and price.base.input < standard.base.input:
            return price
    return standard


def _find_model(provider: ProviderName, model: str) -> ModelInfo | None:
    from genai_prices.data_snapshot import get_snapshot  # 0.5 s of CPU, wanted only where something is priced

    try:
        return get_snapshot().find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


def _from_bundle(model: str, mode: Mode, basis: Basis, price: ModelPrice) -> Price | None:
    """None where tokens are not what is charged for: by the minute, by the character, or not at all."""
    read, output = price.input_mtok, price.output_mtok
    if read is None or (output is None and "embedding" not in model):
        return None
    cached, written = price.cache_read_mtok or read, price.cache_write_mtok or read
    columns = (read, cached, output or Decimal(0), written)
    thresholds = [tier.start for column in columns for tier in _tiers(column)]
    base = Rates(*(_usd_per_token(column, long=False) for column in columns))
    if not thresholds:
        return Price(model, mode, basis, base)
    return Price(model, mode, basis, base, Rates(*(_usd_per_token(c, long=True) for c in columns)), min(thresholds))


def _tiers(column: Decimal | TieredPrices) -> list[Tier]:
    return [] if isinstance(column, Decimal) else column.tiers


def _usd_per_token(column: Decimal | TieredPrices, *, long: bool) -> float:
    tiers = _tiers(column)
    if long and tiers:
        return float(tiers[-1].price / _MILLION)
    return float((column if isinstance(column, Decimal) else column.base) / _MILLION)


_Usd = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class _FileTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _FileRates(_FileTable):
    input: _Usd
    output: _Usd
    cached_input: _Usd | None = None
    cache_write: _Usd | None = None

    @property
    def rates(self) -> Rates:
        read = self.input
        cached = read if self.cached_input is None else self.cached_input
        written = read if self.cache_write is None else self.cache_write
        return Rates(*(float(Decimal(str(usd)) / _MILLION) for usd in (read, cached, self.output, written)))


class _LongContext(_FileRates):
    above: int = Field(ge=1, strict=True)


class _FilePrice(_FileRates):
    long_context: _LongContext | None = None


class _FileModel(_FileTable):
    batch: _FilePrice | None = None
    realtime: _FilePrice | None = None
    flex: _FilePrice | None = None

    def price(self, model: str, mode: Mode, basis: Basis = "file", of: Mode | None = None) -> Price | None:
        given: _FilePrice | None = getattr(self, of or mode)
        if given is None:
            return None
        long = given.long_context
        return Price(model, mode, basis, given.rates, long and long.rates, long and long.above)

    def substitute(self, model: str, mode: Mode) -> Price | None:
        """The file's price of another mode that is never too low for this one."""
        prices = (self.price(model, mode, "standard" if of == "realtime" else "file", of) for of in _SUBSTITUTES[mode])
        return next((price for price in prices if price), None)


class _PricesFile(_FileTable):
    models: dict[str, _FileModel] = {}
    deployments: dict[str, str] = {}

    @model_validator(mode="after")
    def _each_model_has_a_price(self) -> Self:
        for name, model in self.models.items():
            if model == _FileModel():
                raise ValueError(f'models."{name}" has no price: give it a table batch, realtime or flex')
        return self


def _read(path: Path) -> _PricesFile:
    try:
        return _PricesFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        wrong = error.strerror or str(error)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        wrong = f"it is no TOML: {error}"
    except ValidationError as error:
        wrong = "; ".join(_wrong_key(e["loc"], e["msg"]) for e in error.errors(include_url=False))
    raise InvalidSettings(f"{PREFIX}PRICES_FILE `{path}` can't be used: {wrong}. Correct it and run again.")


def _wrong_key(location: tuple[int | str, ...], message: str) -> str:
    key = ".".join(f'"{part}"' if "." in str(part) else str(part) for part in location)
    return f"{key}: {message}" if key else message
