"""What an item may want otherwise than its batch; items that want the same are one job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Options:
    """What is None is as the batch has it; `parameters` are put over the batch's."""

    parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    model: str | None = None
    system: str | None = None
    max_output_tokens: int | None = None
    citations: bool | None = None

    def as_json(self) -> str:
        """The same options give the same text; `{}` where there are none."""
        given = {name: getattr(self, name) for name in self.__slots__}
        kept = {name: value for name, value in given.items() if value not in (None, {})}
        return json.dumps(kept, sort_keys=True, ensure_ascii=False)
