"""The loop: order-free, resumable, never scoring twice, honest when nothing is found."""

from __future__ import annotations

import random
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import doubles
import pytest

from ge_engine import loop
from ge_engine.contracts import Context, Operator, Probe
from ge_engine.errors import ConfigError, LedgerError, ModelError, PluginError, SeedError
from ge_engine.events import EVENTS
from ge_engine.genome import Genome, differing
from ge_engine.ledger.history import History
from ge_engine.outcome import Failed, Rejected, Scored, Skipped
from ge_engine.population import Individual, pareto_front
from ge_engine.runs.audit import check

REGISTRY = doubles.registry()
DIRECTIONS = {"accuracy": "max", "parameters": "min"}


def run(folder: Path, **settings: Any) -> loop.Result:
    return loop.run(doubles.seed(), doubles.config(**settings), REGISTRY, folder, lambda *_: None)


def watched(folder: Path, **settings: Any) -> tuple[loop.Result, doubles.Observer]:
    observer = doubles.Observer()
    return loop.run(doubles.seed(), doubles.config(**settings), REGISTRY, folder, observer), observer


def content(folder: Path) -> Mapping[str, Any]:
    with History(folder) as history:
        return history.content()


def test_a_run_that_ends_without_a_front(tmp_path: Path) -> None:
    result, observer = watched(tmp_path / "run", generations=4, population=10)
    with History(tmp_path / "run") as history:
        everybody = list(history.individuals())
        assert len(everybody) == 41
        assert [one.id for one in result.front] == [one.id for one in pareto_front(everybody, DIRECTIONS)]
        assert set(result.tests) == {"seed", *(one.id for one in result.front)}
        assert [one.id for one in result.population] == list(history.survivors(3))
        assert history.stopped_because == result.stopped_because == "finished: 4/4 generations"
    for one in everybody:
        assert (one.genome is not None) or isinstance(one.outcome, Rejected)
        if isinstance(one.outcome, Scored) and one.genome:
            assert one.outcome.objectives == doubles.figures(one.genome)
    names = [name for name, _ in observer.events]
    assert names[0] == "run_started"
    assert names[-1] == "run_finished"
    assert set(names) <= set(EVENTS)


@pytest.mark.parametrize(
    "other",
    [
        {"evaluator": "threaded", "workers": 1},
        {"evaluator": "threaded", "workers": 2},
        {"llm": "scripted:shuffle", "evaluator": "threaded", "workers": 3},
    ],
)
def test_a_ledger_that_depends_on_the_order_of_events(tmp_path: Path, other: dict[str, Any]) -> None:
    settings = {"generations": 4, "population": 12, "repairs": 1}
    run(tmp_path / "plain", **settings)
    run(tmp_path / "other", **{**settings, **other})
    plain, reordered = content(tmp_path / "plain"), content(tmp_path / "other")
    for table in plain:
        mine = [
            tuple(str(v).replace("scripted:shuffle", "scripted:mixed") for v in row)
            for row in reordered[table]
        ]
        assert mine == [tuple(str(v) for v in row) for row in plain[table]], table


def test_another_seed_of_randomness_that_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path / "one", random_seed=1)
    run(tmp_path / "two", random_seed=2)
    assert content(tmp_path / "one")["calls"] != content(tmp_path / "two")["calls"]


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    "event", ["reply", "outcome", "admitted", "survivors", "generation_started", "finalists"]
)
def test_a_reply_asked_twice_after_a_crash(tmp_path: Path, event: str) -> None:
    settings = {"generations": 3, "population": 8, "repairs": 1}
    run(tmp_path / "whole", **settings)
    asked: list[str] = []
    for number in range(6):
        rng = random.Random(number)
        left = [rng.randint(1, 9) if number < 5 else 10**9]

        def crash(name: str, data: Mapping[str, Any], left: list[int] = left) -> None:
            if name == "reply":
                asked.append(data["key"])
            left[0] -= name == event
            if not left[0]:
                raise Stop

        try:
            loop.run(doubles.seed(), doubles.config(**settings), REGISTRY, tmp_path / "run", crash)
        except Stop:
            continue
    assert len(asked) == len(set(asked))
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_a_genome_that_is_scored_twice(tmp_path: Path) -> None:
    run(tmp_path / "run", llm="scripted:few", generations=4, population=10)
    scored = doubles.INSTANT.opened[-1].scored
    assert len(scored) == len(set(scored))


