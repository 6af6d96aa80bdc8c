"""A run whose children change several blocks at once: bred, recorded, resumed, replayed, mated and told."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import doubles
import pytest
from typer.testing import CliRunner

from ge_engine import loop
from ge_engine.changes import diff_genomes
from ge_engine.cli.app import app
from ge_engine.contracts import Context, Prompt, RunFacts
from ge_engine.genome import Seed
from ge_engine.ledger.history import History
from ge_engine.ledger.records import steps_from_json, steps_to_json
from ge_engine.ledger.statistics import repairs, statistics
from ge_engine.outcome import Rejected, Scored
from ge_engine.population import Individual, Step
from ge_engine.report.counts import success
from ge_engine.report.data import read_run
from ge_plugins.intents import RULES as OF_A_BLOCK
from ge_plugins.purposeful import Purposeful
from ge_plugins.redesign import Redesign
from tests.patience import PATIENT

ROOT = Path(__file__).resolve().parent.parent
EXQUISITE = ROOT / "examples" / "exquisitenet_v2.py"
REGISTRY = doubles.registry("joint_doubles", "roomy")
BOTH = ("Small.forward", "Net.forward")


def run(folder: Path, observe: Any = lambda *_: None, **settings: Any) -> None:
    base = {"llm": "of-file", "operators": ("roomy",), "generations": 2, "population": 5}
    loop.run(doubles.seed(), doubles.config(**{**base, **settings}), REGISTRY, folder, observe)


def content(folder: Path) -> Mapping[str, Any]:
    with History(folder) as history:
        return history.content()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joint") / "run"
    run(folder, llm="of-file:faulty", repairs=1)
    return folder


def test_a_joint_child_that_is_not_scored_or_shows_one_block_alone(folder: Path) -> None:
    with History(folder) as history:
        seed, *children = list(history.individuals())
        assert len(children) == 10
        assert any(one.scored for one in children)
        for one in children:
            assert not isinstance(one.outcome, Rejected)
            assert one.steps[-1].addresses == BOTH
            parent = next(p for p in (seed, *children) if p.id == one.parents[0])
            assert one.genome
            assert parent.genome
            assert {change.address for change in diff_genomes(parent.genome, one.genome)} == set(BOTH)


def test_a_repair_that_loses_a_block(folder: Path) -> None:
    """Each first answer had a block that does not compile; the second is read in the same form."""
    with History(folder) as history:
        assert repairs(history) == {"compile": (10, 10)}
        first, second = history.calls("g0s0")
        assert "It was rejected (compile): Net: line" in second.prompt.user
        assert first.prompt.user.partition("Answer with one")[0] in second.prompt.user
        assert "Answer with one fenced block" in second.prompt.user


def test_a_block_of_several_that_is_not_counted(folder: Path) -> None:
    with History(folder) as history:
        counted = {name: one.children for (kind, name), one in statistics(history).items() if kind == "block"}
        assert counted == dict.fromkeys(BOTH, 10)
        told = {tally.name: tally.total for tally in success(read_run(history, ()), "block")}
        assert told == counted


def test_what_a_person_is_told_of_several_blocks(folder: Path) -> None:
    for command, text in (
        (("log", str(folder)), "Small.forward, Net.forward"),
        (("show", f"{folder}:g0s0"), "roomy of Small.forward, Net.forward"),
        (("blame", f"{folder}:g0s0"), "roomy of Small.forward, Net.forward"),
    ):
        shown = CliRunner().invoke(app, command, env={"COLUMNS": "200"})
        assert shown.exit_code == 0, shown.output
        assert text in shown.output


def test_a_reply_of_which_no_block_is_known(tmp_path: Path) -> None:
    run(tmp_path / "run", llm="of-file:faulty", generations=1, population=2)
    with History(tmp_path / "run") as history:
        child = list(history.individuals())[1]
        assert isinstance(child.outcome, Rejected)
        assert child.steps[-1].addresses == ()
        assert [name for kind, name in statistics(history) if kind == "block"] == []
        told = success(read_run(history, ()), "block")
        assert [(tally.name, tally.total) for tally in told] == [("none", 2)]
    shown = CliRunner().invoke(app, ("show", f"{tmp_path / 'run'}:g0s0"))
    assert "roomy (" in shown.output


class Stop(Exception):
    pass


def test_a_killed_run_of_joint_children_that_ends_otherwise(folder: Path, tmp_path: Path) -> None:
    for left in (3, 7, 4, 10**9):
        count = [left]

        def crash(name: str, _: Mapping[str, Any], count: list[int] = count) -> None:
            count[0] -= name == "reply"
            if not count[0]:
                raise Stop

        try:
            run(tmp_path / "run", crash, llm="of-file:faulty", repairs=1)
        except Stop:
            continue
    assert content(tmp_path / "run") == content(folder)


def test_a_replay_of_joint_children_with_other_bytes(folder: Path, tmp_path: Path) -> None:
    run(tmp_path / "again", llm=f"replay:{folder}", repairs=1)
    with History(folder) as before, History(tmp_path / "again") as after:
        sources = [[one.genome and one.genome.source for one in h.individuals()] for h in (before, after)]
    assert sources[0] == sources[1]


def test_a_mating_of_joint_children_that_finds_nothing(tmp_path: Path) -> None:
    run(tmp_path / "run", operators=("roomy", "mating"), p_mating=1.0, p_mutation=0.0, population=8)
    with History(tmp_path / "run") as history:
        mated = [one for one in history.individuals() if any(s.operator == "mating" for s in one.steps)]
    assert len(mated) >= 4
    assert all(one.genome and len(one.steps[0].addresses) == 1 for one in mated)


def test_a_form_of_the_run_that_is_forced_on_a_joint_prompt(tmp_path: Path) -> None:
    run(tmp_path / "run", grammar="block", generations=1)
    with History(tmp_path / "run") as history:
        assert not any(isinstance(one.outcome, Rejected) for one in history.individuals())


def test_a_step_of_an_older_ledger_that_reads_otherwise() -> None:
    old = Step("mutation", "none", "reduce", "Net.forward", "edits")
    assert steps_from_json(steps_to_json((old,))) == (old,)
    assert old.addresses == ("Net.forward",)
    assert Step("mutation", "none", "", "", "").addresses == ()


# --- the operator --------------------------------------------------------------------------------


def context(seed: Seed, prompt_tokens: int, addresses: tuple[str, ...] = (), number: int = 0) -> Context:
    parent = Individual("seed", 0, -1, (), (), seed.genome)
    return Context(
        genome=seed.genome,
        addresses=addresses or seed.genome.evolvable,
        rng=random.Random(number),
        read=lambda prompt, reply: (prompt, reply),  # type: ignore[arg-type,return-value]
        parents=(parent,),
        run=RunFacts(0, parent, (), {"accuracy": "max"}),
        prompt_tokens=prompt_tokens,
    )


def test_a_model_with_room_that_is_not_shown_the_file() -> None:
    seed = Seed.load(EXQUISITE)
    prompt = next(Redesign().propose(context(seed, 4000)))
    assert isinstance(prompt, Prompt)
    assert (prompt.grammar, prompt.address, prompt.addresses) == ("blocks", "", seed.genome.evolvable)
    assert seed.genome.text.rstrip("\n") in prompt.user
    assert "FCT, EVE, ME, SELayerNorm, DFSEB, DW, ExquisiteNetV2, get_optimizer." in prompt.user
    assert prompt.goal is not None
    assert "goal" in prompt.background
    assert "file" not in prompt.background, "it is in the request"
    assert OF_A_BLOCK not in prompt.user
    one = next(Redesign().propose(context(seed, 4000, ("DW.forward",))))
    assert "to change together: DW.forward." in one.user


def test_a_model_without_room_that_is_shown_the_file() -> None:
    seed = Seed.load(EXQUISITE)
    assert next(Redesign().propose(context(seed, 3999))).grammar == "moves"
    long = Seed.from_bytes(seed.source + b"# more\n" * 1000)
    assert next(Redesign().propose(context(long, 4000))).grammar == "moves"


# --- the whole of it -----------------------------------------------------------------------------


def answering(folder: Path, answer: str, done: threading.Event) -> None:
    """Answers each prompt of `manual:FOLDER` as a person would."""
    while not done.wait(0.1):
        for prompt in folder.glob("*.prompt.md"):
            reply = prompt.with_name(prompt.name.replace(".prompt.", ".reply."))
            if not reply.exists():
                reply.write_text(answer, "utf-8")


@pytest.mark.long
def test_a_reply_that_drops_the_last_stage_and_makes_no_child(tmp_path: Path) -> None:
    text = EXQUISITE.read_text("utf-8")
    smaller = text.replace(
        "            ME(192, 384),\n            DFSEB(384),\n            DW(384),\n", "            DW(192),\n"
    )
    smaller = smaller.replace("nn.Linear(384", "nn.Linear(192").replace("nn.Hardswish()\n\n", "nn.SiLU()\n\n")
    done = threading.Event()
    person = threading.Thread(
        target=answering, args=(tmp_path / "ask", f"Smaller:\n```python\n{smaller}```", done)
    )
    person.start()
    options = f"--plugin roomy --operators roomy --llm manual:{tmp_path}/ask --generations 1 --population 1"
    options += f" --epochs 1 --train-limit 256 --run {tmp_path}/run"
    command = [sys.executable, "-m", "ge_engine.cli", "evolve", str(EXQUISITE), *options.split()]
    made = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PATIENT, cwd=ROOT / "tests"
    )
    done.set()
    person.join()
    assert made.returncode == 0, made.stderr
    with History(tmp_path / "run") as history:
        seed, child = history.individuals()
        assert isinstance(child.outcome, Scored), child.outcome
        assert isinstance(seed.outcome, Scored)
        assert child.outcome.objectives["parameters"] < 0.5 * seed.outcome.objectives["parameters"]
        assert child.genome is not None
        assert child.genome.text == smaller
        assert child.steps[-1].address == "DW.__init__, ExquisiteNetV2.__init__"
    shown = CliRunner().invoke(app, ("diff", f"{tmp_path / 'run'}:seed", f"{tmp_path / 'run'}:g0s0"))
    assert "changed DW.__init__" in shown.output
    assert "changed ExquisiteNetV2.__init__" in shown.output


def test_a_model_with_room_that_may_change_a_few_lines_or_listed_moves_alone() -> None:
    seed = Seed.load(EXQUISITE)
    forms = {
        room: {
            (prompt.intent, prompt.grammar)
            for number in range(60)
            for prompt in [next(Purposeful().propose(context(seed, room, number=number)))]
            if isinstance(prompt, Prompt)
        }
        for room in (0, 4000)
    }
    assert ("reduce", "moves") in forms[0]
    assert ("hyperparameters", "edits") in forms[0]
    assert {form for _, form in forms[4000]} == {"block", "blocks"}
    assert {intent for intent, form in forms[4000] if form == "blocks"} == {"reduce", "complex"}
