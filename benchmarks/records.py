"""What parts of a long benchmark found, a line of JSON each, so that they are not run again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Settings = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Records:
    """Lines of `file` with the `settings` that decide what is found; those with others are left alone. `name`
    is what a record is of."""

    file: Path
    settings: Settings
    name: str

    def read(self) -> list[dict[str, Any]]:
        """The records with these settings, in the order in which they were made."""
        if not self.file.exists():
            return []
        rows = [json.loads(line) for line in self.file.read_text("utf-8").splitlines()]
        return [row[self.name] for row in rows if row["settings"] == self.settings]

    def add(self, found: Iterable[Mapping[str, Any]]) -> None:
        """Keep what was found besides, if anything."""
        lines = [json.dumps({"settings": self.settings, self.name: one}) for one in found]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
