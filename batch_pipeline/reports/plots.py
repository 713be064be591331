"""Pictures of what was spent, and of how the batches fared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo

from batch_pipeline.batches.money.estimates import Comparison
from batch_pipeline.reports.canvas import INK, Axes, Form, beside, canvas, nothing, titled
from batch_pipeline.reports.operations import Operations, Run
from batch_pipeline.reports.spend import By, Spent, grouped

DAYS, FEWEST_DAYS = 30, 7
"""Days in a picture, the newest, at most and at least."""
GROUPS = 12
"""Rows in a picture of bars, the dearest or the newest."""
WIDTH = 9.0
_GREY = "#a3adbb"
_EDGE = timedelta(hours=16)
MODES = (
    ("realtime", "realtime_usd", _GREY),
    ("flex", "flex_usd", "#7cc4c0"),
    ("batch", "batch_usd", "#3b76d6"),
    ("paid", "paid_usd", "#8a5cc2"),
)
_COLOURS = ("#3b76d6", "#e0883a", "#4aa564", "#b3589a", "#7d6bd0", "#7cc4c0", "#c9a227", "#d1605e")
_OUTCOMES = {"answered": "#4aa564"}
_NOT_ANSWERED = "#d1605e"


def plot_spend(spent: Sequence[Spent], until: date, priced_as: str, form: Form = "png") -> bytes:
    """What the last days cost, by task, below what it would have been in realtime; and each task in each mode.

    Args:
        spent: What was spent.
        until: The last day.
        priced_as: The model at whose price that is shown which was free.
        form: PNG, or SVG to be put into a page.
    """
    tasks = grouped(spent, "task")
    with canvas(WIDTH, 2.9 + 0.62 * min(GROUPS, max(1, len(tasks))), form) as drawn:
        above, below = drawn.figure.subplots(2, 1, height_ratios=[2.6, 0.5 + 0.62 * min(GROUPS, max(1, len(tasks)))])
        _days(above, spent, until, priced_as)
        _modes(below, {names[0]: each.modes for names, each in tasks.items()}, "task")
    return drawn.picture


def plot_costs(spent: Sequence[Spent], by: By, form: Form = "png") -> bytes:
    """Each group's price in realtime, by flex processing and in batch, beside what was paid."""
    groups = {names[0]: each.modes for names, each in grouped(spent, by).items()}
    with canvas(WIDTH, 1.2 + 0.62 * min(GROUPS, max(1, len(groups))), form) as drawn:
        _modes(drawn.figure.subplots(), groups, by)
    return drawn.picture


def plot_operations(found: Operations, form: Form = "png") -> bytes:
    """How long batches took, when how many were in flight, and how the requests ended."""
    with canvas(WIDTH, 6.0 + 0.22 * min(GROUPS, len(found.ended)), form) as drawn:
        heights = [2.3, 1.3, 0.8 + 0.22 * min(GROUPS, max(1, len(found.ended)))]
        took, queued, ended = drawn.figure.subplots(3, 1, height_ratios=heights)
        _latencies(took, found)
        _in_flight(queued, found)
        _ended(ended, found)
    return drawn.picture


def _days(axes: Axes, spent: Sequence[Spent], until: date, priced_as: str) -> None:
    free = not any(each.modes.paid_usd for each in spent)
    title = f"In batch, a day and task (USD, as {priced_as})" if free else "Spent a day, by task (USD)"
    since = min((each.day for each in spent), default=until)
    days = [until - timedelta(days=back) for back in range(min(DAYS, max(FEWEST_DAYS, (until - since).days + 2)))][::-1]
    shown = [each for each in spent if days[0] <= each.day <= until]
    if not any(each.price_usd for each in shown):
        titled(axes, title)
        nothing(axes, f"nothing was collected in the last {len(days)} days")
        return
    names = _stack(axes, shown, days)
    by_day = grouped(shown, "day")
    told = {day: by_day[(day.isoformat(),)] for day in days if (day.isoformat(),) in by_day}
    names += _marks(axes, list(told), [each.modes.realtime_usd for each in told.values()], "_", _GREY, "in realtime")
    names += _marks(axes, list(told), [each.estimate_usd for each in told.values()], "x", INK, "estimated")
    midnight = datetime.min.time()
    axes.set_xlim(*(datetime.combine(day, midnight) + shift for day, shift in ((days[0], -_EDGE), (until, _EDGE))))
    axes.set_ylim(0, None)
    axes.grid(visible=True, axis="y")
    _dates(axes)
    titled(axes, title, names)


def _stack(axes: Axes, shown: Sequence[Spent], days: Sequence[date]) -> int:
    """The dearest tasks have a colour each; how many names there are."""
    tasks = grouped(shown, "task")
    dearest = sorted(tasks, key=lambda names: -tasks[names].price_usd)[: len(_COLOURS)]
    sums, base = grouped(shown, "day", "task"), [0.0] * len(days)
    others = [names for names in tasks if names not in dearest]
    for part, colour in [*zip(([names] for names in dearest), _COLOURS, strict=False), (others, _GREY)]:
        found = [[sums.get((day.isoformat(), *names)) for names in part] for day in days]
        heights = [sum(each.price_usd for each in of_day if each) for of_day in found]
        if part:
            label = part[0][0] if part is not others else "others"
            axes.bar(days, heights, 0.72, bottom=base, color=colour, label=label)
        base = [low + more for low, more in zip(base, heights, strict=True)]
    return len(dearest) + bool(others)


