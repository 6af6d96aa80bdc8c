"""Weights of trained networks in a run's folder, and what else a network needs to answer an image."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ge_engine.atomic_file import write_whole
from ge_engine.contracts import Job
from ge_engine.errors import ConfigError, LedgerError
from ge_engine.evaluation.model_code import ALONE, CODE, ModelCode
from ge_engine.evaluation.protocol import claims
from ge_engine.evaluation.protocol.plain_file import read_plain

SUFFIX = ".safetensors"
PREPROCESSING = "preprocessing.json"
FOLDER = "weights"
"""In a run's scratch folder."""
ROOM_ASIDE = 4 * 2**20
"""Bytes of a file of weights besides the weights: the names, types and shapes of tensors."""
WEIGHTS_LIMIT = 2 * 2**30
FOLDER_LIMIT = 8 * 2**30


_OF_MODULES = frozenset(("module", "folder"))


class BadWeights(Exception):
    """Bytes that are no file of weights."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes a network's input, and its answer a class.

    `entry` is the expression that builds the network. Images of `height` x `width` pixels in `channels`
    channels, uint8, are normalised by `mean` and `std` of each channel (on the scale 0..255), then brought to
    `size` pixels a side. `classes` are the names of the answers in their order. `module` is the dotted name
    of the module that builds the network, "" for that of a file alone, and `folder` that of the modules among
    the files, "" where it is the outermost.
    """

    entry: str
    channels: int
    height: int
    width: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    module: str = ""
    folder: str = ""

    def as_json(self) -> bytes:
        held = {name: value for name, value in asdict(self).items() if value or name not in _OF_MODULES}
        return (json.dumps(held, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Preprocessing:
        """Raises ValueError or TypeError: it is none."""
        held = claims.parsed(data)
        if held.keys() | _OF_MODULES != cls.__dataclass_fields__.keys():
            raise ValueError("other fields than those of a preprocessing")
        values: dict[str, Any] = {
            name: claims.count(held[name]) for name in ("channels", "height", "width", "size")
        }
        values |= {name: tuple(map(claims.number, _listed(held[name]))) for name in ("mean", "std")}
        values |= {"entry": claims.text(held["entry"])}
        values |= {name: claims.text(held.get(name, "")) for name in _OF_MODULES}
        return cls(classes=tuple(map(claims.text, _listed(held["classes"]))), **values)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a list expected")
    return value


def checked_weights(data: bytes) -> bytes:
    """`data`, a worker's or another's word, as a file of the tensors that it holds and of nothing else.

    Raises:
        BadWeights: it is no such file, or empty: they did not fit, or are of a type that none holds.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load, save

    if not data:
        raise BadWeights("there are none, or more than such a network can have")
    try:
        return save(load(data))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise BadWeights(claims.text(str(error), 200)) from error


class KeptWeights:
    """Files in a folder, one for each genome; `keep` says whose: "finalists", "all" or "none". They take no
    more than `limit` bytes in all: what comes later is left out, and that is said."""

    def __init__(
        self,
        folder: Path,
        keep: str,
        random_seed: int,
        preprocessing: Preprocessing,
        code: ModelCode = ALONE,
        limit: int = FOLDER_LIMIT,
    ) -> None:
        self._folder, self._keep, self._limit = folder, keep, limit
        self._random_seed = random_seed
        self.preprocessing, self.code = preprocessing, code

    def wants(self, job: Job) -> bool:
        """Whether the weights that `job` ends with are kept: of the run's own random seed alone."""
        whole = job.split == "test" or (self._keep == "all" and job.split == "validation" and not job.epochs)
        return self._keep != "none" and whole and job.rng_seed == self._random_seed

    def put(self, key: str, digest: str, data: bytes) -> None:
        """Keep the weights of a genome. What stands against that costs the weights alone, and is said on
        standard error; `key` names the individual there."""
        try:
            self._write(digest, checked_weights(data))
        except (BadWeights, ConfigError, OSError) as error:
            print(f"The weights of {key} are not kept: {str(error).rstrip('.')}.", file=sys.stderr)

    def _write(self, digest: str, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{digest}{SUFFIX}"
        others = sum(one.stat().st_size for one in self._folder.glob(f"*{SUFFIX}") if one != path)
        if others + len(data) > self._limit:
            raise BadWeights(f"those in {self._folder} take {others / 2**30:.1f} GiB already")
        write_whole(self._folder / PREPROCESSING, self.preprocessing.as_json(), "")
        write_whole(self._folder / CODE, self.code.as_json(), "")
        write_whole(path, data, "")


def room_for_weights(size_on_disk: float) -> int:
    """The most bytes that the weights of a network may take as a file."""
    return min(WEIGHTS_LIMIT, ROOM_ASIDE + int(size_on_disk))


def kept_weights(scratch: Path, digest: str) -> tuple[bytes, Preprocessing] | None:
    """What a run kept of a genome; None where it did not. The folder may be somebody else's: what it holds is
    read as data.

    Raises:
        LedgerError: the files are damaged.
    """
    folder = scratch / FOLDER
    try:
        found = (
            read_plain(folder / f"{digest}{SUFFIX}", WEIGHTS_LIMIT),
            read_plain(folder / PREPROCESSING, WEIGHTS_LIMIT),
        )
        return checked_weights(found[0]), Preprocessing.from_json(found[1])
    except FileNotFoundError:
        return None
    except (OSError, BadWeights, ValueError, TypeError) as error:
        raise _unreadable("weights", folder, error) from error


def kept_code(scratch: Path) -> ModelCode:
    """The code around the evolved files that a run kept with weights; that of a file alone where it kept
    none, as earlier versions did. It is read as data, too.

    Raises:
        LedgerError: the file is damaged.
    """
    folder = scratch / FOLDER
    try:
        return ModelCode.from_json(read_plain(folder / CODE, WEIGHTS_LIMIT))
    except FileNotFoundError:
        return ALONE
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable("modules", folder, error) from error


def _unreadable(what: str, folder: Path, error: Exception) -> LedgerError:
    return LedgerError(
        f"The {what} in {folder} cannot be read: {str(error).rstrip('.')}.",
        "Train the individual anew with `ge train`.",
    )
