"""Scores as a picture: accuracy and macro F1 of each setup, with how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, cast

from batch_pipeline.evaluation.store import Score

MOST = 20
"""Setups in one picture, the newest."""
_WIDTH, _ROW_HEIGHT, _DPI = 7.5, 0.5, 72


def plot_scores(scores: Sequence[Score]) -> bytes:
    """A PNG: a line a score, a point for its accuracy and one for its macro F1, each on its 95 % interval."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = list(scores[:MOST])[::-1]
    figure = Figure(figsize=(_WIDTH, 1.2 + _ROW_HEIGHT * len(shown)), dpi=_DPI, layout="constrained")
    axes = cast(Any, figure.add_subplot())  # its keyword arguments have no types
    for offset, name, colour in ((0.12, "accuracy", "#1f77b4"), (-0.12, "macro_f1", "#ff7f0e")):
        values = [float(getattr(score, name)) for score in shown]
        below = [value - min(value, getattr(score, f"{name}_low")) for value, score in zip(values, shown, strict=True)]
        above = [max(value, getattr(score, f"{name}_high")) - value for value, score in zip(values, shown, strict=True)]
        places = [place + offset for place in range(len(shown))]
        label = name.replace("_", " ")
        axes.errorbar(values, places, xerr=[below, above], fmt="o", capsize=3, color=colour, label=label)
    axes.set_yticks(range(len(shown)), [_label(score) for score in shown], fontsize=8)
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlim(0, 1)
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8)
    picture = BytesIO()
    cast(Any, FigureCanvasAgg(figure)).print_png(picture)
    return picture.getvalue()


def _label(score: Score) -> str:
    variant = f" {score.variant}" if score.variant else ""
    return f"{score.task}.{score.field}\n{score.model} {score.prompt_version}{variant} ({score.answered}/{score.rows})"
