"""What a form of answer is shown of a prompt's blocks: of those of one file that file alone, within which
addresses carry no file; and back."""

from __future__ import annotations

from typing import Any

from ge_engine.contracts import Prompt, Target
from ge_engine.genome import Genome
from ge_engine.outcome import Rejected
from ge_engine.patch import AnyPatch, JointPatch, Patch
from ge_engine.source.addresses import files_of, split_address
from ge_engine.source.patches import in_file


def target_of(genome: Genome, prompt: Prompt, **more: Any) -> Target:
    """What the reply to a prompt may rewrite; blocks of several files keep their addresses. `more` are other
    fields of the target."""
    addresses = _addresses(prompt)
    if len(files_of(addresses)) != 1:
        return Target(genome, prompt.address, addresses=prompt.addresses, **more)
    one, _ = genome.at(addresses[0])
    within = tuple(split_address(address)[1] for address in prompt.addresses)
    return Target(one, split_address(prompt.address)[1], addresses=within, **more)


def of_target(prompt: Prompt, patch: AnyPatch | Rejected) -> AnyPatch | Rejected:
    """The patch that an answer means, with the addresses of the prompt's genome."""
    files = files_of(_addresses(prompt))
    if isinstance(patch, Rejected) or len(files) != 1:
        return patch
    moved = tuple(in_file(one, files[0]) for one in patch.patches)
    return moved[0] if isinstance(patch, Patch) else JointPatch(moved)


def _addresses(prompt: Prompt) -> tuple[str, ...]:
    return (prompt.address,) if prompt.address else prompt.addresses