def test_a_finished_run_that_does_anything(tmp_path: Path) -> None:
    first = run(tmp_path / "run")
    before = content(tmp_path / "run")
    opened = len(doubles.SCRIPTED.opened), len(doubles.INSTANT.opened)
    again = run(tmp_path / "run")
    assert (len(doubles.SCRIPTED.opened), len(doubles.INSTANT.opened)) == opened
    assert [one.id for one in again.front] == [one.id for one in first.front]
    assert again.tests == first.tests
    assert content(tmp_path / "run") == before


def test_more_generations_that_differ_from_a_longer_run(tmp_path: Path) -> None:
    run(tmp_path / "long", generations=4)
    run(tmp_path / "short", generations=2)
    run(tmp_path / "short", generations=4)
    long, short = content(tmp_path / "long"), content(tmp_path / "short")
    for table in ("calls", "individuals", "generations", "survivors"):
        assert long[table] == short[table]


def test_a_run_of_another_seed_or_other_settings(tmp_path: Path) -> None:
    run(tmp_path / "run", generations=1)
    other = doubles.Seed.from_bytes(doubles.SEED + b"\n# changed\n", Path("other.py"))
    with pytest.raises(LedgerError, match=r"another seed model \(seed\.py\), not from other\.py"):
        loop.run(other, doubles.config(generations=1), REGISTRY, tmp_path / "run", lambda *_: None)
    with pytest.raises(ConfigError, match=r"training\.epochs = \d+; it cannot be resumed with 77") as refused:
        run(tmp_path / "run", generations=1, recipe={"epochs": 77})
    assert refused.value.hint.endswith("Differing: training.epochs.")
    with pytest.raises(ConfigError, match="population = 6; it cannot be resumed with 7"):
        run(tmp_path / "run", generations=1, population=7)


# --- the cases of section "Selection and plugins" -----------------------------------------------


def test_a_model_that_changes_nothing(tmp_path: Path) -> None:
    result = run(tmp_path / "run", llm="scripted:same", generations=2)
    assert doubles.INSTANT.opened[-1].scored == [
        f"{doubles.seed().genome.digest}/validation",
        f"{doubles.seed().genome.digest}/test",
    ]
    assert result.rejections == {"seen": 12}
    assert result.message == "No child was scored: 12 rejected at seen."
    assert [one.id for one in result.front] == ["seed"]


def test_a_generation_of_which_nothing_is_valid(tmp_path: Path) -> None:
    result = run(tmp_path / "run", llm="scripted:broken", generations=3)
    assert [one.id for one in result.population] == ["seed"]
    assert result.rejections == {"compile": 18}
    assert "18 rejected at compile" in result.message


