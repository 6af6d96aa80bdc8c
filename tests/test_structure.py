"""Structural moves: what they change, what they leave alone, and that an offer does what it says."""

from __future__ import annotations

import ast
import math
import random
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ge_engine.contracts import Context, Goal, Job, Prompt, Reply, RunFacts, Size, SizedMove, Target
from ge_engine.genome import Genome, Seed
from ge_engine.grammar import moves as form
from ge_engine.outcome import Failed, Rejected
from ge_engine.patch import Patch, apply
from ge_engine.population import Individual
from ge_engine.profile import modules_of, rows_of
from ge_engine.search.survey import SINGLES, Surveys, combined, sampled
from ge_engine.source.source_text import Edit, Source
from ge_engine.structure.moves import by_text, module_classes, moves_of, together
from ge_engine.structure.numbers import numbers_in, resized
from ge_plugins.grammars import Moves
from ge_plugins.redesign import REDESIGNS, Redesign, by_share, structured
from tests.evaluation import genome, shop
from tests.patience import PATIENT

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
NET = Seed.load(EXAMPLES / "exquisitenet_v2.py").genome
PLAIN = Seed.load(EXAMPLES / "plain_cnn.py").genome


def texts(code: str, *classes: str) -> dict[str, str]:
    return {move.text: move.code for move in moves_of(code, classes)}


STAGES = """\
class Net(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.body = nn.Sequential(
            A(12),
            B(12, 48),  # widens
            A(48),
        )
        self.head = nn.Linear(48, num_classes)

    def forward(self, x):
        return self.head(self.body(x).mean(dim=(2, 3)))
"""


def test_a_stage_that_no_move_drops_together_with_the_width_it_made() -> None:
    found = texts(STAGES)["drop B(12, 48); width 48 becomes 12"]
    assert found == STAGES.replace("            B(12, 48),  # widens\n", "").replace("48", "12")


def test_a_run_of_stages_that_is_dropped_one_by_one_only() -> None:
    found = texts(STAGES)["drop A(12), B(12, 48); width 48 becomes 12"]
    assert "B(" not in found
    assert found.count("A(12)") == 1
    assert "nn.Linear(12, num_classes)" in found
    assert ast.parse(found)


def test_a_stage_that_is_repeated_with_a_width_that_does_not_fit() -> None:
    assert "A(12), A(12)," in texts(STAGES)["repeat A(12) as A(12)"]
    assert "B(12, 48), B(48, 48),  # widens" in texts(STAGES)["repeat B(12, 48) as B(48, 48)"]


def test_stages_that_cannot_be_swapped_or_replaced() -> None:
    found = texts(STAGES, "A", "C")
    assert found["swap A(12), B(12, 48)"].index("B(12, 48)") < found["swap A(12), B(12, 48)"].index("A(12)")
    assert "C(12, 48),  # widens" in found["replace B(12, 48) by C(12, 48)"]


def test_a_width_that_is_changed_in_one_of_its_places_only() -> None:
    found = texts(STAGES)["width 48 becomes 24"]
    assert "48" not in found
    assert found.count("24") == 3


def test_all_widths_that_do_not_keep_their_ratio() -> None:
    found = texts(STAGES)["all widths times 0.5"]
    assert "A(8)" in found
    assert "B(8, 24)" in found
    assert "48" not in found


@pytest.mark.parametrize(
    "line",
    [
        "x = x.view(8, 64)",
        "x = x.mean(dim=(2, 3))",
        "x = x[:, 16]",
        "x = torch.flatten(x, 1)",
        "if x.shape[0] > 32: pass",
        "x = x.permute(0, 2, 3, 1)",
        "y = -64",
    ],
)
def test_an_index_an_axis_or_a_shape_that_is_taken_for_a_width(line: str) -> None:
    assert numbers_in(Source(f"def f(x):\n    {line}\n")) == []


def test_what_the_task_decides_that_is_taken_for_a_width() -> None:
    code = Source(
        "def f(num_classes=10, in_channels=3, width=64):\n    return nn.Linear(width, num_classes=16)\n"
    )
    assert [(n.name, n.value) for n in numbers_in(code)] == [("width", 64)]


