"""What a task asks of a network, and what its probe finds."""

from __future__ import annotations

from dataclasses import dataclass, field

from ge_engine.profile import ModuleProfile


@dataclass(frozen=True, slots=True)
class TaskShape:
    """What the task asks of a network: images (n, channels, size, size) in, logits (n, classes) out."""

    channels: int
    size: int
    classes: int

    @property
    def batch(self) -> int:
        """Enough images that batch normalisation of a 1x1 map passes gradients; fewer when large."""
        return 8 if self.size <= 64 else 4


@dataclass(slots=True)
class ProbeFindings:
    """A probe in the making. `stage` names the step that runs now and stays where an error stops it."""

    stage: str = "import"
    error: str = ""
    output_shape: tuple[int, ...] = ()
    finite: bool = True
    without_gradient: set[str] = field(default_factory=set)
    unregistered: list[str] = field(default_factory=list)
    executed: set[str] = field(default_factory=set)
    facts: dict[str, float] = field(default_factory=dict)
    class_parameters: dict[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    graph: str = ""
    modules: list[ModuleProfile] = field(default_factory=list)
