"""Text and code files of a folder, in chunks of whole lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from batch_pipeline.sources.folders import Found, Loaded, Tally, chunked, files_below
from batch_pipeline.warehouse import media
from batch_pipeline.warehouse.connection import Warehouse
from batch_pipeline.warehouse.media import ChunkRow

CountTokens = Callable[[Sequence[str]], list[int]]
"""Tokens of each text, such as `TokenCounter.count_many`."""

CHUNK_MODEL = "text-embedding-3-small"
"""Whose tokens the chunks are measured in, whoever embeds them: another model shall not move their borders."""
CHUNK_TOKENS = 400
OVERLAP_TOKENS = 60
"""Tokens of a chunk, and how many of them, in whole lines, stand at the end of the one before: a page of code, and
enough to see what a function belongs to."""
MAX_BYTES = 10 * 1024 * 1024
"""A larger file is data, or generated; it is left out, and named."""
FILES = 50
"""Files whose chunks are written at once."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk: its text, the lines that it stands on, from 1, and its tokens."""

    text: str
    start_line: int
    end_line: int
    tokens: int


def load_files(warehouse: Warehouse, folder: Path, count: CountTokens) -> Loaded:
    """Writes the chunks of each text file below a folder to `file_chunks`.

    A chunk's record is the file's path within the folder, `#` and the chunk's number from 0. Files that are no text in
    UTF-8, binary ones among them, are named and left out, as are those of more than 10 MB; empty ones have no chunk.

    Args:
        warehouse: Where they go.
        folder: The folder.
        count: Counts tokens, for the chunks' size.

    Raises:
        InvalidSelection: There is no such folder.
    """
    place, at = folder.expanduser().absolute(), datetime.now(UTC)
    with warehouse.read() as connection:
        tally = Tally(folder, media.count_below(connection, media.CHUNKS, place)[0])
    found = (each for files in files_below(place) for each in tally.nameless(files))
    for files in chunked(found, FILES):
        with warehouse.read() as connection:
            known = media.known_files(connection, [str(each.path) for each in files])
        chunks, same = _chunks(files, known, count, tally)
        with warehouse.write() as connection:
            media.put(connection, media.CHUNKS, chunks, at)
            media.stay(connection, media.CHUNKS, same, at)
    with warehouse.write() as connection:
        media.forget(connection, media.CHUNKS, place, at)
        _, tally.records = media.count_below(connection, media.CHUNKS, place)
    return tally.loaded()


def pieces(text: str, count: CountTokens, limit: int = CHUNK_TOKENS, overlap: int = OVERLAP_TOKENS) -> list[Piece]:
    """A text in chunks of whole lines; a line that is too long for one is cut into several.

    Args:
        text: The text; the first `overlap` tokens of a chunk, in whole lines, repeat the end of the one before.
        count: Counts tokens.
        limit: Tokens of a chunk at most, counted line by line.
        overlap: Tokens that are repeated at most.
    """
    made: list[Piece] = []
    current: list[Piece] = []
    for line in _lines(text, count, limit):
        if current and sum(each.tokens for each in current) + line.tokens > limit:
            made.append(_joined(current))
            current = _end_of(current, min(overlap, limit - line.tokens))
        current.append(line)
    if current:
        made.append(_joined(current))
    return [piece for piece in made if piece.text.strip()]


def language_of(name: str) -> str | None:
    """The language that a file's ending, or its name, tells."""
    path = Path(name)
    return _LANGUAGES.get(path.suffix.lower()) or _LANGUAGES.get(path.name.lower())


