"""Calls of git: without a shell, and in the repository of a folder, whatever one the environment names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ge_engine.errors import ConfigError

LONGEST = 500
"""Characters of what git says that a message repeats."""
OF_A_REPOSITORY = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"),
    *("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_NAMESPACE", "GIT_IMPLICIT_WORK_TREE"),
    *("GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE"),
    *("GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"),
)
"""Variables that choose another repository than that of the folder, or part of one, as in a hook of git."""
WITHOUT_HOOKS = (
    *("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false"),
    *("-c", "core.splitIndex=false", "-c", "index.sparse=false"),
)
REGULAR = ("100644", "100755")


class GitError(ConfigError):
    """Git is not there or refuses."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a commit."""

    mode: str
    blob: str


def ask_git(
    folder: Path, *words: str, given: bytes = b"", environment: Mapping[str, str] | None = None
) -> bytes:
    """What `git WORDS` prints in `folder`. Raises GitError with git's own words."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, env=environment, input=given, capture_output=True, check=False
        )
    except OSError as error:
        raise GitError(f"git cannot be started: {error.strerror}.", "Install git.") from error
    if done.returncode:
        raise GitError(_said(done.stderr) or f"git ends with exit code {done.returncode}")
    return done.stdout


def _said(stderr: bytes) -> str:
    """Git's complaint in one line."""
    text = " ".join(stderr.decode("utf-8", "replace").split())
    for word in ("fatal: ", "error: "):
        text = text.removeprefix(word)
    return text[:LONGEST]


def _surroundings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in OF_A_REPOSITORY}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository with a working tree at `root`. `index` stands for its index where it is given. Paths are
    those in the repository. Every call raises GitError where git refuses."""

    root: Path
    index: Path | None = None
    surroundings: Mapping[str, str] = field(default_factory=_surroundings, repr=False)

    @classmethod
    def of(cls, file: Path, standing: Path) -> Repository:
        """That of `file`, a real path, which need not be there. Git runs programs that a repository names, so
        it has to be the one that the user is `standing` in, or a submodule of that.

        Raises:
            GitError: there is none, or it is another.
        """
        folder = next(one for one in (*file.parents, Path(file.anchor)) if os.path.isdir(one))
        found = _printed_path(_ask_outside(folder, "rev-parse", "--show-toplevel"))
        if found is None:
            raise GitError(f"{file} stands in no working tree of git.", "Write the change with --patch.")
        root = Path(os.path.realpath(found))
        around = _printed_path(_ask_outside(root, "rev-parse", "--show-superproject-working-tree"))
        if not any(standing.is_relative_to(one) for one in (root, *([around] if around else []))):
            raise GitError(
                f"{file} stands in the repository {root}, and you in another folder, {standing}.",
                "Go to that repository and name the run from there.",
            )
        return cls(root)

    def ask(self, *words: str, given: bytes = b"") -> bytes:
        index = {"GIT_INDEX_FILE": str(self.index)} if self.index else {}
        return ask_git(self.root, *words, given=given, environment={**self.surroundings, **index})

    def name(self, *words: str, given: bytes = b"") -> str:
        """What a command prints as one line: an object or a name."""
        return os.fsdecode(self.ask(*words, given=given).removesuffix(b"\n"))

    def holds_commit(self) -> bool:
        """Whether HEAD is a commit; not so on a branch without one."""
        try:
            self.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        except GitError:
            return False
        return True

    def entry(self, path: str) -> Entry | None:
        """The entry of HEAD at `path`, whatever it is; None where there is none."""
        if not self.holds_commit():
            return None
        listed = self.ask("--literal-pathspecs", "ls-tree", "-z", "--full-tree", "HEAD", "--", path)
        head, tab, _ = listed.partition(b"\0")[0].partition(b"\t")
        if not tab:
            return None
        mode, _, blob = head.decode().split()
        return Entry(mode, blob)

    def conversion(self, path: str, data: bytes, entry: Entry) -> tuple[str, ...] | None:
        """The options of `git hash-object` by which `data` is the blob of `entry`: as it is, or as git would
        take it in at `path`, with line ends and filters; None where it is another."""
        for options in (("--no-filters",), (f"--path={path}",)):
            if self.name("hash-object", *options, "--stdin", given=data) == entry.blob:
                return options
        return None

    @contextmanager
    def with_index_of_head(self) -> Iterator[Repository]:
        """This repository with an index of its own, which holds what HEAD does; the user's is not read."""
        with TemporaryDirectory(prefix="ge-index-") as folder:
            other = replace(self, index=Path(folder, "index"))
            tree = "HEAD" if self.holds_commit() else "--empty"
            other.ask(*WITHOUT_HOOKS, "read-tree", tree)
            yield other


def _ask_outside(folder: Path, *words: str) -> bytes:
    try:
        return ask_git(folder, *words, environment=_surroundings())
    except GitError as error:
        raise GitError(
            f"There is no repository of git in {folder}: {error.message}.", "Write the change with --patch."
        ) from error


def _printed_path(printed: bytes) -> Path | None:
    return Path(os.fsdecode(printed.removesuffix(b"\n"))) if printed.strip() else None