@pytest.mark.parametrize(
    ("code", "text", "part"),
    [
        ("def f(depth=3):\n    pass\n", "depth 3 becomes 4 in def f(depth=3):", "depth=4"),
        ("class C:\n    depths = [2, 2, 6, 2]\n", "width 6 becomes 12", "[2, 2, 12, 2]"),
        ("class C:\n    width: int = 64\n", "width 64 becomes 32", "int = 32"),
        ("class C:\n    cfg = {'a': [64, 'M', 128]}\n", "drop 64", "['M', 128]"),
        ("class C:\n    cfg = {'a': [64, 'M', 128]}\n", "width 128 becomes 64", "[64, 'M', 64]"),
        ("def f(x, num_heads=4):\n    pass\n", "num_heads 4 becomes 8 in def f(x, num_heads=4):", "=8"),
        (
            "class C:\n    def __init__(self):\n        self.c = nn.Conv2d(3, 8, kernel_size=3, padding=1)\n",
            "kernel_size 3 becomes 5 in self.c = nn.Conv2d(3, 8, kernel_size=3, padding=1)",
            "kernel_size=5, padding=2",
        ),
    ],
)
def test_a_size_that_a_person_would_change_and_no_move_reaches(code: str, text: str, part: str) -> None:
    found = texts(code)
    assert text in found, list(found)
    assert part in found[text]


def test_a_layer_of_forward_that_no_move_drops_or_repeats() -> None:
    code = PLAIN.blocks["PlainCNN"].code
    found = texts(code)
    dropped = found["drop self.stage3 = ConvBlock(32, 64); width 64 becomes 32"]
    assert "stage3" not in dropped
    assert "Head(32, num_classes)" in dropped
    assert "self.head(self.stage2(self.stage1(x)))" in dropped
    repeated = found["repeat self.stage3 as ConvBlock(64, 64)"]
    assert "self.stage3_again = ConvBlock(64, 64)" in repeated
    assert "self.stage3_again(self.stage3(" in repeated


def test_a_layer_whose_attributes_are_used_that_is_dropped() -> None:
    code = (
        "class C(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a = nn.Linear(8, 8)\n\n"
        "    def forward(self, x):\n        return self.a(x) + self.a.bias\n"
    )
    assert not [text for text in texts(code) if text.startswith(("drop self.a", "repeat self.a"))]


def test_moves_that_are_no_python_or_change_nothing_or_share_a_name() -> None:
    for source in (NET, PLAIN):
        for address in source.evolvable:
            code = source.blocks[address].code
            found = moves_of(code, module_classes(source, address))
            assert len({move.text for move in found}) == len({move.code for move in found}) == len(found)
            assert code not in {move.code for move in found}
            for move in found:
                ast.parse(move.code)


LINES = st.lists(
    st.sampled_from(["A(12)", "B(12, 48)", "nn.ReLU()", "64", "[2, 3]", "C(w, 'é€')"]), min_size=2, max_size=6
)


@settings(max_examples=60)
@given(LINES, st.data())
def test_a_move_that_touches_what_it_does_not_name(parts: list[str], data: st.DataObject) -> None:
    code = "def f(w=32):\n    é = '€€'  # ü 12\n    return nn.Sequential(" + ", ".join(parts) + ")\n"
    found = moves_of(code, ("A", "D"))
    assert found
    move = data.draw(st.sampled_from(found))
    kept = code
    for edit in sorted(move.edits, reverse=True):
        kept = kept[: edit.start] + kept[edit.end :]
    assert "é = '€€'  # ü 12" in move.code
    left = move.code
    for edit in sorted(move.edits, reverse=True):
        assert 0 <= edit.start <= edit.end <= len(code)
    assert Source(code).edited(move.edits) == left


def test_two_moves_of_one_place_that_are_made_at_once() -> None:
    one, two = moves_of(STAGES)[0], next(m for m in moves_of(STAGES) if m.kind == "width")
    assert together(STAGES, [one, one]) is None
    pairs = [together(STAGES, [one, other]) for other in moves_of(STAGES)]
    assert any(pairs)
    assert together(STAGES, [two]) == two.code
    assert by_text(moves_of(STAGES), [one.text, "no such"]) == "no such"


def test_widths_off_the_grid() -> None:
    assert resized(384, (0.5, 0.67)) == [192, 256]
    assert resized(12, (0.25, 1.25)) == [4, 16]
    assert resized(6, (0.5, 1.0, 2.0)) == [3, 12]


# --- the survey -----------------------------------------------------------------------------


