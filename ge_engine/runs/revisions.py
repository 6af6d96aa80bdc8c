"""A file of a revision, as `git show` takes it: `HEAD~2:model.py`, `main:./model.py`, `:model.py`."""

from __future__ import annotations

from pathlib import Path

from ge_engine.runs.git import GitError, ask_git

UNLIKE = "it begins with a dash"


def revision_of(reference: str) -> bytes | None:
    """The file as it stands in the revision, in the repository of the present folder or the environment, as
    git takes it; None where there is none."""
    try:
        return _read(reference)
    except GitError:
        return None


def why_no_revision(reference: str) -> str:
    """What git says of a reference that `revision_of` does not find."""
    try:
        _read(reference)
    except GitError as error:
        return error.message.rstrip(".")
    return ""


def _read(reference: str) -> bytes:
    if reference.startswith("-") or "\0" in reference:
        raise GitError(UNLIKE)
    return ask_git(Path.cwd(), "cat-file", "blob", "--end-of-options", reference)
