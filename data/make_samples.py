"""Draws the sample images and writes the sample PDFs: `python data/make_samples.py [FOLDER]`.

What is committed was made by it; the same Pillow and fpdf2 make the same bytes again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from PIL import Image, ImageDraw

SIDE = 320
SCALE = 4
"""Drawn larger and made smaller, so that edges are smooth."""

Draw = Callable[["Pen"], None]


class Pen:
    """Draws on a square of 100 by 100."""

    def __init__(self, background: str) -> None:
        self._image = Image.new("RGB", (SIDE * SCALE, SIDE * SCALE), background)
        self._draw = ImageDraw.Draw(self._image)

    def shape(self, colour: str, *points: tuple[float, float]) -> None:
        """A filled polygon."""
        self._draw.polygon([(self._at(x), self._at(y)) for x, y in points], fill=colour)

    def line(self, colour: str, width: float, *points: tuple[float, float]) -> None:
        """A line through points."""
        self._draw.line([(self._at(x), self._at(y)) for x, y in points], fill=colour, width=round(self._at(width)))

    def oval(self, colour: str, left: float, top: float, right: float, bottom: float) -> None:
        """A filled ellipse."""
        self._draw.ellipse([self._at(side) for side in (left, top, right, bottom)], fill=colour)

    def save(self, path: Path) -> None:
        """Writes a small PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        small = self._image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        small.quantize(24, dither=Image.Dither.NONE).save(path, optimize=True)

    @staticmethod
    def _at(value: float) -> float:
        return value * SIDE * SCALE / 100


def shirt(colour: str, stripe: str | None = None) -> Draw:
    """A T-shirt, with stripes across."""

    def draw(pen: Pen) -> None:
        pen.shape(colour, (30, 22), (42, 18), (58, 18), (70, 22), (90, 38), (80, 50), (70, 44), (70, 85), (30, 85),
                  (30, 44), (20, 50), (10, 38))  # fmt: skip
        pen.oval("#f4f1ea", 42, 13, 58, 24)
        for height in range(50, 82, 10) if stripe else ():
            pen.shape(stripe or "", (30, height), (70, height), (70, height + 4), (30, height + 4))

    return draw


def trousers(colour: str, bottom: float = 92) -> Draw:
    """Trousers, or shorts where they end early."""

    def draw(pen: Pen) -> None:
        pen.shape(colour, (32, 12), (68, 12), (74, bottom), (55, bottom), (50, 38), (45, bottom), (26, bottom))
        pen.shape("#2b2b2b", (32, 12), (68, 12), (68, 17), (32, 17))
        pen.oval("#c9b26b", 48, 13, 52, 17)

    return draw


def skirt(colour: str, dots: str) -> Draw:
    """A skirt with dots."""

    def draw(pen: Pen) -> None:
        pen.shape(colour, (36, 20), (64, 20), (84, 80), (16, 80))
        for row, height in enumerate(range(32, 78, 12)):
            edge = 36 - (height - 20) / 3
            for left in range(21 + 7 * (row % 2), 80, 14):
                if edge + 1 < left < 94 - edge:
                    pen.oval(dots, left, height, left + 5, height + 5)

    return draw


def shoe(colour: str, sole: str) -> Draw:
    """A sneaker, from the side."""

    def draw(pen: Pen) -> None:
        pen.shape(colour, (14, 34), (38, 32), (54, 52), (80, 58), (90, 70), (12, 70))
        pen.shape(sole, (10, 69), (92, 69), (92, 78), (10, 78))
        for left in (40, 47, 54):
            pen.line("#ffffff", 1.5, (left, 50), (left + 8, 42))

    return draw


def boot(colour: str) -> Draw:
    """A rubber boot."""

    def draw(pen: Pen) -> None:
        pen.shape(colour, (30, 12), (56, 12), (56, 58), (82, 66), (86, 82), (28, 82))
        pen.shape("#2b2b2b", (26, 81), (88, 81), (88, 88), (26, 88))

    return draw


def hat(colour: str, band: str) -> Draw:
    """A straw hat."""

    def draw(pen: Pen) -> None:
        pen.oval(colour, 5, 55, 95, 78)
        pen.oval(colour, 28, 24, 72, 76)
        pen.shape(band, (28, 54), (72, 54), (73, 63), (27, 63))

    return draw