def measuring(sizes: Any) -> Any:
    """A stand-in for an evaluation: `sizes(genome)` gives a Size or None."""
    asked: list[int] = []

    def measure(genomes: Any) -> Future[tuple[Size | None, ...]]:
        asked.append(len(genomes))
        future: Future[tuple[Size | None, ...]] = Future()
        future.set_result(tuple(map(sizes, genomes)))
        return future

    return SimpleNamespace(measure=measure, asked=asked)


def by_length(one: Genome) -> Size:
    return Size(len(one.source), float(len(one.source)))


def test_a_survey_that_offers_what_does_not_run_or_changes_nothing() -> None:
    working = measuring(lambda one: None if b"DFSEB(384)" not in one.source else by_length(one))
    survey = Surveys(working.measure).of(NET, "ExquisiteNetV2")
    assert survey
    for move in survey:
        found = form.rewritten(move.text, Target(NET, "ExquisiteNetV2"))
        assert isinstance(found, str)
        assert "DFSEB(384)" in found
        assert (move.parameters, move.flops) != (1.0, 1.0)
    assert Surveys(measuring(lambda _: None).measure).of(NET, "ExquisiteNetV2") == ()
    same = Surveys(measuring(lambda _: Size(5, 5.0)).measure)
    assert same.of(NET, "ExquisiteNetV2") == ()


def test_a_genome_that_is_surveyed_twice_or_otherwise_the_second_time() -> None:
    first, second = measuring(by_length), measuring(by_length)
    surveys = Surveys(first.measure)
    assert surveys.of(NET, "ExquisiteNetV2") is surveys.of(NET, "ExquisiteNetV2")
    assert len(first.asked) == 3
    assert first.asked[0] == 1
    assert first.asked[1] <= SINGLES
    assert Surveys(second.measure).of(NET, "ExquisiteNetV2") == surveys.of(NET, "ExquisiteNetV2")


def test_moves_without_figures_that_are_not_offered() -> None:
    survey = Surveys(None).of(NET, "ExquisiteNetV2")
    assert survey
    assert all(math.isnan(move.parameters) for move in survey)
    assert all(form.reaches(move, Goal(parameters=(0.0, 0.95))) for move in survey)


def test_a_sample_of_moves_without_one_of_the_kinds() -> None:
    found = moves_of(NET.blocks["ExquisiteNetV2"].code, module_classes(NET, "ExquisiteNetV2"))
    chosen = sampled(found, random.Random(1), 30)
    assert len(chosen) == 30
    assert {move.kind for move in chosen} == {move.kind for move in found}
    assert [move for move in found if move in chosen] == chosen


@pytest.mark.parametrize("drawn", range(8))
def test_a_rare_kind_of_move_that_is_drawn_as_seldom_as_it_occurs(drawn: int) -> None:
    found = moves_of(NET.blocks["ExquisiteNetV2"].code, module_classes(NET, "ExquisiteNetV2"))
    kinds = {move.kind for move in found}
    assert {move.kind for move in sampled(found, random.Random(drawn), 2 * len(kinds))} == kinds


def test_several_moves_at_once_that_repeat_one() -> None:
    found = moves_of(STAGES)
    for made in combined(found, random.Random(0)):
        assert 2 <= len(set(made)) == len(made) <= 3
    assert combined(found[:1], random.Random(0)) == []


@pytest.mark.long
def test_a_variant_whose_end_is_laid_to_its_parent(tmp_path: Path) -> None:
    """A kill of the parent from outside is the first one of it still, and so not its own fault."""
    kills = genome(forward="import os\nif len(x) == 2:\n    os.kill(os.getpid(), 9)")
    killed = genome(forward="import os\nif training:\n    os.kill(os.getpid(), 9)")
    with shop(tmp_path) as evaluation:
        assert evaluation.sizes([killed, kills]).result(PATIENT) == (None, None)
        outcome = evaluation.submit(Job("killed", killed, 0)).result(PATIENT)
    assert isinstance(outcome, Failed)
    assert outcome.fault == "infrastructure"


