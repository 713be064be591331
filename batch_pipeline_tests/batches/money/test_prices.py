from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices
from hypothesis import given
from hypothesis import strategies as st

from batch_pipeline.batches.money.prices import BATCH_CONTEXT, FLEX_CONTEXT, Mode, Price, PriceBook, Rates
from batch_pipeline.errors import InvalidSettings, UnpricedModel
from batch_pipeline.settings import ProviderName

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
MILLION = 1_000_000
BOOK = PriceBook()

MODELS: list[tuple[ProviderName, str]] = [
    ("openai", "gpt-6-luna"),
    ("openai", "gpt-5.4-mini"),
    ("openai", "gpt-4.1"),
    ("anthropic", "claude-sonnet-5-5"),
    ("anthropic", "claude-haiku-5-5"),
]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_batch_is_half_of_standard(provider: ProviderName, model: str) -> None:
    batch, standard = BOOK.price(provider, model, at=AT), BOOK.price(provider, model, "realtime", AT)
    assert (batch.basis, standard.basis) == ("batch", "standard")
    assert batch.base.input == pytest.approx(standard.base.input / 2)
    assert batch.base.output == pytest.approx(standard.base.output / 2)
    assert batch.cost(1000, 0, 100) < standard.cost(1000, 0, 100)


@pytest.mark.parametrize(
    ("provider", "model", "mode", "usd_per_million"),
    [
        # wire-facts 1.11 and 2: input, cached, output
        ("openai", "gpt-6-luna", "batch", (0.05, 0.005, 0.25)),
        ("openai", "gpt-6-luna", "realtime", (0.10, 0.01, 0.50)),
        ("openai", "gpt-6-luna", "flex", (0.05, 0.005, 0.25)),
        ("openai", "gpt-5.4-mini", "batch", (0.375, 0.0375, 2.25)),
        ("openai", "gpt-4.1", "batch", (1.0, 0.5, 4.0)),
        ("openai", "gpt-4o", "batch", (1.25, 1.25, 5.0)),
        ("anthropic", "claude-sonnet-5-5", "batch", (1.0, 0.05, 5.0)),
        ("anthropic", "claude-haiku-5-5", "realtime", (0.1, 0.01, 0.5)),
    ],
)
def test_prices_are_pinned_by_numbers(
    provider: ProviderName, model: str, mode: Mode, usd_per_million: tuple[float, float, float]
) -> None:
    base = BOOK.price(provider, model, mode, AT).base
    found = [usd * MILLION for usd in (base.input, base.cached_input, base.output)]
    assert found == pytest.approx(usd_per_million)


