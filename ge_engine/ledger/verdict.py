"""The verdict on a run: what is better than the baseline beyond noise, by the best figures there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ge_engine.ledger.history import History
from ge_engine.ledger.replicates import mean_scores
from ge_engine.noise import as_good, beyond_noise, clearly_better, error_of_difference, near_chance
from ge_engine.notation import Notation, Notations
from ge_engine.outcome import Scored, counted_rejections
from ge_engine.pareto import Direction, advantage
from ge_engine.population import SEED_ID
from ge_engine.tolerances import Tolerances

VALIDATION, TEST = "validation", "the test split"
UNJUDGED = (
    "No child can be compared with the baseline before the front is trained from scratch, at the end of the "
    "run: they began with their parents' weights."
)
Evidence = Mapping[str, Scored]
"""Figures of one kind by individual."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A child against the seed model ("the baseline"), both by figures of one kind, which `basis` names.

    `signs`, by objective: 1 better beyond noise, -1 worse beyond noise, 0 neither; `better` as
    `clearly_better` says.
    """

    id: str
    child: Scored
    baseline: Scored
    basis: str
    signs: Mapping[str, int]
    better: bool
    directions: Mapping[str, Direction]
    tolerances: Tolerances

    def in_words(self, notations: Notations) -> str:
        """ "as good in accuracy within noise, with 63 % fewer parameters"."""
        noisy, exact = [], []
        for name, notation in notations.items():
            old, new = self.baseline.objectives[name], self.child.objectives[name]
            error = error_of_difference(self.child, self.baseline, name)
            level = as_good(self.child, self.baseline, name, self.directions[name], self.tolerances)
            if error and (self.signs[name] or not level):
                gain = f"{name} {notation.gain(new - old, error)} {notation.unit_of_gain}"
                noisy.append(gain.rstrip())
            elif error:
                noisy.append(f"as good in {name} within noise")
            elif self.signs[name]:
                exact.append(_change(name, notation, old, new))
        exact = exact or ([] if noisy else ["the same figures"])
        return ", with ".join(filter(None, (", ".join(noisy), " and ".join(exact))))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run came to: `better` are the children that are better than the baseline beyond noise, by
    validation and by the best figures that there are, the best first; `front` is everybody on the front that
    can be compared with the baseline, and `refuted` are those who are better by the latter alone. `sentence`
    says it in plain words."""

    better: tuple[Judged, ...]
    front: Mapping[str, Judged]
    refuted: frozenset[str]
    sentence: str


def verdict_of(history: History, front: Sequence[str]) -> Verdict:
    """The verdict on a run whose front has these ids. Figures of trainings with further random seeds count
    most, then those of the test split, then validation's, which say nothing where children began with their
    parents' weights; who lost something in validation when trained again is not better. Raises LedgerError
    where it is damaged."""
    known, directions = _evidence(history), history.directions
    judged = _judged(history, front, _from_scratch(history, known))
    promising = _promising(history, front, known[VALIDATION])
    lost, near = _lost_again(history), _near_chance(history, known)
    doubtful = {one.id for one in judged.values() if not promising[one.id].better or one.id in lost}
    confirmed = [
        one for one in judged.values() if one.better and one.id not in doubtful and _tells(one, near)
    ]
    better = _best_first(confirmed, directions)
    first = next(iter(directions))
    costly = [
        one
        for one in judged.values()
        if min(one.signs[first], promising[one.id].signs[first]) > 0 > min(one.signs.values())
    ]
    unjudged = not judged and any(name in known[VALIDATION] for name in front if name != SEED_ID)
    sentence = (
        UNJUDGED if unjudged else _sentence(better, _best_first(costly, directions), history, known, near)
    )
    refuted = frozenset(name for name in doubtful if judged[name].better)
    return Verdict(tuple(better), judged, refuted, sentence)


def promising_of(history: History, front: Sequence[str]) -> list[str]:
    """Those of the front that are better than the baseline beyond noise by validation, the best first."""
    judged = _promising(history, front, _validation(history))
    better = [one for one in judged.values() if one.better]
    return [one.id for one in _best_first(better, history.directions)]


def _promising(history: History, front: Iterable[str], validation: Evidence) -> dict[str, Judged]:
    """By validation, each alone: who is worth a closer look, which is no claim yet."""
    return _judged(history, front, {VALIDATION: validation}, 1)


def _near_chance(history: History, known: Mapping[str, Evidence]) -> Mapping[str, float]:
    """The objectives in which the baseline is near chance, with what guesses reach there."""
    seed = known[VALIDATION].get(SEED_ID)
    return near_chance(seed, history.chance) if seed else {}


def _tells(one: Judged, near: Mapping[str, float]) -> bool:
    """Whether it says something to be as good as the baseline: not where that is near chance, unless it is
    better just there."""
    return not near or any(one.signs[name] > 0 for name in near)


def _lost_again(history: History) -> set[str]:
    """Those that trainings with further random seeds show to be worse in validation than the baseline."""
    means = {name: mean for name, (_, mean) in mean_scores(history, "validation").items()}
    if SEED_ID not in means:
        return set()
    baseline, tolerances = means[SEED_ID], history.tolerances
    directions = history.directions.items()
    return {
        name
        for name, child in means.items()
        if not all(as_good(child, baseline, one, direction, tolerances) for one, direction in directions)
    }


