"""A file put together again: its segments, those that replace some, and what patches brought along."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ge_engine.source.bindings import imported
from ge_engine.source.segmenter import SegmentedFile
from ge_engine.source.segments import Segment, needed_helpers


@dataclass(frozen=True, slots=True)
class Assembly:
    """`replaced` are segments by the place of those that they stand for, `helpers` by the place of what they
    stand before."""

    cut: SegmentedFile
    replaced: Mapping[int, Segment]
    helpers: Mapping[int, tuple[Segment, ...]]
    imports: tuple[str, ...]

    def joined(self, known: Sequence[str], read: Callable[[Segment], str]) -> list[str]:
        """What `read` gives for each segment, in order; `known` is that for the seed model's own, so that
        only what differs from the seed model is looked at."""
        cut = self.cut
        found = list(known)
        for at, segment in self.replaced.items():
            found[at] = read(segment)
        if self.imports:
            found[cut.import_at] = read(Segment(cut.import_text(self.imports))) + found[cut.import_at]
        spacer = read(Segment(cut.newline * 3))
        for at, group in self.helpers.items():
            lead = cut.leads[at]
            found[lead] = "".join(f"{read(helper)}{spacer}" for helper in group) + found[lead]
        return found

    def placed(self) -> Iterator[tuple[int, Segment]]:
        """Segments with the seed model's index, -1 for those that the seed model does not have."""
        cut = self.cut
        spacer = Segment(cut.newline * 3)
        before = {cut.leads[at]: group for at, group in self.helpers.items()}
        for at, segment in enumerate(cut.segments):
            for helper in before.get(at, ()):
                yield -1, helper
                yield -1, spacer
            if at == cut.import_at and self.imports:
                yield -1, Segment(cut.import_text(self.imports))
            yield at, self.replaced.get(at, segment)

    def spot(self, before: str) -> tuple[int, tuple[Segment, ...], int]:
        """Where a helper for the block `before` belongs: place, the helpers there, and its place among these.
        Raises KeyError when there is no such block."""
        place = self.cut.index.get(before)
        if place is not None:
            group = self.helpers.get(place, ())
            return place, group, len(group)
        for place, group in self.helpers.items():
            for at, segment in enumerate(group):
                if segment.name == before:
                    return place, group, at
        raise KeyError(before)

    def tidied(self) -> Assembly:
        """Without replacements that equal the seed model, and without helpers and imports that nothing
        uses."""
        cut = self.cut
        replaced = {at: s for at, s in self.replaced.items() if s.text != cut.segments[at].text}
        if not any(self.helpers.values()) and not self.imports:
            return Assembly(cut, replaced, {}, ())
        stem = [replaced.get(at, s) for at, s in enumerate(cut.segments) if s.text and not s.text.isspace()]
        loads = frozenset[str]().union(*(s.facts.loads for s in stem))
        brought = {s.name: s for group in self.helpers.values() for s in group}
        used = {s.name: s for s in needed_helpers(loads, brought.values())}
        loads = loads.union(*(s.facts.loads for s in used.values()))
        helpers = {at: tuple(s for s in g if s.name in used) for at, g in self.helpers.items()}
        imports = tuple(
            line for line in self.imports if loads & {name.partition(".")[0] for name in imported(line)}
        )
        return Assembly(cut, replaced, {at: g for at, g in helpers.items() if g}, imports)
