"""One way from a reply to code, whatever form was asked for."""

from __future__ import annotations

import pytest
from reply_shapes import SHAPES
from reply_variants import VARIANTS
from test_reply import meant
from transform_seed import genome_of

from ge_engine.contracts import Grammar, Reply, Target
from ge_engine.genome import Genome
from ge_engine.grammar import edits
from ge_engine.outcome import Rejected
from ge_engine.patch import apply
from ge_plugins.grammars import Block, Diff, Edits

GENOME = genome_of()
FORMS: dict[str, Grammar] = {form.name: form for form in (Block(), Edits(), Diff())}


def asking(address: str, *numbers: str) -> Target:
    """A target whose form `edits` asks for these lines."""
    for seed in range(500):
        plan = edits.plan(target := Target(GENOME, address, seed=seed))
        if not isinstance(plan, Rejected) and [one.partition(":")[0] for one in plan.shown] == [*numbers]:
            return target
    pytest.fail(f"{numbers} are never asked for")


TARGET = asking("SE", "10", "11")


def outcome(form: Grammar, text: str, finish: str, target: Target) -> Genome | Rejected:
    patch = form.decode(Reply(text, finish, 1, 1, 0.0, "test"), target)  # type: ignore[arg-type]
    return patch if isinstance(patch, Rejected) else apply(target.genome, patch)


def test_there_are_enough_variants() -> None:
    assert len(VARIANTS) >= 60


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_that_means_something_else_in_another_form(name: str, form: str) -> None:
    variant = VARIANTS[name]
    expected = getattr(variant, form)
    result = outcome(FORMS[form], variant.text, variant.finish, TARGET)
    if expected.startswith("!"):
        assert isinstance(result, Rejected), result.blocks["SE"].code
        assert result.stage in ("extract", "compile")
        assert expected[1:] in result.reason
        assert "\n" not in result.reason
    else:
        assert isinstance(result, Genome), result
        assert result.source == meant(expected, "SE").source


@pytest.mark.parametrize("form", ["edits", "diff"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_of_reply_that_is_read_otherwise_in_another_form(name: str, form: str) -> None:
    """A whole block means the same, whatever was asked for, and is refused for the same kind of reason."""
    shape = SHAPES[name]
    result = outcome(FORMS[form], shape.text, shape.finish, Target(GENOME, shape.address))
    if shape.refused or shape.stage != "extract":
        assert isinstance(result, Rejected)
    else:
        assert isinstance(result, Genome), result
        assert result.source == meant(shape.code, shape.address).source