def test_only_processing_batch_gives_the_batch_price() -> None:
    assert BATCH_CONTEXT == {"processing": "batch"}
    usage = Usage(input_tokens=MILLION // 10, output_tokens=0)

    def usd(context: dict[str, str]) -> Decimal:
        return calc_price(
            usage, "gpt-6-luna", provider_id="openai", genai_request_timestamp=AT, price_context=context
        ).total_price

    assert usd(BATCH_CONTEXT) == Decimal("0.005")
    assert usd(FLEX_CONTEXT) == Decimal("0.005")
    # an update that begins to know this key must be looked at
    assert usd({"service_tier": "batch"}) == Decimal("0.01")


def test_a_request_of_more_than_272k_tokens_is_at_the_long_context_rate_as_a_whole() -> None:
    price = BOOK.price("openai", "gpt-6-luna", at=AT)
    assert price.threshold == 272_000
    assert price.cost(272_000, 0, 1_000) == pytest.approx(272_000 * 0.05e-6 + 1_000 * 0.25e-6)
    assert price.cost(272_001, 0, 1_000) == pytest.approx(272_001 * 0.10e-6 + 1_000 * 0.375e-6)
    assert price.cost(300_000, 300_000, 0) == pytest.approx(300_000 * 0.01e-6)
    # wire-facts 2: 300k tokens at haiku-5-5 cost 0.075, not 0.015
    assert BOOK.price("anthropic", "claude-haiku-5-5", at=AT).cost(300_000, 0, 0) == pytest.approx(0.075)


def test_what_is_written_to_the_cache_costs_a_quarter_more_since_gpt_5_6() -> None:
    assert BOOK.price("openai", "gpt-6-luna", at=AT).cost(MILLION // 4, 0, 0, MILLION // 4) == pytest.approx(0.015625)
    assert BOOK.price("openai", "gpt-4.1", at=AT).cost(MILLION, 0, 0, MILLION) == pytest.approx(1.0)


@given(
    model=st.sampled_from(MODELS),
    mode=st.sampled_from(["batch", "realtime", "flex"]),
    plain=st.integers(0, 400_000),
    cached=st.integers(0, 400_000),
    written=st.integers(0, 400_000),
    output=st.integers(0, 20_000),
)
def test_a_price_costs_what_genai_prices_says(
    *, model: tuple[ProviderName, str], mode: Mode, plain: int, cached: int, written: int, output: int
) -> None:
    provider, name = model
    if provider == "anthropic" and mode == "flex":
        mode = "batch"  # Anthropic has no flex: the batch price stands for it
    context = {"batch": BATCH_CONTEXT, "flex": FLEX_CONTEXT, "realtime": None}[mode]
    if name == "gpt-4.1" and mode == "flex":
        context = BATCH_CONTEXT  # OpenAI's flex table lacks it
    if name in ("gpt-4.1", "gpt-5.4-mini"):
        written = 0
    tokens = plain + cached + written
    theirs = calc_price(
        Usage(input_tokens=tokens, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=output),
        name,
        provider_id=provider,
        genai_request_timestamp=AT,
        price_context=context,
    ).total_price
    ours = BOOK.price(provider, name, mode, AT).cost(tokens, cached, output, written)
    assert ours == pytest.approx(float(theirs), rel=1e-9, abs=1e-15)


def test_no_model_of_ours_has_more_than_the_one_threshold_that_a_price_holds() -> None:
    columns = ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")
    for provider in get_snapshot().providers:
        for model in provider.models if provider.id in ("openai", "anthropic") else []:
            prices = model.get_prices(AT, BATCH_CONTEXT)
            tiered = [t for c in columns if isinstance(t := getattr(prices, c), TieredPrices)]
            assert {len(t.tiers) for t in tiered} <= {1}, model.id
            assert len({tier.start for t in tiered for tier in t.tiers}) <= 1, model.id


def test_a_model_without_a_batch_price_is_at_the_standard_one_and_says_so() -> None:
    price = BOOK.price("openai", "text-embedding-3-small", at=AT)
    assert price.basis == "standard"
    assert price.mode == "batch"
    assert price.cost(MILLION, 0, 0) == pytest.approx(0.02)


@pytest.mark.parametrize("model", ["gpt-6.2-sol", "our-deployment", "tts-1", "omni-moderation-latest"])
def test_a_model_without_a_price_by_the_token_is_refused_by_name_with_the_way_out(model: str) -> None:
    with pytest.raises(UnpricedModel, match=rf'`{model}` at `openai`.*PRICES_FILE.*\[models."{model}".batch\]'):
        BOOK.price("openai", model, at=AT)


def test_a_price_is_that_of_its_day() -> None:
    before, after = datetime(2026, 7, 29, 23, tzinfo=UTC), datetime(2026, 7, 30, 1, tzinfo=UTC)
    assert BOOK.price("openai", "gpt-5.6-luna", "realtime", before).base.input == pytest.approx(1e-6)
    assert BOOK.price("openai", "gpt-5.6-luna", "realtime", after).base.input == pytest.approx(0.2e-6)
    same_moment = after.astimezone(timezone(timedelta(hours=-8)))
    assert BOOK.price("openai", "gpt-5.6-luna", "realtime", same_moment).base.input == pytest.approx(0.2e-6)


def test_a_price_is_looked_up_once_a_day() -> None:
    assert BOOK.price("openai", "gpt-6-luna", at=AT) is BOOK.price("openai", "gpt-6-luna", at=AT + timedelta(hours=3))


def test_local_costs_nothing_and_shows_what_it_would_have_cost() -> None:
    tariff = BOOK.tariff("local", "smollm2-135m", at=AT)
    assert tariff.paid.basis == "local"
    assert tariff.paid.cost(MILLION, 0, MILLION) == 0
    assert tariff.batch == BOOK.price("openai", "gpt-6-luna", "batch", AT)
    assert tariff.realtime == BOOK.price("openai", "gpt-6-luna", "realtime", AT)
    assert PriceBook(price_as="claude-haiku-5-5").price_as(at=AT).model == "claude-haiku-5-5"


def test_a_price_as_without_a_price_is_a_wrong_setting() -> None:
    with pytest.raises(InvalidSettings, match="BATCH_PIPELINE_PRICE_AS"):
        PriceBook(price_as="gpt-99").price_as(at=AT)


def test_a_tariff_holds_what_is_paid_and_what_it_is_compared_with() -> None:
    tariff = BOOK.tariff("openai", "gpt-6-luna", "realtime", AT)
    assert tariff.paid is tariff.realtime
    assert tariff.batch.cost(1000, 0, 10) < tariff.realtime.cost(1000, 0, 10)


def test_columns_cost_what_their_rows_cost() -> None:
    price = BOOK.price("openai", "gpt-6-luna", at=AT)
    assert price.costs([10, 300_000], [0, 5], [1, 2]) == [price.cost(10, 0, 1), price.cost(300_000, 5, 2)]
    assert price.costs([10], [0], [1], [10]) == [price.cost(10, 0, 1, 10)]
    with pytest.raises(ValueError, match="differ in length"):
        price.costs([10], [0, 0], [1])


def test_nonsense_from_a_server_never_makes_a_cost_negative() -> None:
    assert BOOK.price("openai", "gpt-6-luna", at=AT).cost(10, 500, 0) > 0


FILE = """
[models."gpt-6.2-sol".batch]
input = 1
output = 5.0
cached_input = 0.05
cache_write = 1.25

[models."gpt-6.2-sol".batch.long_context]
above = 272_000
input = 2.0
output = 7.5

[models."gpt-6.2-sol".realtime]
input = 2.0
output = 10.0

[models."gpt-6-luna".realtime]
input = 0.11
output = 0.55

[models.whole.realtime]
input = 3.0
output = 6.0

[deployments]
"our-luna" = "gpt-6-luna"
"our-sol" = "gpt-6.2-sol"
"""


@pytest.fixture
def book(tmp_path: Path) -> PriceBook:
    return PriceBook(write(tmp_path / "prices.toml", FILE))


def test_the_file_adds_a_model(book: PriceBook) -> None:
    assert book.price("openai", "gpt-6.2-sol", at=AT) == Price(
        "gpt-6.2-sol",
        "batch",
        "file",
        Rates(1e-6, 0.05e-6, 5e-6, 1.25e-6),
        Rates(2e-6, 2e-6, 7.5e-6, 2e-6),
        272_000,
    )


def test_the_file_corrects_one_mode_and_leaves_the_others(book: PriceBook) -> None:
    assert book.price("openai", "gpt-6-luna", "realtime", AT).base.input == 0.11e-6
    assert book.price("openai", "gpt-6-luna", "realtime", AT).basis == "file"
    assert book.price("openai", "gpt-6-luna", "batch", AT) == BOOK.price("openai", "gpt-6-luna", "batch", AT)


def test_the_file_maps_a_deployment_to_the_model_behind_it(book: PriceBook) -> None:
    assert book.price("openai", "our-luna", at=AT) == BOOK.price("openai", "gpt-6-luna", at=AT)
    assert book.price("openai", "our-luna", at=AT).model == "gpt-6-luna"
    assert book.price("openai", "our-sol", at=AT).basis == "file"


def test_a_mode_that_nobody_knows_takes_the_next_dearer_one_never_a_cheaper(book: PriceBook, tmp_path: Path) -> None:
    assert book.price("openai", "whole", "batch", AT).basis == "standard"
    assert book.price("openai", "whole", "flex", AT).base.input == 3e-6
    assert book.price("openai", "gpt-6.2-sol", "flex", AT).base.input == 1e-6
    only_batch = FILE.replace('[models."gpt-6.2-sol".realtime]', "[models.other.realtime]")
    with pytest.raises(UnpricedModel, match=r'No realtime price.*\[models."gpt-6.2-sol".realtime\]'):
        PriceBook(write(tmp_path / "only_batch.toml", only_batch)).price("openai", "gpt-6.2-sol", "realtime", AT)


def test_own_hardware_behind_an_openai_protocol_may_be_said_to_cost_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "p.toml", "[models.qwen.realtime]\ninput = 0\noutput = 0\n")
    assert PriceBook(path).price("openai", "qwen", at=AT).cost(100, 0, 100) == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[models.x.batch]\ninput = 1.0\n", "models.x.batch.output: Field required"),
        ("[models.x.batch]\ninput = -1.0\noutput = 1\n", "models.x.batch.input"),
        ("[models.x.batch]\ninput = nan\noutput = 1\n", "models.x.batch.input"),
        ('[models."x.1".batch]\ninput = "1"\noutput = 1\n', r'models."x.1".batch.input'),
        ("[models.x.batch]\ninput = 1\noutput = 1\ncached = 0.1\n", "models.x.batch.cached"),
        ("[models.x.batch]\ninput = 1\noutput = 1\nlong_context = {input = 1, output = 1}\n", "long_context.above"),
        ("[models.x.overnight]\ninput = 1\noutput = 1\n", "models.x.overnight"),
        ("[models.x]\n", 'models."x" has no price'),
        ("[prices]\n", "prices: Extra inputs"),
        ("[deployments]\na = 1\n", "deployments.a"),
        ("[models\n", "no TOML"),
    ],
)
def test_a_wrong_file_is_refused_at_the_start_by_the_key_that_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        PriceBook(write(tmp_path / "prices.toml", text))
    assert "BATCH_PIPELINE_PRICES_FILE" in str(refused.value)
    assert says in str(refused.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="No such file"):
        PriceBook(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSettings, match="no TOML"):
        PriceBook(tmp_path / "bytes.toml")