def _chunks(
    files: Sequence[Found], known: dict[str, tuple[str, str]], count: CountTokens, tally: Tally
) -> tuple[list[ChunkRow], list[str]]:
    rows: list[ChunkRow] = []
    same: list[str] = []
    for each in files:
        path = str(each.path)
        try:
            text, digest = _text_of(each.path)
        except _LeftOut as error:
            tally.left_out += 1
            tally.problems.append(str(error))
            continue
        if not text.strip():
            tally.left_out += 1
            continue
        name, before = known.get(path, ("", None))
        tally.note(before, digest)
        if (name, before) == (each.name, digest):
            same.append(path)
        else:
            rows += _rows(each, text, digest, count)
    return rows, same


def _rows(found: Found, text: str, digest: str, count: CountTokens) -> list[ChunkRow]:
    language = language_of(found.name)
    return [
        ChunkRow(
            f"{found.name}#{number}", found.name, str(found.path), number,
            piece.start_line, piece.end_line, piece.text, digest, language, piece.tokens,
        )
        for number, piece in enumerate(pieces(text, count))
    ]  # fmt: skip


class _LeftOut(Exception):
    """A file is nothing to read as text; the sentence says why."""


def _text_of(path: Path) -> tuple[str, str]:
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise _LeftOut(f"{path} has {size:,} bytes, more than {MAX_BYTES:,}: left out.")
        data = path.read_bytes()
    except OSError as error:
        raise _LeftOut(f"{path} can't be read: {error.strerror or error}.") from None
    if b"\0" in data[:8_192]:
        raise _LeftOut(f"{path} is no text, but binary: left out.")
    try:
        return data.decode("utf-8-sig").replace("\0", ""), sha256(data).hexdigest()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _LeftOut(f"{path} is no text in UTF-8 (line {line}): left out.") from None


def _lines(text: str, count: CountTokens, limit: int) -> Generator[Piece]:
    """The lines with their tokens, their ends kept; one that is too long in several pieces."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)  # as editors count them: `splitlines` ends lines at other signs too
    for number, (line, tokens) in enumerate(zip(lines, count(lines), strict=True), 1):
        if tokens <= limit:
            yield Piece(line, number, number, tokens)
        else:
            yield from _cut(line, number, count, limit)


def _cut(line: str, number: int, count: CountTokens, limit: int) -> Generator[Piece]:
    """Halves, until each has few enough tokens: a character has several at the most."""
    [tokens] = count([line])
    if tokens <= limit or len(line) == 1:
        yield Piece(line, number, number, tokens)
        return
    middle = len(line) // 2
    for half in (line[:middle], line[middle:]):
        yield from _cut(half, number, count, limit)


def _end_of(lines: Sequence[Piece], tokens: int) -> list[Piece]:
    """The last lines, of so many tokens at most, and never all of them."""
    kept: list[Piece] = []
    for line in reversed(lines[1:]):
        tokens -= line.tokens
        if tokens < 0:
            break
        kept.insert(0, line)
    return kept


def _joined(lines: Sequence[Piece]) -> Piece:
    return Piece(
        "".join(each.text for each in lines),
        lines[0].start_line,
        lines[-1].end_line,
        sum(each.tokens for each in lines),
    )


_LANGUAGES = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".jsx": "javascript",
    ".ts": "typescript", ".tsx": "typescript", ".go": "go", ".rs": "rust", ".java": "java", ".kt": "kotlin",
    ".c": "c", ".h": "c", ".cc": "c++", ".cpp": "c++", ".hpp": "c++", ".cs": "c#", ".rb": "ruby", ".php": "php",
    ".swift": "swift", ".scala": "scala", ".lua": "lua", ".r": "r", ".jl": "julia", ".sh": "shell", ".bash": "shell",
    ".sql": "sql", ".html": "html", ".css": "css", ".scss": "css", ".xml": "xml", ".json": "json", ".jsonl": "json",
    ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".ini": "ini", ".cfg": "ini", ".md": "markdown",
    ".rst": "restructuredtext", ".txt": "text", ".csv": "csv", ".tf": "terraform", ".proto": "protobuf",
    "dockerfile": "dockerfile", "makefile": "makefile",
}  # fmt: skip
