"""What the user says of the problem: a text, or the file that holds it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ge_engine.errors import ConfigError

FILE_NAME = re.compile(r"\S+\.(txt|md|rst)")


def read_instructions(given: str) -> str:
    """`given`, or the text of the file that it names.

    Raises:
        ConfigError: a file that is not there, cannot be read or holds no text.
    """
    if not os.path.isfile(given):
        if FILE_NAME.fullmatch(given):
            raise ConfigError(
                f"There is no file {given!r} with instructions.",
                "Check its path, or give the text itself: --instructions 'Boxes are rare; ...'.",
            )
        return given
    try:
        text = Path(given).read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"The instructions {given} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The instructions {given} are no text in UTF-8: {error}.") from error
    if not text:
        raise ConfigError(
            f"The file {given} with instructions is empty.", "Write what the model should know."
        )
    return text
