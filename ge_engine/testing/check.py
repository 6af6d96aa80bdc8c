"""What every check promises: a verdict with a reason that can be acted on, and no side effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ge_engine.contracts import Candidate, Check
from ge_engine.outcome import Rejected
from ge_engine.testing.material import SOURCES, candidate, changed, genome_of, probe_of
from ge_engine.testing.watching import assert_is_a_name, no_global_randomness, no_io

Edit = tuple[str, str]
HARMLESS: tuple[Edit, ...] = (("nn.ReLU()", "nn.SiLU()"), ("kernel_size=3, padding=1", "kernel_size=1"))
ODD: dict[str, Edit] = {
    "braces, fences and non-ASCII": ("len(note) * 0", 'len(f"{note}%s") * 0'),
    "CRLF and tabs": ("momentum=0.9", "momentum=0.8"),
    "one function": ("x * 2", "x * 3"),
}


class CheckContract:
    """Override `check`, and give `accepts` and `rejects`: edits of the seed model in
    `testing.material.PLAIN`, each as (old text, new text). What a check accepts and rejects is its
    documentation."""

    accepts: Sequence[Edit] = HARMLESS
    rejects: Sequence[Edit] = ()

    @pytest.fixture
    def check(self) -> Check:
        raise NotImplementedError("give the fixture `check`")

    def candidate(self, edit: Edit, source: str = "plain", seen: str | None = None) -> Candidate:
        """The seed model called `source` with one edit; `seen` is the id of a twin that the run has
        already."""
        parent = genome_of(source)
        child, patch = changed(parent, *edit)
        return candidate(child, parent, patch, probe_of(child), lambda _: seen)

    def judged(self, check: Check, about: Candidate) -> Rejected | None:
        return check.check(replace(about, probe=None) if check.kind == "static" else about)

    def test_it_has_a_name_a_kind_and_an_order(self, check: Check) -> None:
        assert_is_a_name(check.name)
        assert check.kind in ("static", "probe")
        assert isinstance(check.order, int)

    def test_it_accepts_what_it_says(self, check: Check) -> None:
        for edit in self.accepts:
            assert self.judged(check, self.candidate(edit)) is None, edit

    def test_it_rejects_what_it_says(self, check: Check) -> None:
        for edit in self.rejects:
            assert isinstance(self.judged(check, self.candidate(edit)), Rejected), edit

    def test_a_rejection_has_a_stage_and_a_reason_to_act_on(self, check: Check) -> None:
        for edit in (*self.rejects, *HARMLESS):
            verdict = self.judged(check, self.candidate(edit))
            if verdict is not None:
                assert verdict.stage.strip()
                assert len(verdict.reason.split()) >= 3, f"{verdict.reason!r} says too little"
                assert "\n" not in verdict.reason.strip(), "a reason is one line"

    @pytest.mark.parametrize("source", sorted(ODD))
    def test_no_seed_makes_it_raise(self, check: Check, source: str) -> None:
        verdict = self.judged(check, self.candidate(ODD[source], source))
        assert verdict is None or isinstance(verdict, Rejected)

    @pytest.mark.parametrize("stage", ["", "import", "build", "meta", "forward", "backward", "optimizer"])
    def test_no_probe_makes_it_raise(self, check: Check, stage: str) -> None:
        about = self.candidate(HARMLESS[0])
        assert about.probe is not None
        probe = replace(
            about.probe,
            stage=stage,
            error="RuntimeError: {x} %s" if stage else "",
            output_shape=(),
            finite=False,
            facts={},
            executed=frozenset(),
            fingerprint="",
        )
        verdict = self.judged(check, replace(about, probe=probe))
        assert verdict is None or isinstance(verdict, Rejected)

    def test_it_says_the_same_each_time(self, check: Check) -> None:
        for edit in (*self.rejects, *HARMLESS):
            assert self.judged(check, self.candidate(edit)) == self.judged(check, self.candidate(edit))

    def test_it_says_the_same_of_all_line_ends_and_indents(self, check: Check) -> None:
        """The verdict on a change does not depend on how the file is laid out."""
        for edit in (*self.rejects, *HARMLESS):
            if "\n" not in edit[0] + edit[1]:
                plain = self.judged(check, self.candidate(edit))
                other = self.judged(check, self.candidate(edit, "CRLF and tabs"))
                assert (plain is None) == (other is None), edit

    def test_a_twin_in_the_run_makes_no_difference_or_is_named(self, check: Check) -> None:
        verdict = self.judged(check, self.candidate(HARMLESS[0], seen="g7s3"))
        alone = self.judged(check, self.candidate(HARMLESS[0]))
        assert verdict == alone or (verdict is not None and "g7s3" in verdict.reason)

    def test_it_leaves_the_candidate_as_it_is(self, check: Check) -> None:
        about = self.candidate(HARMLESS[0])
        before = (about.genome.source, about.parent.source, about.patch, about.probe)
        self.judged(check, about)
        assert (about.genome.source, about.parent.source, about.patch, about.probe) == before

    def test_it_uses_no_random_numbers(self, check: Check) -> None:
        with no_global_randomness():
            self.judged(check, self.candidate(HARMLESS[0]))

    def test_it_does_no_input_or_output(self, check: Check) -> None:
        about = self.candidate(HARMLESS[0])
        self.judged(check, about)
        with no_io():
            self.judged(check, about)

    def test_every_seed_of_the_contract_is_covered(self) -> None:
        assert {"plain", *ODD} == set(SOURCES)
