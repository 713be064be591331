"""Lines of a file that are put together as they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of known sizes, in bytes; `joined` makes those from a place on, to before another, as one piece."""

    sizes: Sequence[int]
    joined: Callable[[int, int], bytes]

    @classmethod
    def of(cls, lines: Sequence[bytes]) -> Lines:
        """Lines that are there already."""
        return cls([len(line) for line in lines], lambda start, end: b"".join(lines[start:end]))

    @classmethod
    def alike(
        cls, before: bytes, names: Sequence[bytes], between: bytes, contents: Sequence[bytes], after: bytes
    ) -> Lines:
        """Lines that are alike but for a name and a content in each."""
        same = len(before) + len(between) + len(after)
        sizes = [same + len(name) + len(content) for name, content in zip(names, contents, strict=True)]

        def joined(start: int, end: int) -> bytes:
            varied = names[start:end], repeat(between), contents[start:end]
            return b"".join(chain.from_iterable(zip(repeat(before), *varied, repeat(after), strict=False)))

        return cls(sizes, joined)

    def __len__(self) -> int:
        return len(self.sizes)

    def part(self, start: int, end: int) -> Lines:
        """Those from `start` on, to before `end`."""
        return Lines(self.sizes[start:end], lambda first, last: self.joined(start + first, start + last))

    def each(self) -> list[bytes]:
        """Each of them."""
        return [self.joined(place, place + 1) for place in range(len(self))]
