"""What a run database holds besides times: equal for two runs that did the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ge_engine.ledger.records import from_json

CONTENT: Mapping[str, str] = {
    "seed": "SELECT source FROM seed",
    "calls": "SELECT key, individual, generation, system, user, address, grammar_asked, intent, temperature,"
    " max_tokens, seed, text, finish, prompt_tokens, completion_tokens, model, error, digest, grammar,"
    " canonical FROM calls",
    "individuals": "SELECT id, generation, slot, parents, steps, digest, fingerprint, delta, stage, reason,"
    " island FROM individuals",
    "scores": "SELECT digest, split, seed, epochs, promoted, outcome FROM scores",
    "generations": "SELECT generation, size, finished FROM generations",
    "survivors": "SELECT generation, rank, id, island FROM survivors",
    "moves": "SELECT generation, rank, id, source, target FROM moves",
    "fronts": "SELECT generation, rank, id FROM fronts",
    "merged": "SELECT generation, rank, id FROM merged",
    "hand_made": "SELECT generation, slot, delta, note FROM hand_made",
    "parts": "SELECT number, versions, others, checks FROM parts",
}


PLACE = {"host", "processor"}
"""The details of a score that say where it is from."""


def content_of(query: Callable[[str], list[Any]]) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table, sorted; of a score's details only the names, since they hold times, without
    that of the machine that it is from."""
    tables = {table: sorted(query(sql), key=repr) for table, sql in CONTENT.items()}
    tables["scores"] = [(*key, _untimed(outcome)) for *key, outcome in tables["scores"]]
    return tables


def _untimed(outcome: str) -> Any:
    data = from_json(outcome)
    return {
        name: sorted(value.keys() - PLACE) if name == "details" else value for name, value in data.items()
    }
