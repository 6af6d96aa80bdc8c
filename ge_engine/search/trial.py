"""Plugins' parts are tried once on the seed model before a language model is asked: no prompts are lost.

Only exceptions and broken contracts count. What a first generation does not use, such as operators of two
parents, is not tried: see `Generation.broken`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from ge_engine.blaming import blaming
from ge_engine.contracts import (
    Candidate,
    Constraint,
    Operator,
    Persona,
    Probe,
    Prompt,
    Reply,
    inheriting,
)
from ge_engine.outcome import Rejected
from ge_engine.patch import parse_patch
from ge_engine.registry import Registry
from ge_engine.search.calling import asked, checked, framed
from ge_engine.search.check_pipeline import nobody
from ge_engine.search.targets import target_of
from ge_engine.search.variation import MatingPool, Variation

NOTHING = Reply("", "stop", 0, 0, 0.0, "trial")


def try_parts(variations: Sequence[Variation], registry: Registry, probe: Probe) -> None:
    """Try the checks and selectors of the settings, and on each island operators of mutation, the forms that
    they ask for, and personas.

    Raises:
        PluginError: a part raises or breaks its contract, with plugin, file and line.
    """
    _try_checks(variations[0], registry, probe)
    _try_selectors(variations[0], registry)
    for variation in variations:
        prompt = Prompt("Answer.", "Once.", grammar=variation.config.grammar or None)
        for operator in variation.operators:
            if operator.kind == "mutation":
                prompt = _tried_operator(operator, variation, registry) or prompt
        for persona in variation.personas:
            _try_persona(persona, prompt, registry)


def _try_checks(variation: Variation, registry: Registry, probe: Probe) -> None:
    """On the seed model, rewritten as it is."""
    genome = variation.seed.genome
    address = variation.addresses(genome, (genome,))[0]
    patch = parse_patch(genome, address, genome.blocks[address].code)
    if isinstance(patch, Rejected):
        return
    for name in variation.config.checks:
        check = registry.checks[name]
        seen = probe if check.kind == "probe" else None
        with blaming(registry, "ge_checks", name):
            checked(check, Candidate(genome, genome, patch, probe, seen, nobody, nobody))


def _try_selectors(variation: Variation, registry: Registry) -> None:
    config = variation.config
    for name in (config.parent_selector, config.elite_selector):
        with blaming(registry, "ge_selectors", name):
            list(registry.selectors[name].select([variation.seed], 1, variation.directions, _rng(variation)))


def _tried_operator(operator: Operator, variation: Variation, registry: Registry) -> Prompt | None:
    """The first prompt that it draws from the seed model; its form is tried, too."""
    seed = variation.seed
    pool = MatingPool(0, (seed,), ())
    context = variation.context(pool, _rng(variation), seed.genome, (seed,), _unread)
    with blaming(registry, "ge_operators", operator.name):
        proposal = operator.propose(context)
        prompt = next(proposal, None)
        proposal.close()
        if prompt is not None:
            asked(prompt)
    if prompt is not None:
        _try_form(prompt, variation, registry)
    return prompt


def _try_form(prompt: Prompt, variation: Variation, registry: Registry) -> None:
    """Without the moves of a block, which take time to build; a form that is not there is told elsewhere."""
    grammar = variation.grammars.get(variation.form_of(prompt) or "")
    if grammar is None:
        return
    target = target_of(variation.seed.genome, prompt, material=prompt.material, goal=prompt.goal)
    with blaming(registry, "ge_grammars", grammar.name):
        grammar.instructions(target)
        constraint = grammar.constraint(target)
        if not isinstance(constraint, Rejected):
            inheriting(Constraint, constraint)
        grammar.decode(NOTHING, target)


def _try_persona(persona: Persona, prompt: Prompt, registry: Registry) -> None:
    with blaming(registry, "ge_personas", persona.name):
        framed(persona, prompt)


def _unread(_prompt: Prompt, _reply: Reply) -> Rejected:
    raise RuntimeError("it reads a reply before it has asked")


def _rng(variation: Variation) -> random.Random:
    """Numbers of its own: the run draws what it would draw without."""
    return random.Random(f"{variation.config.random_seed}/trial")