def test_sizes_that_the_isolated_worker_does_not_measure(tmp_path: Path) -> None:
    wide = genome().source.replace(b"Body(8)", b"Body(16)").replace(b"nn.Linear(8,", b"nn.Linear(16,")
    broken = genome().source.replace(b"nn.Linear(8,", b"nn.Linear(9,")
    hangs = genome(forward="raise SystemExit(3)").source
    variants = [Seed.from_bytes(text).genome for text in (genome().source, wide, broken, hangs)]
    with shop(tmp_path) as evaluation:
        found = evaluation.sizes(variants).result(PATIENT)
        seed = evaluation.probe(genome()).result(PATIENT)
        assert evaluation.sizes([]).result() == ()
    assert found[0] == Size(int(seed.facts["parameters"]), seed.facts["flops"])
    assert found[1] == Size(2 * 216 + 16 + 32 + 68, 2 * seed.facts["flops"])
    assert found[2] is None
    assert found[3] is None


def test_a_variant_that_takes_the_sizes_of_all_others_along(tmp_path: Path) -> None:
    ends = genome(forward="import os\nos._exit(0) if len(x) == 2 else None")
    others = [genome()] * 48
    with shop(tmp_path) as evaluation:
        found = evaluation.sizes([*others, ends, genome()]).result(PATIENT)
    assert len(found) == 50
    assert None not in found[:48]
    assert found[-2:] == (None, None)


# --- the form -------------------------------------------------------------------------------


SURVEY = tuple(
    SizedMove(move.text, (move.kind,), 0.4 + 0.05 * (7 * at % 20), 0.9)
    for at, move in enumerate(
        moves_of(NET.blocks["ExquisiteNetV2"].code, module_classes(NET, "ExquisiteNetV2"))
    )
)


def target(goal: Goal | None = None, tried: frozenset[str] = frozenset(), seed: int = 0) -> Target:
    return Target(NET, "ExquisiteNetV2", tried, seed, goal=goal, survey=lambda: SURVEY)


@pytest.mark.parametrize("seed", range(5))
def test_a_move_that_is_offered_and_not_read(seed: int) -> None:
    offered = form.offered(target(seed=seed))
    assert len(offered) == form.OFFERED
    shown = form.instructions(target(seed=seed))
    for move in offered:
        line = next(line for line in shown.split("\n") if line.startswith(move.text + ":"))
        for reply in (move.text, f"- `{move.text}`", f"2. {line}", f"\n{line}\r\n"):
            patch = Moves().decode(Reply(reply, "stop", 0, 0, 0.0, "", ""), target(seed=seed))
            assert isinstance(patch, Patch), (reply, patch)
            assert isinstance(apply(NET, patch), Genome)


def test_a_move_that_nobody_built_and_that_is_said_to_run() -> None:
    """Where a program of the user's own scores, sizes are not known, and neither is whether a move runs."""
    assert "are known to run" in form.instructions(target(seed=1))
    unsized = [replace(move, parameters=math.nan, flops=math.nan) for move in target(seed=1).survey()]
    told = form.instructions(replace(target(seed=1), survey=lambda: unsized))
    assert "were not tried" in told
    assert "known to run" not in told


def test_what_was_tried_or_misses_the_goal_that_is_offered_again() -> None:
    goal = Goal(("width",), (0.0, 0.8))
    offered = form.offered(target(goal))
    assert offered
    assert all(move.kinds == ("width",) and move.parameters <= 0.8 for move in offered)
    tried = frozenset(move.text for move in SURVEY if move.kinds == ("width",))
    assert form.offered(target(goal, tried)) == []
    assert isinstance(form.constraint(target(goal, tried)), Rejected)


def test_offers_that_are_all_of_one_kind_or_size() -> None:
    offered = form.offered(target(Goal(parameters=(0.0, 8.0))))
    assert len({move.kinds for move in offered}) >= 4


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "names no change"),
        ("make it wider", "no change that was offered"),
        ("\n".join(move.text for move in SURVEY[:4]), "at most 3"),
        ("drop DFSEB(12)\ndrop DFSEB(12), EVE(12, 48); width 48 becomes 12", "the same place"),
    ],
)
def test_a_reply_that_names_no_move_and_changes_the_block(reply: str, reason: str) -> None:
    found = form.rewritten(reply, target())
    assert isinstance(found, Rejected)
    assert reason in found.reason


def test_the_order_of_lines_that_makes_an_answer_another() -> None:
    one, two = SURVEY[3].text, SURVEY[40].text
    assert form.canonical(f"{one}\n{two}") == form.canonical(f"- {two}\n\n- {one}\n")


