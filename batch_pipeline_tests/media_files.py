"""Images and PDFs of every kind, whole and damaged, made for a test."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from random import Random

import PIL.Image
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter


def photo(width: int, height: int, seed: int = 1) -> PIL.Image.Image:
    """An image of many colours, which no encoder makes very small."""
    noise = Random(seed).randbytes(max(1, width // 8) * max(1, height // 8) * 3)
    small = PIL.Image.frombytes("RGB", (max(1, width // 8), max(1, height // 8)), noise)
    return small.resize((width, height), PIL.Image.Resampling.BICUBIC)


def opened(data: bytes) -> PIL.Image.Image:
    """An image out of its bytes."""
    return PIL.Image.open(BytesIO(data))


def bomb(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes that says it has so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(_chunk(kind, data) for kind, data in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pdf(path: Path, pages: Sequence[str], title: str | None = None) -> Path:
    """A PDF with one page a text."""
    made = FPDF()
    made.set_font("helvetica", size=11)
    if title:
        made.set_title(title)
    for text in pages:
        made.add_page()
        made.multi_cell(0, text=text)
    path.write_bytes(bytes(made.output()))
    return path


def scan(path: Path, pages: int = 1) -> Path:
    """A PDF whose pages are pictures."""
    made = FPDF()
    for number in range(pages):
        made.add_page()
        made.image(photo(80, 80, seed=number), x=10, y=10, w=100)
    path.write_bytes(bytes(made.output()))
    return path


def blank_pdf(path: Path, pages: int) -> Path:
    """A PDF of empty pages; none at all, if that is asked for."""
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(200, 200)
    writer.write(path)
    return path


def encrypted(path: Path, whole: Path, password: str = "secret") -> Path:
    """A PDF behind a password."""
    writer = PdfWriter(clone_from=PdfReader(whole))
    writer.encrypt(password, algorithm="RC4-128")
    writer.write(path)
    return path
