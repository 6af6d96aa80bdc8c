"""A network's profile: shapes, parameters and FLOPs of every module, and the sums of each block."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.contracts import ModuleProfile, Probe
from ge_engine.ledger.records import probe_from_json, probe_to_json
from ge_engine.profile import block_profiles, maps_to_one, modules_of, rows_of
from tests.evaluation import NET_PARAMETERS, genome, probe_here, shop, source
from tests.patience import PATIENT

CONV_FLOPS = 2 * 16 * 16 * 8 * 27
HEAD_FLOPS = 2 * 8 * 4


def profile(text: str) -> dict[str, ModuleProfile]:
    return {module.path: module for module in probe_here(text).modules}


def test_shapes_parameters_and_flops_that_a_person_would_count_otherwise() -> None:
    seen = profile(source())
    assert list(seen) == ["", "body", "body.conv", "body.norm", "head"]
    assert seen[""] == ModuleProfile(
        "", "Net", "Net", (8, 3, 16, 16), (8, 4), 0, NET_PARAMETERS, CONV_FLOPS + HEAD_FLOPS, 1
    )
    assert seen["body.conv"] == ModuleProfile(
        "body.conv", "Conv2d", "", (8, 3, 16, 16), (8, 8, 16, 16), 224, 224, CONV_FLOPS, 1
    )
    assert (seen["body"].own, seen["body"].parameters, seen["body"].output) == (0, 240, (8, 8))


def test_parameters_of_the_modules_that_do_not_add_up_to_the_models() -> None:
    tied = source(init="self.twin = nn.Linear(8, num_classes)\nself.twin.weight = self.head.weight")
    seen = profile(tied)
    assert sum(module.own for module in seen.values()) == seen[""].parameters == NET_PARAMETERS + 4
    assert (seen["head"].own, seen["twin"].own) == (36, 4)


def test_flops_of_the_modules_that_do_not_add_up_to_the_models() -> None:
    found = probe_here(source(init="self.again = Body(8)", forward="self.again(x)"))
    seen = {module.path: module for module in found.modules}
    assert seen[""].flops == found.facts["flops"]
    assert seen["body"].flops == seen["again"].flops == CONV_FLOPS
    assert sum(seen[path].flops for path in ("body", "again", "head")) == seen[""].flops


def test_a_module_called_three_times_that_counts_once_or_nine_times() -> None:
    seen = profile(source(forward="self.body(x)\nself.body(x)"))
    assert seen["body"].calls == 3
    assert seen["body"].flops == 3 * CONV_FLOPS


def test_a_module_within_itself_whose_flops_count_twice() -> None:
    text = source().replace(
        "        return F.relu(self.norm(self.conv(x))).mean((2, 3))",
        "        if x.shape[-1] > 8:\n            self(x[..., :8, :8])\n"
        "        return F.relu(self.norm(self.conv(x))).mean((2, 3))",
    )
    assert profile(text)["body"].flops == CONV_FLOPS + CONV_FLOPS / 4


def test_a_module_that_is_never_called_and_has_the_figures_of_another() -> None:
    seen = profile(source(init="self.spare = Body(4)"))
    assert (seen["spare"].calls, seen["spare"].input, seen["spare"].output) == (0, (), ())
    assert (seen["spare"].flops, seen["spare"].parameters) == (0.0, 3 * 4 * 9 + 4 + 8)


def test_blocks_that_leave_out_an_instance_or_count_a_nested_one_twice() -> None:
    nested = source(init="self.extra = nn.Sequential(Body(4), Body(4))")
    sums = block_profiles(tuple(probe_here(nested).modules))
    assert list(sums) == ["Net", "Body"]
    assert (sums["Body"].instances, sums["Body"].parameters) == (3, 240 + 2 * (3 * 4 * 9 + 4 + 8))
    assert sums["Net"].parameter_share == 1.0
    rows = [ModuleProfile("", "A", "A", parameters=9), ModuleProfile("b", "A", "A", parameters=4)]
    assert block_profiles(rows)["A"].parameters == 9
    assert block_profiles(()) == {}


def test_a_map_of_one_position_that_is_not_told() -> None:
    text = source().replace(
        "self.conv = nn.Conv2d(3, channels, 3, padding=1)", "self.conv = nn.Conv2d(3, channels, 16)"
    )
    seen = profile(text)
    assert [path for path, module in seen.items() if maps_to_one(module)] == ["body.conv", "body.norm"]


@pytest.mark.long
def test_a_profile_that_the_engine_does_not_get_from_the_worker(tmp_path: Path) -> None:
    with shop(tmp_path) as evaluation:
        found = evaluation.probe(genome()).result(PATIENT)
    assert found.modules == tuple(probe_here(source()).modules)


NAMES = st.text(max_size=20)
COUNTS = st.integers(0, 2**62)
SHAPES = st.lists(COUNTS, max_size=5).map(tuple)
MODULES = st.builds(
    ModuleProfile, NAMES, NAMES, NAMES, SHAPES, SHAPES, COUNTS, COUNTS, st.floats(0, 1e18), COUNTS
)


@given(st.lists(MODULES, max_size=4).map(tuple))
def test_a_profile_that_the_ledger_changes(modules: tuple[ModuleProfile, ...]) -> None:
    assert modules_of(json.loads(json.dumps(rows_of(modules)))) == modules
    probe = Probe(facts={"flops": 1.0}, modules=modules)
    assert probe_from_json(probe_to_json(probe)) == probe


ROW: list[Any] = ["body", "Body", "Body", [8, 3], [8, 4], 1, 2, 3.0, 1]


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, 5),
        (3, [-1]),
        (3, [1.5]),
        (4, "shape"),
        (5, -3),
        (5, 10**400),
        (6, True),
        (6, float("inf")),
        (7, math.nan),
        (7, -1.0),
        (7, "many"),
        (8, None),
    ],
)
def test_a_forged_profile_that_is_believed(at: int, value: Any) -> None:
    row = [*ROW[:at], value, *ROW[at + 1 :]]
    assert modules_of([ROW])
    with pytest.raises((ValueError, TypeError, OverflowError)):
        modules_of([row])
    with pytest.raises((ValueError, TypeError)):
        modules_of([ROW[:-1]])