def _validation(history: History) -> Evidence:
    """Of all but the seed model without what reports show: of a large run there are many."""
    return {
        identity: one if identity == SEED_ID else Scored(one.objectives, {}, one.errors)
        for identity, _, one in history.scored()
    }


def _evidence(history: History) -> Mapping[str, Evidence]:
    """By the words for it, the best kind of figures first. Where no test figure differs from validation's,
    nothing was tested, and trainings with further random seeds count by validation."""
    validation = _validation(history)
    tests = {name: one for name, one in history.test_outcomes().items() if isinstance(one, Scored)}
    both = [(one, validation[name]) for name, one in tests.items() if name in validation]
    tested = any(one.objectives != other.objectives for one, other in both)
    found: dict[str, Evidence] = {TEST: tests} if tested else {}
    again = mean_scores(history, "test" if tested else "validation")
    if again:
        seeds = min(count for count, _ in again.values())
        split = TEST if tested else VALIDATION
        basis = f"{split}, trained again with {seeds} further random seed{'s' if seeds > 1 else ''}"
        found = {basis: {name: mean for name, (_, mean) in again.items()}} | found
    return found | {VALIDATION: validation}


def _from_scratch(history: History, known: Mapping[str, Evidence]) -> Mapping[str, Evidence]:
    """The figures of trainings like the seed model's, which alone a claim rests on: at the end of a run that
    inherits, finalists are trained from scratch for the test split."""
    if not history.config.inherit:
        return known
    return {basis: figures for basis, figures in known.items() if basis != VALIDATION}


def _judged(
    history: History,
    front: Iterable[str],
    known: Mapping[str, Evidence],
    comparisons: int | None = None,
) -> dict[str, Judged]:
    """The children of the front, each by the best kind of figures that it and the seed model have. By default
    each is one of as many comparisons as children have such figures."""
    directions, tolerances = history.directions, history.tolerances
    found = {}
    for name in front:
        for basis, figures in known.items():
            if name != SEED_ID and name in figures and SEED_ID in figures:
                child, baseline = figures[name], figures[SEED_ID]
                among = comparisons or len(figures) - 1
                signs = beyond_noise(child, baseline, directions, among, tolerances)
                better = clearly_better(child, baseline, directions, among, tolerances)
                found[name] = Judged(name, child, baseline, basis, signs, better, directions, tolerances)
                break
    return found


def _best_first(judged: Sequence[Judged], directions: Mapping[str, Direction]) -> list[Judged]:
    """By the clear improvement in the first objective, then in the next ones, as shares of the baseline's
    figure."""

    def gains(one: Judged) -> tuple[float, ...]:
        return tuple(
            advantage(one.child.objectives[name], one.baseline.objectives[name], direction)
            / (abs(one.baseline.objectives[name]) or 1.0)
            if one.signs[name] > 0
            else 0.0
            for name, direction in directions.items()
        )

    return sorted(judged, key=gains, reverse=True)


def _sentence(
    better: Sequence[Judged],
    costly: Sequence[Judged],
    history: History,
    known: Mapping[str, Evidence],
    near: Mapping[str, float],
) -> str:
    """`costly` are better in the first objective and worse in another."""
    if SEED_ID not in known[VALIDATION]:
        return "The baseline has no score yet."
    basis, figures = next(
        (pair for pair in known.items() if SEED_ID in pair[1] and len(pair[1]) > 1),
        (VALIDATION, known[VALIDATION]),
    )
    if len(figures) == 1:
        rejected = ", ".join(
            counted_rejections(count, stage) for stage, count in history.rejections().items()
        )
        return f"No child was scored{rejected and f': {rejected}'}."
    seed, notations = figures[SEED_ID], history.notations
    noise = " beyond noise" if seed.errors else ""
    if near and not better:
        levels = ", ".join(notations[name].value(level) for name, level in near.items())
        return (
            f"No child can be told from the baseline, which is near chance ({levels}): train more with "
            "--epochs, or differently with --lr and --optimizer."
        )
    if not better:
        told = f"No child beats the baseline{noise}{_grain(basis, seed, notations)}."
        trade = f" A trade-off: {costly[0].id}, {costly[0].in_words(notations)}." if costly else ""
        return told + trade
    count = "1 child is" if len(better) == 1 else f"{len(better)} children are"
    told = f"{count} better than the baseline{noise}; best: {better[0].id}, {better[0].in_words(notations)}"
    unknown = "" if seed.errors else "; the errors of these figures are not known"
    return f"{told} (by {better[0].basis}{unknown})."


def _grain(basis: str, seed: Scored, notations: Notations) -> str:
    """How much one image is of a share, where the number of images is known."""
    images = seed.details.get("images")
    shares = [one for name, one in notations.items() if one.is_share and name in seed.errors]
    if not isinstance(images, int) or images < 1 or not shares:
        return ""
    return f": {basis.partition(',')[0]} has {images:,} images, one is {shares[0].value(1 / images)}"


def _change(name: str, notation: Notation, old: float, new: float) -> str:
    """ "63 % fewer parameters"."""
    if not old or notation.is_share:
        return f"{name} {notation.measured(new)}"
    share = 100 * abs(new / old - 1)
    counts = not notation.unit and float(old).is_integer() and float(new).is_integer()
    how = "more" if new > old else "fewer" if counts else "less"
    return f"{share:.{0 if share >= 1 else 1}f} % {how} {name.replace('_', ' ')}"