def _marks(axes: Axes, days: Sequence[date], values: Sequence[float], mark: str, colour: str, name: str) -> int:
    """Only where there is something to mark: what ran here was estimated at nothing."""
    if any(values):
        axes.plot(days, values, mark, color=colour, markersize=11 if mark == "_" else 5, label=name, linestyle="none")
    return int(any(values))


def _modes(axes: Axes, groups: Mapping[str, Comparison], by: str) -> None:
    title = f"In each mode, by {_SPOKEN.get(by, by)} (USD)"
    dearest = _most_to_show(groups, by)
    if not any(modes.realtime_usd for _, modes in dearest):
        titled(axes, title)
        nothing(axes, "nothing is collected yet")
        return
    shown = [mode for mode in MODES if any(getattr(modes, mode[1]) for _, modes in dearest)]
    for number, (name, field, colour) in enumerate(shown):
        places = [row + 0.3 - 0.2 * number for row in range(len(dearest))]
        axes.barh(places, [getattr(modes, field) for _, modes in dearest], 0.18, color=colour, label=name)
    for row, (_, modes) in enumerate(dearest):
        told = f"{modes.saved_share:.0%} saved by batch" if modes.saved_usd > 0 else ""
        beside(axes, modes.realtime_usd, row + 0.3, told)
    axes.set_yticks(range(len(dearest)), [name for name, _ in dearest])
    axes.set_ylim(-0.6, len(dearest) - 0.4)
    axes.set_xlim(0, max(modes.realtime_usd for _, modes in dearest) * 1.18)
    axes.grid(visible=True, axis="x")
    titled(axes, title, len(shown))


def _most_to_show(groups: Mapping[str, Comparison], by: str) -> list[tuple[str, Comparison]]:
    """The newest days, or the dearest of others; the last one is drawn above."""
    if by in ("day", "night"):
        return sorted(groups.items())[-GROUPS:]
    return sorted(groups.items(), key=lambda item: item[1].realtime_usd)[-GROUPS:]


_SPOKEN = {"repo": "repository"}


def _latencies(axes: Axes, found: Operations) -> None:
    ended = [run for run in found.runs if run.seconds is not None]
    unit, seconds = _unit(found.seconds)
    title = f"How long batches took at the provider ({unit})"
    if not ended:
        titled(axes, title)
        nothing(axes, "no batch has ended yet")
        return
    models = sorted({run.model for run in ended})
    for number, model in enumerate(models):
        runs = [run for run in ended if run.model == model]
        times = [datetime.fromtimestamp(run.submitted_at, found.zone) for run in runs]
        took = [(run.seconds or 0.0) / seconds for run in runs]
        axes.plot(times, took, "o", color=_COLOURS[number % len(_COLOURS)], markersize=4.5, alpha=0.75, label=model)
    axes.set_ylim(0, 1.15 * max(found.seconds) / seconds or 1.0)
    axes.grid(visible=True, axis="y")
    _span(axes, found)
    titled(axes, title, len(models))


def _unit(values: Iterable[float]) -> tuple[str, float]:
    longest = max(values, default=0.0)
    return ("hours", 3600.0) if longest > 7200 else ("minutes", 60.0) if longest > 120 else ("seconds", 1.0)


def _in_flight(axes: Axes, found: Operations) -> None:
    axes.set_title("Requests in flight")
    if not found.runs:
        nothing(axes, "nothing was sent yet")
        return
    times, counts = _steps(found.runs, found.at)
    axes.fill_between(
        [datetime.fromtimestamp(at, found.zone) for at in times], counts, step="post", color="#3b76d6", alpha=0.35
    )
    axes.set_ylim(0, None)
    axes.grid(visible=True, axis="y")
    _span(axes, found)


def _steps(runs: Sequence[Run], until: float) -> tuple[list[float], list[int]]:
    """When the number of requests in flight changed, and what it was from then on."""
    changes = [(run.submitted_at, run.requests) for run in runs]
    changes += [(run.ended_at, -run.requests) for run in runs if run.ended_at is not None]
    times, counts = [min(at for at, _ in changes)], [0]
    for at, change in sorted(changes):
        times.append(at)
        counts.append(counts[-1] + change)
    return [*times, max(until, times[-1])], [*counts, counts[-1]]


def _ended(axes: Axes, found: Operations) -> None:
    axes.set_title("How requests ended")
    shown = list(found.ended[:GROUPS])[::-1]
    if not shown:
        nothing(axes, "nothing is collected yet")
        return
    counts = [each.requests for each in shown]
    names = [each.outcome if each.code == each.outcome else f"{each.outcome}: {each.code}" for each in shown]
    axes.barh(range(len(shown)), counts, 0.6, color=[_OUTCOMES.get(each.outcome, _NOT_ANSWERED) for each in shown])
    for row, count in enumerate(counts):
        beside(axes, count, row, f"{count:,}")
    axes.set_yticks(range(len(shown)), names)
    axes.set_ylim(-0.6, max(len(shown), 2) - 0.4)
    axes.set_xlim(0, max(counts) * 1.12)
    axes.locator_params(axis="x", integer=True)
    axes.grid(visible=True, axis="x")


def _span(axes: Axes, found: Operations) -> None:
    """Both drawings over the same time, an hour at least."""
    first = min(run.submitted_at for run in found.runs)
    last = max([found.at, *(run.ended_at or 0.0 for run in found.runs)])
    margin = max(60.0, 0.03 * (last - first))
    axes.set_xlim(*(datetime.fromtimestamp(at, found.zone) for at in (first - margin, last + margin)))
    _dates(axes, found.zone)


def _dates(axes: Axes, zone: tzinfo | None = None) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=zone, minticks=3, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=zone))