def coat(colour: str) -> Draw:
    """A raincoat with a hood and buttons."""

    def draw(pen: Pen) -> None:
        pen.oval(colour, 34, 6, 66, 38)
        pen.oval("#8a8f98", 40, 14, 60, 34)
        pen.shape(colour, (34, 26), (66, 26), (90, 60), (80, 66), (70, 52), (76, 92), (24, 92), (30, 52), (20, 66),
                  (10, 60))  # fmt: skip
        for height in (46, 58, 70, 82):
            pen.oval("#2b2b2b", 48, height, 52, height + 4)

    return draw


IMAGES: dict[str, tuple[str, Draw]] = {
    "spring-look/1.png": ("#dfe8f1", shirt("#e8833a")),
    "spring-look/2.png": ("#dfe8f1", skirt("#3c6e71", "#f4d35e")),
    "spring-look/3.png": ("#dfe8f1", shoe("#c8553d", "#f4f1ea")),
    "rainy-day/1.png": ("#8a8f98", coat("#f2c14e")),
    "rainy-day/2.png": ("#8a8f98", boot("#2e5e4e")),
    "at-the-beach/1.png": ("#f4e9cd", hat("#d9a441", "#7b2d26")),
    "at-the-beach/2.png": ("#f4e9cd", trousers("#3d5a80", bottom=58)),
    "at-the-beach/3.png": ("#f4e9cd", shirt("#f7f7f7", stripe="#1d3557")),
    "office_01.png": ("#e9e4f0", shirt("#b8c9e1")),
    "office_02.png": ("#e9e4f0", trousers("#3a3a44")),
    "sneakers_01.png": ("#ffffff", shoe("#1d3557", "#e63946")),
    "sneakers_02.png": ("#ffffff", shoe("#f4f1ea", "#6c757d")),
}
"""Posts in folders, and posts by the names of their files: 12 images in 5 posts."""

DOCUMENTS = {
    "coffee-machine.pdf": """\
Brewmaster 300: manual

Before first use

Rinse the tank and fill it with fresh water up to the mark MAX. Run two cups without coffee, and pour them away. The
machine heats up in 40 seconds; the light stops blinking when it is ready.
---
Descaling

When the light turns orange, descale the machine within ten days. Pour 100 ml of descaler and 500 ml of water into the
tank, and hold the button for five seconds. Descaling takes 25 minutes and must not be interrupted.

Never use vinegar: it damages the seals and voids the guarantee.
---
Guarantee

The guarantee lasts 24 months from the day of purchase. It does not cover seals, filters, or damage done by lime.
""",
    "lease.pdf": """\
Lease of the flat at 12 Quay Street

1. Rent

The tenant pays 940 euros a month, due on the third working day. Heating and water are included up to 1,200 euros a
year; what exceeds that is charged in March of the following year.

2. Deposit

The deposit is two months' rent. The landlord returns it within six weeks after the keys were handed back.
---
3. Notice

The tenant may end the lease with three months' notice, in writing, to the end of a month. The landlord's notice is six
months after five years of tenancy.

4. Pets

One dog or one cat may be kept. Other animals need the landlord's consent.
""",
    "travel-policy.pdf": """\
Travel policy

Booking

Trips within 600 km are made by train. Flights are booked in economy class, at least 14 days ahead, and need the
approval of the team's lead.
---
Expenses

Hotels are paid up to 150 euros a night, breakfast included. Meals are paid by the day: 28 euros at home, 45 euros
abroad. Receipts are handed in within 30 days of the return; later ones are not paid.
""",
}
"""By file: the title, and pages between `---`."""


def write_pdf(path: Path, text: str) -> None:
    """A PDF of one of these texts."""
    title, _, body = text.partition("\n\n")
    pages = ["\n\n".join(each.replace("\n", " ") for each in page.split("\n\n")) for page in body.split("\n---\n")]
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime(2026, 11, 20, tzinfo=UTC))
    pdf.set_title(title)
    for number, page in enumerate(pages, 1):
        pdf.add_page()
        pdf.set_font("helvetica", style="B", size=13)
        pdf.cell(text=title, new_x="LMARGIN", new_y="NEXT")
        pdf.set_font("helvetica", size=11)
        pdf.multi_cell(0, 6, text=f"\n{page.strip()}", new_x="LMARGIN", new_y="NEXT")
        pdf.set_y(-30)
        pdf.cell(text=f"Page {number} of {len(pages)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(pdf.output()))


def main(folder: Path) -> None:
    """Makes all of them below `folder`."""
    for name, (background, draw) in IMAGES.items():
        pen = Pen(background)
        draw(pen)
        pen.save(folder / "images" / name)
    for name, text in DOCUMENTS.items():
        write_pdf(folder / "documents" / name, text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
