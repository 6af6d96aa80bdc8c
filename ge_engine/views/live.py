"""What one sees while a run is going on: a live panel on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ge_engine.config import RunConfig
from ge_engine.evaluation.sandbox.privileges import root_warning
from ge_engine.noise import near_chance
from ge_engine.notation import BEFORE, PLAIN, Notations, written
from ge_engine.outcome import SCREEN, Scored, shown_rejection, shown_stage
from ge_engine.places import shown
from ge_engine.population import SEED_ID
from ge_engine.views.console import err, table_of
from ge_engine.views.outcomes import counted
from ge_engine.views.progress import Progress


class View(Protocol):
    def observe(self, name: str, data: Mapping[str, Any]) -> None:
        """Take in one event of the run (ge_engine.events)."""


@contextmanager
def open_view(folder: Path, config: RunConfig, trains: bool = True) -> Iterator[View]:
    """A live view on standard error while the block runs; `trains`: with the training settings, on the
    task."""
    heading = Heading(folder, config, trains)
    if not err.is_terminal:
        yield PlainView(heading)
        return
    view = LiveView(heading)
    with Live(get_renderable=view.render, console=err, refresh_per_second=4, transient=True):
        yield view


class Heading:
    """The run and its settings, printed before the first event: what was refused has no heading."""

    def __init__(self, folder: Path, config: RunConfig, trains: bool = True) -> None:
        self._lines = [heading_line(folder, config, trains), Text(constants(config, trains), style="dim")]
        self._lines += [Text(root_warning(), style="yellow")] if root_warning() else []

    def show(self) -> None:
        while self._lines:
            err.print(self._lines.pop(0), soft_wrap=not err.is_terminal)


def heading_line(folder: Path, config: RunConfig, trains: bool = True) -> Text:
    task = f"task {config.task}, " if trains else ""
    return Text.assemble(
        "run ", (str(folder), "bold"), f", {task}model {', '.join(map(shown, config.models))}"
    )


def constants(config: RunConfig, trains: bool = True) -> str:
    """The settings that make a run comparable, in one paragraph."""
    low, high = config.temperature
    least, most = config.reply_tokens
    scoring = _recipe(config) if trains else f"scored by {_scorer(config)}"
    return (
        f"{counted(config.generations, 'generation')} of {config.population}, p_mating {config.p_mating:g}, "
        f"p_mutation {config.p_mutation:g}, p_eot {config.p_eot:g}, {config.eot_elites} EoT elites, "
        f"{config.elites} elites, {_islands(config)}{_screen(config)}"
        f"temperature {low:g} to {high:g}, {least} to {most} tokens per reply, {scoring}"
    )


def _screen(config: RunConfig) -> str:
    return f"each the best of {config.screen} before training, " if config.screen > 1 else ""


def _scorer(config: RunConfig) -> str:
    place = f" in a tree of {config.project}" if config.project else ""
    return f"{config.evaluator_argument or config.evaluator}{place}"


def _recipe(config: RunConfig) -> str:
    recipe = config.recipe
    optimizer = "the file's optimizer or SGD" if recipe.optimizer == "seed" else recipe.optimizer
    return (
        f"{counted(recipe.epochs, 'epoch')}, batch {recipe.batch_size}, {optimizer}, "
        f"lr {recipe.lr:g}, {recipe.lr_schedule} schedule, weight decay {recipe.weight_decay:g}, "
        f"{_augmentation(config)}, "
        f"{f'images resized to {recipe.image_size} px' if recipe.image_size else 'no resizing'}"
    )


def _augmentation(config: RunConfig) -> str:
    recipe = config.recipe
    if not recipe.augment:
        return "no augmentation"
    jitter = [f"jitter {recipe.jitter:g}"] if recipe.jitter else []
    mirror = ["mirror where the task allows it"] if recipe.mirror else []
    return f"augmented by {', '.join(['shift', *mirror, *jitter])}"


def _islands(config: RunConfig) -> str:
    if config.islands == 1:
        return ""
    every = counted(config.migrate_every, "generation")
    return f"{config.islands} islands, of which {config.migrants} elites each migrate every {every}, "


def line_of(name: str, data: Mapping[str, Any], notations: Notations = BEFORE) -> Text | None:
    """The line that an event is worth, None for those that a person need not see."""
    match name:
        case "run_started":
            done = counted(data["generations"], "generation")
            begin = begun(data, f", {data['generation']} of {done} done")
            return Text("\n  ").join([begin, *_about_data(data)])
        case "seed_scored":
            return Text(f"  {'seed':8} {written(data['objectives'], notations, data['errors'])}").append_text(
                _remark(data, notations)
            )
        case "asked":
            known = f", {counted(data['answered'], 'answer')} known" if data["answered"] else ""
            return Text(f"generation {data['generation']}: {counted(data['count'], 'prompt')}{known}")
        case "remark":
            return Text(f"  {data['model']}: {data['message']}", style="yellow")
        case "rejected":
            return Text(
                f"  {data['individual']:8} {shown_rejection(data['stage'])}: {data['reason']}", style="yellow"
            )
        case "retried":
            return Text(f"  {data['individual']:8} again: {data['reason']}", style="yellow")
        case "outcome" if (data["individual"], data["split"]) != (SEED_ID, "validation"):
            return _outcome_line(data, notations)
        case "generation_finished":
            front = ", ".join(identity for identity, _ in data["front"])
            return Text(f"generation {data['generation']}: {_counts(data)}; front: {front}", style="bold")
        case "migrated":
            moves = ", ".join(
                f"{one} from island {source} to {target}" for one, source, target in data["moves"]
            )
            return Text(f"generation {data['generation']}: migrated: {moves}")
        case "interrupted":
            running = counted(data["running"], "training")
            return Text(
                f"interrupted: {running} may finish, {data['waiting']} are left for later; "
                "interrupt again to end at once",
                style="bold",
            )
        case "stopping":
            return Text(f"stopping: {data['reason']}", style="bold")
        case "finalists":
            finalists = counted(len(data["ids"]), "finalist")
            if data["has_test_split"]:
                return Text(f"scoring {finalists} on the test split")
            return Text(f"scoring {finalists} once more, on the same data: the program takes no {{split}}")
        case "left":
            return Text(f"{data['reason']} It takes in what is added when it begins its next generation.")
        case "observer_failed":
            return Text(data["reason"], style="red")
    return None


def _counts(data: Mapping[str, Any]) -> str:
    """How many of a generation came how far. Those that were not chosen have passed the checks as well."""
    left = data["rejected"].get(SCREEN, 0)
    chosen = f", {data['admitted']} of them chosen" if left else ""
    return f"{data['admitted'] + left} passed checks{chosen}, {data['scored']} scored"


def begun(data: Mapping[str, Any], place: str = "") -> Text:
    """How a run begins, at which `place`, and what it is made with where that changed."""
    made = f"; made with {data['changes']}" if data["changes"] else ""
    return Text(f"{'going on' if data['resumed'] else 'starting'}{place}{made}")


def _about_data(data: Mapping[str, Any]) -> Iterator[Text]:
    """What a run is trained on, and what to heed there."""
    if told := data.get("data"):
        yield Text(f"data: {told}")
    yield from (Text(one, style="yellow") for one in data.get("remarks", ()))


def _remark(data: Mapping[str, Any], notations: Notations) -> Text:
    """What to think of a baseline near chance: its children cannot be told apart."""
    near = near_chance(Scored(data["objectives"], errors=data["errors"]), data["chance"])
    if not near:
        return Text()
    guessed = ", ".join(notations.get(name, PLAIN).value(chance) for name, chance in near.items())
    return Text(
        f"\n  the baseline is near chance ({guessed}), so that its children can hardly be told apart: "
        "train more with --epochs, or differently with --lr and --optimizer",
        style="yellow",
    )


def _outcome_line(data: Mapping[str, Any], notations: Notations) -> Text:
    head = f"  {data['individual']:8} "
    split = "" if data["split"] == "validation" else f"{data['split']} "
    if data["kind"] == "scored":
        return Text(head + split + written(data["objectives"], notations, data["errors"]))
    return Text(f"{head}{split}failed ({data['kind']}): {data['reason']}", style="red")


class _View:
    """What both views do with an event before they show it."""

    def __init__(self, heading: Heading) -> None:
        self._progress = Progress()
        self._heading = heading

    def _line(self, name: str, data: Mapping[str, Any]) -> Text | None:
        self._heading.show()
        self._progress.update(name, data)
        return line_of(name, data, self._progress.notations)


class PlainView(_View):
    """One line per event, with the time of day; after a generation also the time that is left."""

    def observe(self, name: str, data: Mapping[str, Any]) -> None:
        line = self._line(name, data)
        if line is not None:
            left = f"; {_time(self._progress)}" if name == "generation_finished" else ""
            err.print(Text.assemble((time.strftime("%H:%M:%S "), "dim"), line, left))


class LiveView(_View):
    """A panel with generation, replies, checks, trainings, front and time left; news scroll above it."""

    def observe(self, name: str, data: Mapping[str, Any]) -> None:
        line = self._line(name, data)
        if line is not None and name != "asked":
            err.print(line, soft_wrap=False)

    def render(self) -> RenderableType:
        p = self._progress
        rows = Table.grid(padding=(0, 2))
        for label, value in status_rows(p):
            rows.add_row(label, value)
            if label == "generation":
                rows.add_row("", ProgressBar(total=1.0, completed=p.share, width=40))
        parts: list[RenderableType] = [rows]
        if p.front:
            parts.append(_front_table(p))
        return Panel(Group(*parts), title="ge evolve", border_style="dim")


def status_rows(p: Progress) -> list[tuple[str, str]]:
    """How the run stands, as pairs of a label and a value."""
    rejected = ", ".join(f"{shown_stage(stage)} {count}" for stage, count in p.rejected.most_common(4))
    return [
        ("generation", f"{_place(p)} ({p.phase})"),
        ("replies", f"{p.answered} of {p.asked}"),
        ("checks", f"{p.admitted} passed" + (f"; rejected so far: {rejected}" if rejected else "")),
        ("training", f"{p.training} queued or running, {p.trained} done"),
        ("time", _time(p)),
    ]


def _place(p: Progress) -> str:
    return f"{min(p.generation + 1, p.generations)} of {p.generations}" if p.generations else "-"


def _time(p: Progress) -> str:
    gone, left = clock(time.monotonic() - p.started), p.seconds_left()
    if p.phase != "finished" and p.only_finalists_left:
        return f"{gone}, the finalists are left"
    return gone if left is None or p.phase == "finished" else f"{gone}, about {clock(left)} left"


def _front_table(progress: Progress) -> Table:
    table = table_of("front", right=progress.titles())
    for row in progress.front_rows(8):
        table.add_row(*row)
    return table


def clock(seconds: float) -> str:
    """As 2:05 or 1:02:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
