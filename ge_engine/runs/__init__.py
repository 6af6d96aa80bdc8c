"""A run as Python sees it: its individuals by name, their changes and lineage, its export."""

from ge_engine.runs.run import Run
from ge_engine.runs.trained import TrainedModel
from ge_engine.runs.values import Blocks, Changes

__all__ = ["Blocks", "Changes", "Run", "TrainedModel"]
