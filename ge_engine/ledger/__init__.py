"""The record of a run: written before it is acted on, read by everything else."""

from ge_engine.ledger.database import exists
from ge_engine.ledger.history import GenerationRecord, History, read_replies
from ge_engine.ledger.rows import ChildRecord
from ge_engine.ledger.writer import Ledger

__all__ = ["ChildRecord", "GenerationRecord", "History", "Ledger", "exists", "read_replies"]