@pytest.mark.parametrize(
    ("goal", "parameters", "flops", "part"),
    [
        (Goal(parameters=(0.0, 0.95)), 0.97, 1.0, "at most 95%"),
        (Goal(parameters=(1.05, 9.0)), 1.0, 1.0, "at least 105%"),
        (Goal(flops=(0.0, 1.0)), 0.5, 1.2, "FLOPs"),
        (Goal(change=0.05), 1.01, 0.99, "within 5%"),
        (Goal(change=0.05), 1.01, 0.9, ""),
        (Goal(parameters=(0.0, 0.95)), math.nan, math.nan, ""),
        (Goal(), 7.0, 7.0, ""),
    ],
)
def test_a_goal_that_is_missed_or_blamed(goal: Goal, parameters: float, flops: float, part: str) -> None:
    broken = goal.broken(parameters, flops)
    assert part in broken if part else broken == ""


# --- the operator ---------------------------------------------------------------------------


def context(addresses: tuple[str, ...], rng: random.Random | None = None, rows: Any = ()) -> Context:
    seed = Individual("seed", 0, -1, (), (), NET)
    return Context(
        genome=NET,
        addresses=addresses,
        rng=rng or random.Random(0),
        read=lambda prompt, reply: (prompt, reply),
        parents=(seed,),
        run=RunFacts(0, seed, (), {"accuracy": "max"}),
        profile=modules_of(rows),
    )


def test_a_redesign_of_a_block_without_structure() -> None:
    assert "ExquisiteNetV2" in structured(NET, NET.evolvable)
    assert not [address for address in structured(NET, NET.evolvable) if "." in address]
    assert structured(NET, ("min_pool",)) == []
    proposal = Redesign().propose(context(("min_pool",)))
    with pytest.raises(StopIteration) as end:
        next(proposal)
    assert "no block" in end.value.value.reason


def test_a_redesign_that_asks_for_another_form_or_without_a_goal() -> None:
    for number in range(8):
        prompt = next(Redesign().propose(context(("ExquisiteNetV2",), random.Random(number))))
        assert isinstance(prompt, Prompt)
        assert (prompt.grammar, prompt.address) == ("moves", "ExquisiteNetV2")
        assert prompt.goal == {one.name: one.goal for one in REDESIGNS}[prompt.intent]
        assert NET.blocks["ExquisiteNetV2"].code in prompt.user


def test_a_block_of_no_weight_that_is_drawn_as_often_as_the_network() -> None:
    rows = [
        ["", "ExquisiteNetV2", "ExquisiteNetV2", [8, 3], [8, 4], 0, 1000, 100.0, 1],
        ["a", "DFSEB", "DFSEB", [8, 3], [8, 4], 900, 900, 90.0, 1],
        ["b", "FCT", "FCT", [8, 3], [8, 4], 10, 10, 1.0, 1],
    ]
    assert rows_of(modules_of(rows)) == rows
    rng = random.Random(5)
    drawn = [by_share(context((), rng, rows), ["DFSEB", "FCT"]) for _ in range(400)]
    assert 30 <= drawn.count("FCT") <= 80
    unknown = [by_share(context((), rng), ["DFSEB", "FCT"]) for _ in range(400)]
    assert 150 <= unknown.count("FCT") <= 250


def test_edits_that_overlap_and_are_made() -> None:
    code = Source("x = 12\n")
    assert code.edited([Edit(4, 6, "1"), Edit(5, 6, "2")]) is None
    assert code.edited([Edit(4, 6, "(")]) is None
    assert code.edited([Edit(4, 6, "7")]) == "x = 7\n"


@pytest.mark.parametrize("address", ["DFSEB", "DFSEB.__init__", "ExquisiteNetV2.__init__"])
def test_a_network_that_is_put_into_itself(address: str) -> None:
    """By its own name, or by that of a class that is made of it."""
    offered = module_classes(NET, address)
    assert "ExquisiteNetV2" not in offered
    assert ("DFSEB" in offered) == address.startswith("Exquisite")
    assert {"FCT", "EVE", "ME"} <= set(offered)


def test_a_class_that_is_put_into_the_function_that_it_calls() -> None:
    code = "\n\ndef made(width):\n    return nn.Identity()\n\n\nclass Maker(nn.Module):\n"
    code += "    def forward(self, x):\n        return made(8)(x)\n"
    offered = module_classes(Seed.from_bytes((NET.text + code).encode()).genome, "made")
    assert "FCT" in offered
    assert "Maker" not in offered