def test_a_model_that_never_answers(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the scripted model refuses") as caught:
        run(tmp_path / "run", llm="scripted:refuse")
    assert "the run resumes" in caught.value.hint
    assert not content(tmp_path / "run")["calls"]


def test_two_equal_parents_that_cost_a_call(tmp_path: Path) -> None:
    """Twins of the seed, which no check keeps out, and mating alone: no prompt from generation 1 on."""
    observer = doubles.Observer()
    settings = {"llm": "scripted:same", "p_mating": 1.0, "p_mutation": 0.0, "population": 4}
    registry = replace(REGISTRY, checks={})
    config = doubles.config(**settings, generations=3, checks=())
    result = loop.run(doubles.seed(), config, registry, tmp_path / "run", observer)
    assert len({one.id for one in result.population}) == 5
    assert len({one.genome.digest for one in result.population if one.genome}) == 1
    assert [(data["generation"], data["count"]) for data in observer.of("asked")] == [(0, 4)]
    assert {data["individual"][:2] for data in observer.of("reply")} == {"g0"}
    assert result.rejections == {"skipped": 8}


def test_a_block_with_braces_that_a_template_eats(tmp_path: Path) -> None:
    run(tmp_path / "run", generations=2, population=10)
    with History(tmp_path / "run") as history:
        prompts = [call.prompt for one in history.individuals() for call in history.calls(one.id)]
    shown = [prompt.user for prompt in prompts if "Net" in (prompt.address, prompt.address.split(".")[0])]
    assert any('note = f"{x} %s {{}}"' in user for user in shown)


def test_evolution_of_thought_that_comes_too_early_or_from_nothing(tmp_path: Path) -> None:
    run(tmp_path / "run", generations=4, population=12, p_eot=1.0)
    with History(tmp_path / "run") as history:
        steps = {one.id: [step.operator for step in one.steps] for one in history.individuals()}
        explained = [c for i in steps for c in history.calls(i) if c.prompt.intent == "explain"]
    assert not any("eot" in ops for identity, ops in steps.items() if identity.startswith("g0"))
    assert any("eot" in ops for ops in steps.values())
    assert all("better" in call.prompt.user for call in explained)


def test_elites_that_only_failed(tmp_path: Path) -> None:
    result = run(tmp_path / "run", generations=5, population=12, elites=4)
    with History(tmp_path / "run") as history:
        for record in history.generations():
            survivors = [history.individual(identity) for identity in record.survivors]
            assert all(one is not None and one.scored for one in survivors)
            newborn = [one for one in history.individuals(record.generation) if one.scored and one.slot >= 0]
            assert {one.id for one in newborn} <= set(record.survivors)
            assert len(record.survivors) <= 4 + len(newborn)
        failed = [one for one in history.individuals() if isinstance(one.outcome, Failed)]
    assert failed
    assert all(one.scored for one in result.population)


def test_a_mated_child_that_keeps_neither_parent(tmp_path: Path) -> None:
    run(tmp_path / "run", generations=5, population=12, p_mating=1.0, p_mutation=0.0, llm="scripted:good")
    with History(tmp_path / "run") as history:
        mated = [one for one in history.individuals() if [step.operator for step in one.steps] == ["mating"]]
        assert len(mated) > 20
        for one in mated:
            first = history.individual(one.parents[0])
            assert first is not None
            assert first.genome is not None
            assert len(set(one.parents)) == 2
            if one.genome:
                assert set(differing(first.genome, one.genome)) <= _around(one.steps[0].address)


def _around(address: str) -> set[str]:
    """The block itself, or a method of the class that was rewritten."""
    known = doubles.seed().genome.blocks
    return {address} | {a for a in known if a.startswith(address + ".")} | {address.split(".")[0]}


# --- faults around the loop ---------------------------------------------------------------------


@pytest.mark.parametrize(("faults", "ends"), [(2, Scored), (9, Failed)])
def test_a_fault_of_the_machine_that_counts_against_the_candidate(
    tmp_path: Path, faults: int, ends: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [faults]
    plain = doubles.Instant.submit

    def submit(self: doubles.Instant, job: Any) -> Any:
        if job.key == "g0s0" and left[0]:
            left[0] -= 1
            return doubles._done(Failed("train", "crash", "the GPU fell off", "infrastructure"))
        return plain(self, job)

    monkeypatch.setattr(doubles.Instant, "submit", submit)
    _, observer = watched(tmp_path / "run", llm="scripted:good", generations=1)
    with History(tmp_path / "run") as history:
        one = history.individual("g0s0")
    assert one is not None
    assert isinstance(one.outcome, ends)
    assert len(observer.of("retried")) == 2


def test_a_seed_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = doubles.Probe(stage="forward", error="RuntimeError: shapes")
    monkeypatch.setattr(doubles.Instant, "probe", lambda self, genome: doubles._done(broken))
    with pytest.raises(SeedError, match=r"does not run \(forward\): RuntimeError: shapes"):
        run(tmp_path / "run")


def test_a_folder_that_a_refused_seed_has_spoilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = doubles.Probe(stage="forward", error="RuntimeError: shapes")
    with monkeypatch.context() as refusing:
        refusing.setattr(doubles.Instant, "probe", lambda self, genome: doubles._done(broken))
        with pytest.raises(SeedError):
            loop.run(
                doubles.Seed.from_bytes(doubles.SEED + b"\n# not yet mended\n", Path("seed.py")),
                doubles.config(entry="Other()"),
                REGISTRY,
                tmp_path / "run",
                lambda *_: None,
            )
    run(tmp_path / "run", entry="Net()")
    run(tmp_path / "fresh", entry="Net()")
    assert content(tmp_path / "run") == content(tmp_path / "fresh")


def test_a_seed_that_failed_with_settings_it_can_be_mended_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as slow:
        slow.setattr(doubles, "_score", lambda job: Failed("training", "timeout", "it took 1 s"))
        with pytest.raises(SeedError, match="cannot be scored: it took 1 s"):
            run(tmp_path / "run", timeout=1.0)
    assert run(tmp_path / "run", timeout=2.0).seed.scored


def test_an_objective_that_is_missing_or_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = doubles._score

    def score(job: Any) -> Any:
        if job.key == "g0s0":
            return Scored({"accuracy": float("nan"), "parameters": 1.0})
        return Scored({"accuracy": 0.5}) if job.key == "g0s1" else plain(job)

    monkeypatch.setattr(doubles, "_score", score)
    run(tmp_path / "run", llm="scripted:good", generations=1)
    with History(tmp_path / "run") as history:
        first, second = history.individual("g0s0"), history.individual("g0s1")
    assert first is not None
    assert second is not None
    assert first.outcome == Failed("evaluate", "not finite", "the objective 'accuracy' is nan")
    assert isinstance(second.outcome, Failed)
    assert "no objective 'parameters'" in second.outcome.reason


@pytest.mark.parametrize(
    ("given", "kind", "reason"),
    [
        (10**400, "not finite", "the objective 'accuracy' is inf"),
        (-(10**5000), "not finite", "the objective 'accuracy' is inf"),
        (float("-inf"), "not finite", "the objective 'accuracy' is -inf"),
        (True, "error", "the objective 'accuracy' is a bool, no number"),
        ("0.9", "error", "the objective 'accuracy' is a str, no number"),
        (None, "error", "the objective 'accuracy' is a NoneType, no number"),
        ({"mean": 0.9}, "error", "the objective 'accuracy' is a dict, no number"),
    ],
    ids=["400 digits", "5000 digits", "infinite", "a truth value", "text", "nothing", "nested"],
)
def test_an_evaluators_figure_that_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any, kind: str, reason: str
) -> None:
    plain = doubles._score

    def score(job: Any) -> Any:
        return Scored({"accuracy": given, "parameters": 1.0}) if job.key == "g0s0" else plain(job)

    monkeypatch.setattr(doubles, "_score", score)
    run(tmp_path / "run", llm="scripted:good", generations=1)
    with History(tmp_path / "run") as history:
        one = history.individual("g0s0")
    assert one is not None
    assert isinstance(one.outcome, Failed)
    assert (one.outcome.kind, one.outcome.reason) == (kind, reason)


def test_an_evaluator_that_gives_no_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = doubles._score
    monkeypatch.setattr(doubles, "_score", lambda job: None if job.key == "g0s0" else plain(job))
    run(tmp_path / "run", llm="scripted:good", generations=1)
    with History(tmp_path / "run") as history:
        one = history.individual("g0s0")
    assert one is not None
    assert one.outcome == Failed("evaluate", "error", "the evaluator gave a NoneType", "engine")


class Lazy(Operator):
    name = "mutation"
    kind = "mutation"

    def propose(self, context: Context) -> Any:
        return Skipped("too tired")
        yield


class Wrong(Lazy):
    def propose(self, context: Context) -> Any:
        return "a patch"
        yield


@pytest.mark.parametrize(
    ("operator", "stage", "words"),
    [
        (Lazy, "skipped", "too tired"),
        (Wrong, "plugin", "'a patch'"),
    ],
)
def test_an_operator_whose_fault_is_not_kept(
    tmp_path: Path, operator: type[Lazy], stage: str, words: str
) -> None:
    import dataclasses

    registry = dataclasses.replace(REGISTRY, operators={"mutation": operator()})
    config = doubles.config(operators=("mutation",), generations=1, population=2)
    with pytest.raises(PluginError, match=words) if stage == "plugin" else nullcontext():
        loop.run(doubles.seed(), config, registry, tmp_path / "run", lambda *_: None)
    with History(tmp_path / "run") as history:
        one = history.individual("g0s0")
    assert one is not None
    assert isinstance(one.outcome, Rejected)
    assert words in one.outcome.reason


def test_a_repair_that_is_not_sent_or_not_counted(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain", generations=3, population=12)
    mended = run(tmp_path / "mended", generations=3, population=12, repairs=1)
    assert sum(mended.rejections.values()) < sum(plain.rejections.values())
    with History(tmp_path / "mended") as history:
        saved = [i for i in history.individuals() if any("repaired" in step.note for step in i.steps)]
        assert saved
        first, second = history.calls(saved[0].id)[-2:]
    assert first.reply.text.strip() in second.prompt.user
    assert "It was rejected (" in second.prompt.user


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"operators": ("mating",)}, "No operator of kind 'mutation'"),
        ({"operators": ("mutation", "magic")}, "There is no operator 'magic'"),
        ({"personas": ("nobody",)}, "There is no persona 'nobody'"),
        ({"llm": "unheard-of"}, "There is no language model 'unheard-of'"),
        ({"objectives": ("beauty",)}, "Nobody says whether a small or a large 'beauty' is better"),
        ({"parent_selector": "dice"}, "There is no selector 'dice'"),
    ],
)
def test_a_name_that_nobody_registered(tmp_path: Path, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        run(tmp_path / "run", **settings)


def test_blocks_that_were_not_chosen(tmp_path: Path) -> None:
    run(tmp_path / "run", blocks=("Net.*",), generations=2)
    with History(tmp_path / "run") as history:
        touched = {step.address for one in history.individuals() for step in one.steps}
    assert touched
    assert all(address.startswith("Net.") for address in touched if address)


def test_dead_blocks_that_are_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = doubles.Probe(output_shape=(2, 10), executed=frozenset({"get_optimizer"}))
    monkeypatch.setattr(doubles, "_probe", lambda genome: live)
    run(tmp_path / "executed", generations=1)
    run(tmp_path / "unused", generations=1, unused_blocks=True)
    touched = {}
    for name in ("executed", "unused"):
        with History(tmp_path / name) as history:
            touched[name] = {step.address for one in history.individuals() for step in one.steps}
    assert touched["executed"] == {"get_optimizer"}
    assert len(touched["unused"]) > 1


def test_a_failing_observer_that_ends_the_run(tmp_path: Path) -> None:
    """A plugin's ge_event raises at every event: it is named once, and the run goes on."""
    registry = doubles.registry("faulty_observer")
    observer = doubles.Observer()
    result = loop.run(doubles.seed(), doubles.config(generations=1), registry, tmp_path / "run", observer)
    assert result.stopped_because
    (told,) = observer.of("observer_failed")
    assert "'faulty_observer'" in told["reason"]


def test_a_failing_selector_that_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY.selectors["spea2"].__class__, "select", lambda *_: 1 / 0)
    with pytest.raises(PluginError, match=r"'spea2' of plugin 'selectors' .* failed"):
        run(tmp_path / "run")


