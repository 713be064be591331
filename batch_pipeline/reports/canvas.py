"""A figure of matplotlib's, drawn without a screen: as PNG, or as SVG whose ink is that of the page it stands in."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, cast

Form = Literal["png", "svg"]
Axes = Any
"""Of matplotlib, whose keyword arguments have no types."""

INK = "#1f2733"
_SOFT = "#8a94a3"
"""Grid and axes: to be seen on white and on black."""
_DPI = {"png": 96, "svg": 72}
_STYLE: dict[str, object] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _SOFT,
    "axes.axisbelow": True,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": _SOFT,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "batch_pipeline",
}


@dataclass
class Canvas:
    """A figure to draw on, and what it comes to when the block ends."""

    figure: Any
    picture: bytes = b""


@contextmanager
def canvas(width: float, height: float, form: Form) -> Generator[Canvas]:
    """A figure of `width` and `height` inches."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with cast(Any, matplotlib).rc_context(_STYLE):
        figure = cast(Any, Figure(figsize=(width, height), dpi=_DPI[form], layout="constrained"))
        FigureCanvasAgg(figure)
        drawn = Canvas(figure)
        yield drawn
        told = BytesIO()
        figure.savefig(told, format=form, transparent=form == "svg", metadata={"Date": None} if form == "svg" else None)
    drawn.picture = _with_the_pages_ink(told.getvalue()) if form == "svg" else told.getvalue()


def beside(axes: Axes, x: float, y: float, text: str) -> None:
    """Writes at the right of a point."""
    axes.annotate(text, (x, y), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)


def titled(axes: Axes, title: str, names: int = 0) -> None:
    """Gives a drawing its title, and below that a legend of so many names, where there are several."""
    rows = -(-names // _NAMES_A_ROW)
    axes.set_title(title, pad=8 + 15 * rows)
    if rows:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.008, 1.0), ncols=_NAMES_A_ROW, borderaxespad=0.2)


_NAMES_A_ROW = 6


def nothing(axes: Axes, why: str) -> None:
    """Says in place of a drawing why there is none."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes, color=_SOFT)


def _with_the_pages_ink(svg: bytes) -> bytes:
    text = svg.decode()
    return text[text.index("<svg") :].replace(INK, "currentColor").encode()
