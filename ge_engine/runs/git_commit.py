"""Puts a change on a branch of its own, past working tree, index and current branch."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ge_engine.errors import ConfigError
from ge_engine.runs.changed_files import ChangedFile, places_below
from ge_engine.runs.git import REGULAR, WITHOUT_HOOKS, Entry, GitError, Repository
from ge_engine.runs.git_patch import git_patch

CONFIGURED = ("-c", "user.useConfigOnly=true")
"""The user's identity, and none that git makes of the names of user and machine."""
FRESH = "100644"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that `branch` of the repository at `root` ends in."""

    root: Path
    branch: str
    commit: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """A changed file at its path in a repository, the entry that HEAD has there, and how git takes it in."""

    changed: ChangedFile
    path: str
    entry: Entry | None
    options: tuple[str, ...]

    def line(self, repository: Repository, data: bytes) -> bytes:
        """A line for `git update-index --index-info` that puts `data` there."""
        blob = repository.name("hash-object", "-w", *self.options, "--stdin", given=data)
        mode = self.entry.mode if self.entry else FRESH
        return f"{mode} {blob}\t".encode() + self.path.encode("utf-8", "surrogateescape") + b"\0"


def commit_changes(changed: Sequence[ChangedFile], message: str, branch: str, standing: Path) -> Commit:
    """Commit the change on top of HEAD as the new `branch`. Where HEAD has no commit, what the run read is
    committed before. `standing` is the user's folder, a real path.

    Raises:
        ConfigError: no repository or another than the user's, a branch that exists or has no possible name,
            no identity, or files that HEAD has otherwise than the run read them.
    """
    repository = Repository.of(changed[0].real_path, standing)
    _require_free(repository, branch)
    _require_identity(repository)
    places = [_place(repository, one) for one in changed]
    with repository.with_index_of_head() as other:
        parent = repository.name("rev-parse", "HEAD") if repository.holds_commit() else ""
        if not parent:
            parent = _commit(other, [p.line(other, p.changed.before) for p in places], _BEGUN, "")
        commit = _commit(other, [p.line(other, p.changed.after) for p in places], message, parent)
    try:
        repository.ask("update-ref", "-m", "ge export", f"refs/heads/{branch}", commit, "")
    except GitError as error:
        raise GitError(
            f"git makes no branch {branch}: {error.message}.", "Name another with --branch NAME."
        ) from error
    return Commit(repository.root, branch, commit, tuple(place.path for place in places))


_BEGUN = "The files as the run read them\n"


def branch_of(run: Path, identity: str) -> str:
    """The usual name of an individual's branch: its run's folder and its id, as git takes them."""
    name = re.sub(r"[^\w-]+", "-", f"{run.absolute().name}-{identity}").strip("-")
    return f"ge/{name[:100]}"


def _commit(repository: Repository, lines: Sequence[bytes], message: str, parent: str) -> str:
    repository.ask(*WITHOUT_HOOKS, "update-index", "-z", "--index-info", given=b"".join(lines))
    tree = repository.name(*WITHOUT_HOOKS, "write-tree", "--missing-ok")
    words = ("-c", "i18n.commitEncoding=UTF-8", *CONFIGURED, "commit-tree", tree)
    return repository.name(*words, *(("-p", parent) if parent else ()), given=message.encode())


def _require_free(repository: Repository, branch: str) -> None:
    """Raises ConfigError: git takes no branch of this name, or has one."""
    reference = f"refs/heads/{branch}"
    try:
        repository.ask("check-ref-format", reference)
        possible = not branch.startswith("-") and branch != "HEAD"
    except GitError:
        possible = False
    if not possible:
        raise ConfigError(f"{branch!r} can be no branch of git.", "For example --branch wider-head.")
    try:
        repository.ask("show-ref", "--verify", "--quiet", reference)
    except GitError:
        return
    raise ConfigError(
        f"The branch {branch} exists in {repository.root}.", "Name another with --branch NAME, or delete it."
    )


def _require_identity(repository: Repository) -> None:
    try:
        for one in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
            repository.ask(*CONFIGURED, "var", one)
    except GitError as error:
        raise ConfigError(
            "Git does not know who you are, so that the commit would have no author.",
            "Tell it with git config --global user.name NAME and git config --global user.email ADDRESS.",
        ) from error


def _place(repository: Repository, changed: ChangedFile) -> _Place:
    """Where HEAD has what the run read. Raises ConfigError: nowhere."""
    paths = [str(path) for path in places_below(changed.real_path, repository.root)]
    if not repository.holds_commit():
        return _Place(changed, paths[0], None, (f"--path={paths[0]}",))
    entries = [(path, entry) for path in paths if (entry := repository.entry(path))]
    if entries and entries[0][0] == paths[0]:
        del entries[1:]
    for path, entry in entries:
        options = repository.conversion(path, changed.before, entry) if entry.mode in REGULAR else None
        if options is not None:
            return _Place(changed, path, entry, options)
    raise _refusal(repository, changed, *(entries[0] if entries else (paths[0], None)))


def _refusal(repository: Repository, changed: ChangedFile, path: str, entry: Entry | None) -> ConfigError:
    """Says how far HEAD is from what the run read, and whether the patch applies all the same."""
    if entry is None or entry.mode not in REGULAR:
        return ConfigError(
            f"The last commit of {repository.root} has no file {path}, which the run read.",
            "Commit it as the run read it, or write the change with --patch.",
        )
    then, now = changed.before, repository.ask("cat-file", "blob", entry.blob)
    come, gone = _counted(then.splitlines(), now.splitlines())
    message = (
        f"{path} is not at HEAD of {repository.root} as the run read it: since then {come} lines have come "
        f"and {gone} have gone"
    )
    if _applies(repository, git_patch(then, changed.after, PurePosixPath(path))):
        return ConfigError(
            f"{message}; the change applies all the same.", "Write it with --patch, and use git apply."
        )
    return ConfigError(
        f"{message}, and the patch does not apply.",
        "Check out the commit that the run read, or begin a run with the file as it is now.",
    )


def _counted(then: Sequence[bytes], now: Sequence[bytes]) -> tuple[int, int]:
    """How many lines `now` has more, and how many less."""
    matcher = difflib.SequenceMatcher(None, then, now, autojunk=False)
    same = sum(match.size for match in matcher.get_matching_blocks())
    return len(now) - same, len(then) - same


def _applies(repository: Repository, patch: bytes) -> bool:
    with repository.with_index_of_head() as other:
        try:
            other.ask(*WITHOUT_HOOKS, "apply", "--cached", "--check", "-", given=patch)
        except GitError:
            return False
    return True