def test_individuals_that_share_an_id(tmp_path: Path) -> None:
    run(tmp_path / "run", generations=3)
    with History(tmp_path / "run") as history:
        everybody: list[Individual] = list(history.individuals())
    assert len({one.id for one in everybody}) == len(everybody)


def test_an_objective_whose_direction_cannot_be_turned(tmp_path: Path) -> None:
    result = run(tmp_path / "run", objectives=["accuracy", "parameters:max"], generations=2, population=8)
    directions = {"accuracy": "max", "parameters": "max"}
    with History(tmp_path / "run") as history:
        assert history.directions == directions
        front = pareto_front(history.individuals(), directions)  # type: ignore[arg-type]
    assert {one.id for one in result.front} == {one.id for one in front}
    assert max(one.objectives["parameters"] for one in result.front) >= result.seed.objectives["parameters"]


class LateFirst(doubles.Instant):
    """All children do the same, and the first one's probe comes when another has been scored."""

    held: Future[Probe] | None = None

    def probe(self, genome: Genome) -> Future[Probe]:
        alike = replace(super().probe(genome).result(), fingerprint=f"f{min(len(self.probed), 2)}")
        answer: Future[Probe] = Future()
        if len(self.probed) == 2:
            type(self).held = answer
            self.late = alike
        else:
            answer.set_result(alike)
        return answer


def test_a_score_that_stays_of_a_quicker_twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was trained as nobody had been seen to do the same, and then one of an earlier slot did."""
    monkeypatch.setattr(doubles, "Instant", LateFirst)
    quicker: list[str] = []

    def observe(name: str, data: Mapping[str, Any]) -> None:
        if name == "outcome" and data["individual"] != "seed" and not quicker:
            quicker.append(data["individual"])
            assert LateFirst.held is not None
            LateFirst.held.set_result(doubles.INSTANT.opened[-1].late)  # type: ignore[attr-defined]

    config = doubles.config(llm="scripted:good", generations=1, population=5)
    loop.run(doubles.seed(), config, doubles.registry(), tmp_path / "run", observe)
    with History(tmp_path / "run") as history:
        (twin,) = [one for one in history.individuals() if one.id in quicker]
        assert isinstance(twin.outcome, Rejected)
        assert twin.outcome.stage == "seen-function"
        assert twin.genome is not None
        assert twin.genome.digest not in history.scores()
        assert history.evaluations() == 2, "the seed and the first child"
    assert check(tmp_path / "run") == []
