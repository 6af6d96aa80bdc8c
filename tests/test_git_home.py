"""Changes go home: `ge export --into` and `--commit` put them where they belong, and lose nothing there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import doubles
import pytest
from conftest import Ge
from homes import PLACE, Home, Made, begin, git, home_of, made_run, set_path
from hypothesis import given, settings
from hypothesis import strategies as st
from test_git_patch import NAMES, TEXTS

from ge_engine.errors import ConfigError
from ge_engine.runs.changed_files import ChangedFile
from ge_engine.runs.git_commit import commit_changes
from ge_engine.runs.git_patch import GitPatch
from ge_engine.runs.into_folder import write_into

ODD_NAMES = ["my model.py", 'it\'s "mine".py', "mödel.py", "a\nb.py", "-x.py", "a,b\t.py"]
MINE = b"# mine, in no commit\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_run(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git without the settings of this machine's user."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)


@pytest.fixture
def loose(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A project without git."""
    home = home_of(made, tmp_path / "project")
    monkeypatch.chdir(home.root)
    return home


@pytest.fixture
def home(loose: Home) -> Home:
    begin(loose.root)
    return loose


def head(root: Path) -> bytes:
    return git(root, "rev-parse", "HEAD")


def at(root: Path, revision: str, place: str = PLACE) -> bytes:
    return git(root, "cat-file", "blob", f"{revision}:{place}")


# --- into -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", [".", "src", "src/nets"])
def test_a_file_that_comes_home_as_another(home: Home, below: str, ge: Ge) -> None:
    home.file.chmod(0o755)
    index = (home.root / ".git" / "index").read_bytes()
    code, said, err = ge("export", home.individual, "--into", home.root / below)
    assert code == 0, err
    assert str(home.file) in said
    assert home.file.read_bytes() == home.wanted
    assert stat.S_IMODE(home.file.stat().st_mode) == 0o755
    assert (home.root / ".git" / "index").read_bytes() == index
    assert os.listdir(home.file.parent) == ["model.py"], "nothing else was left there"
    assert ge("export", home.individual, "--into", home.root)[0] == 0, "it is there already"


def edit(home: Home) -> None:
    home.file.write_bytes(doubles.SEED + MINE)


def stage(home: Home) -> None:
    edit(home)
    git(home.root, "add", "-A")


def hide(home: Home) -> None:
    git(home.root, "update-index", "--assume-unchanged", PLACE)
    edit(home)


def behind(home: Home) -> None:
    """The file is what the run read, and HEAD is not."""
    edit(home)
    git(home.root, "commit", "-q", "-a", "-m", "more")
    home.file.write_bytes(doubles.SEED)


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("work", [edit, stage, hide, behind])
def test_work_in_no_commit_that_is_overwritten(
    home: Home, work: Callable[[Home], None], force: tuple[str, ...], ge: Ge
) -> None:
    work(home)
    before = home.file.read_bytes()
    code, _, err = ge("export", home.individual, "--into", home.root, *force)
    assert code == 2
    assert "has changes that are not committed" in err
    assert "git -C" in err
    assert home.file.read_bytes() == before


def test_commits_since_the_run_that_are_undone_unasked(home: Home, ge: Ge) -> None:
    edit(home)
    git(home.root, "commit", "-q", "-a", "-m", "more")
    code, _, err = ge("export", home.individual, "--into", home.root)
    assert code == 2
    assert "is not as the run read it" in err
    assert home.file.read_bytes().endswith(MINE)
    assert ge("export", home.individual, "--into", home.root, "--force")[0] == 0
    assert home.file.read_bytes() == home.wanted
    assert os.listdir(home.file.parent) == ["model.py"], "the commit has the old one"


@pytest.mark.parametrize("ignored", [False, True])
def test_a_file_that_no_commit_has_and_that_is_lost(loose: Home, ignored: bool, ge: Ge) -> None:
    if ignored:
        (loose.root / ".gitignore").write_text("model.py\n")
        begin(loose.root)
    for name in ("model.py.orig", "model.py.orig2"):
        edit(loose)
        code, _, err = ge("export", loose.individual, "--into", loose.root)
        assert code == 2
        assert "--force: a copy of it is kept" in err
        assert loose.file.read_bytes() == doubles.SEED + MINE
        code, said, _ = ge("export", loose.individual, "--into", loose.root, "--force")
        assert code == 0
        assert name in said
        assert loose.file.with_name(name).read_bytes() == doubles.SEED + MINE
        assert loose.file.read_bytes() == loose.wanted


def test_a_file_that_is_not_there(home: Home, ge: Ge) -> None:
    code, _, err = ge("export", home.individual, "--into", home.root / "nowhere")
    assert code == 2
    assert "There is no folder" in err
    home.file.unlink()
    code, _, err = ge("export", home.individual, "--into", home.root)
    assert code == 2
    assert "There is no file" in err
    assert not home.file.exists()
    assert ge("export", home.individual, "--into", home.root, "--force")[0] == 0


def test_another_copy_of_the_project_that_is_not_found(home: Home, tmp_path: Path, ge: Ge) -> None:
    """A clone, and a folder to which the file was moved."""
    git(home.root, "clone", "-q", str(home.root), str(tmp_path / "clone"))
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "model.py").write_bytes(doubles.SEED)
    (tmp_path / "moved" / "src" / "nets").mkdir(parents=True)
    for folder, place in (("clone", PLACE), ("moved", "model.py")):
        code, _, err = ge("export", home.individual, "--into", tmp_path / folder)
        assert code == 0, err
        assert (tmp_path / folder / place).read_bytes() == home.wanted
    assert home.file.read_bytes() == doubles.SEED


# --- out of bounds ----------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize(
    "path", ["../victim.py", "src/../../victim.py", "{outside}", "link/victim.py", "victim-link.py"]
)
def test_a_run_that_writes_outside_the_folder(
    home: Home, tmp_path: Path, path: str, force: tuple[str, ...], ge: Ge
) -> None:
    """A run database that somebody else made, and a victim that is what it says it read."""
    victim = tmp_path / "victim.py"
    victim.write_bytes(doubles.SEED)
    (home.root / "link").symlink_to(tmp_path)
    for name in ("victim.py", "victim-link.py"):
        (home.root / name).symlink_to(victim)
    set_path(home.run, path.replace("{outside}", str(victim)))
    code, _, err = ge("export", home.individual, "--into", home.root, *force)
    assert victim.read_bytes() == doubles.SEED
    assert code == 2 or force, err
    assert set(os.listdir(tmp_path)) == {"project", "demo", "victim.py"}


def test_a_run_that_writes_into_what_belongs_to_git(home: Home, ge: Ge) -> None:
    hook = home.root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes(doubles.SEED)
    for path in (".git/hooks/post-checkout", "src/../.git/hooks/post-checkout"):
        set_path(home.run, path)
        code, _, err = ge("export", home.individual, "--into", home.root, "--force")
        assert code == 2
        assert "belongs to a repository" in err
    assert hook.read_bytes() == doubles.SEED


@pytest.mark.parametrize("path", ["x" * 5000, "/dev/stdin", "/proc/self/mem", "/", ".", "..", "../" * 40])
def test_a_stored_path_that_is_none(home: Home, path: str, ge: Ge) -> None:
    set_path(home.run, path)
    for words in (("--into", home.root), ("--into", home.root, "--force"), ("--commit",)):
        code, _, err = ge("export", home.individual, *words)
        assert code == 2 or "--force" in words
        assert "Traceback" not in err
        assert "fault of ge_engine" not in err


def test_a_repository_that_came_with_a_run_whose_programs_start(home: Home, tmp_path: Path, ge: Ge) -> None:
    """Its attributes name a filter, and its configuration what the filter starts."""
    mark, inner = tmp_path / "started", home.root / "got" / "model.py"
    inner.parent.mkdir()
    inner.write_bytes(doubles.SEED + b"\r\n")
    begin(inner.parent)
    git(inner.parent, "config", "filter.x.clean", f"touch {mark}; cat")
    (inner.parent / ".gitattributes").write_text("*.py filter=x\n")
    set_path(home.run, "got/model.py")
    assert ge("export", home.individual, "--into", home.root)[0] == 2
    code, _, err = ge("export", home.individual, "--commit")
    assert code == 2
    assert "Go to that repository" in err
    assert not mark.exists()


def test_a_link_that_becomes_a_file(home: Home, ge: Ge) -> None:
    link = home.root / "current.py"
    link.symlink_to(PLACE)
    git(home.root, "add", "-A")
    git(home.root, "commit", "-q", "-m", "link")
    set_path(home.run, "current.py")
    code, _, err = ge("export", home.individual, "--commit")
    assert code == 0, err
    assert at(home.root, f"ge/demo-{home.child}") == home.wanted
    assert ge("export", home.individual, "--into", ".")[0] == 0
    assert link.is_symlink()
    assert home.file.read_bytes() == home.wanted


# --- commit -----------------------------------------------------------------------------------------


def test_a_commit_that_touches_what_somebody_works_on(home: Home, ge: Ge) -> None:
    home.file.chmod(0o755)
    (home.root / "other.py").write_text("x = 1\n")
    git(home.root, "add", "-A")
    git(home.root, "commit", "-q", "-m", "more")
    edit(home)
    (home.root / "other.py").write_text("x = 2\n")
    git(home.root, "add", "other.py")
    (home.root / "new.py").write_text("y = 1\n")
    before = head(home.root), git(home.root, "status", "--porcelain"), git(home.root, "branch")
    index = (home.root / ".git" / "index").read_bytes()
    code, said, err = ge("export", home.individual, "--commit")
    assert code == 0, err
    branch = f"ge/demo-{home.child}"
    assert f"git -C {home.root} merge {branch}" in said
    assert (home.root / ".git" / "index").read_bytes() == index
    git(home.root, "rev-parse", "--verify", branch)
    assert git(home.root, "branch", "--show-current") == b"main\n"
    assert head(home.root) == before[0] == git(home.root, "rev-parse", f"{branch}^")
    assert git(home.root, "status", "--porcelain") == before[1]
    assert home.file.read_bytes() == doubles.SEED + MINE
    assert git(home.root, "diff", "--raw", "--abbrev=1", "HEAD", branch).split()[:2] == [
        b":100755",
        b"100755",
    ]
    assert git(home.root, "diff", "--name-only", "HEAD", branch).decode() == f"{PLACE}\n"
    assert at(home.root, branch) == home.wanted
    assert git(home.root, "log", "-1", "--format=%an %ae", branch) == b"Ada a@b.c\n"


def detached(home: Home) -> Path:
    git(home.root, "checkout", "-q", "--detach")
    return home.root


def worktree(home: Home) -> Path:
    other = home.root.parent / "tree"
    git(home.root, "worktree", "add", "-q", str(other))
    return other


def of_a_bare_repository(home: Home) -> Path:
    bare, other = home.root.parent / "bare.git", home.root.parent / "tree"
    git(home.root, "clone", "-q", "--bare", str(home.root), str(bare))
    git(bare, "config", "user.name", "Ada")
    git(bare, "config", "user.email", "a@b.c")
    git(bare, "worktree", "add", "-q", "-b", "work", str(other))
    return other


def signing(home: Home) -> Path:
    for name, value in (("commit.gpgSign", "true"), ("gpg.program", "false"), ("user.signingKey", "none")):
        git(home.root, "config", name, value)
    return home.root


def hooks_that_fail(home: Home) -> Path:
    for name in ("pre-commit", "commit-msg", "post-index-change", "prepare-commit-msg", "post-commit"):
        hook = home.root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {home.root.parent}/hooked\nexit 1\n")
        hook.chmod(0o755)
    return home.root


def split_index(home: Home) -> Path:
    git(home.root, "config", "core.splitIndex", "true")
    return home.root


def latin(home: Home) -> Path:
    git(home.root, "config", "i18n.commitEncoding", "latin1")
    return home.root


def deleted(home: Home) -> Path:
    home.file.unlink()
    return home.root


@pytest.mark.parametrize(
    "situation",
    [detached, worktree, of_a_bare_repository, signing, hooks_that_fail, split_index, latin, deleted],
)
def test_a_repository_in_which_nothing_is_committed(
    home: Home, situation: Callable[[Home], Path], monkeypatch: pytest.MonkeyPatch, ge: Ge
) -> None:
    root = situation(home)
    monkeypatch.chdir(root)
    before = head(root), git(root, "status", "--porcelain")
    (home.root.parent / "hooked").unlink(missing_ok=True)
    there = set(os.listdir(home.root / ".git"))
    code, _, err = ge("export", home.individual, "--commit", "--branch", "wider")
    assert code == 0, err
    assert not (home.root.parent / "hooked").exists()
    assert set(os.listdir(home.root / ".git")) == there
    assert at(root, "wider") == home.wanted
    assert (head(root), git(root, "status", "--porcelain")) == before
    git(root, "fsck", "--strict")


def test_a_branch_without_a_commit(loose: Home, ge: Ge) -> None:
    git(loose.root, "init", "-q", "-b", "main")
    git(loose.root, "config", "user.name", "Ada")
    git(loose.root, "config", "user.email", "a@b.c")
    code, _, err = ge("export", loose.individual, "--commit", "--branch", "wider")
    assert code == 0, err
    assert at(loose.root, "wider") == loose.wanted
    assert at(loose.root, "wider^") == doubles.SEED
    assert git(loose.root, "status", "--porcelain") == b"?? src/\n"


def test_a_submodule_whose_file_is_not_found(
    home: Home, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ge: Ge
) -> None:
    """From the repository around it, and from within, where the stored path means nothing."""
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "readme").write_text("outer\n")
    begin(outer)
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(home.root), "sub")
    git(outer, "commit", "-q", "-m", "sub")
    git(outer / "sub", "config", "user.name", "Ada")
    git(outer / "sub", "config", "user.email", "a@b.c")
    set_path(home.run, f"sub/{PLACE}")
    for folder, branch in ((outer, "one"), (outer / "sub", "two")):
        monkeypatch.chdir(folder)
        code, _, err = ge("export", home.individual, "--commit", "--branch", branch)
        assert code == 0, err
        assert at(outer / "sub", branch) == home.wanted
    assert git(outer, "status", "--porcelain") == b""


def test_a_repository_that_the_environment_names(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ge: Ge
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.py").write_text("x = 1\n")
    begin(other)
    with monkeypatch.context() as patched:
        patched.setenv("GIT_DIR", str(other / ".git"))
        patched.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
        patched.setenv("GIT_WORK_TREE", str(other))
        assert ge("export", home.individual, "--commit")[0] == 0
        edit(home)
        assert ge("export", home.individual, "--into", home.root)[0] == 2
    assert at(home.root, f"ge/demo-{home.child}") == home.wanted
    assert git(other, "branch", "--format=%(refname:short)") == b"main\n"


@pytest.mark.parametrize("attributes", ["", "*.py text eol=crlf\n"])
def test_line_ends_that_git_converts(
    tmp_path: Path, attributes: str, monkeypatch: pytest.MonkeyPatch, ge: Ge
) -> None:
    """The file has CRLF, and the repository LF."""
    crlf = doubles.SEED.replace(b"\n", b"\r\n")
    home = home_of(made_run(tmp_path / "made", crlf), tmp_path / "project", source=crlf)
    monkeypatch.chdir(home.root)
    if attributes:
        (home.root / ".gitattributes").write_text(attributes)
    begin(home.root, "core.autocrlf=true", "core.safecrlf=false")
    assert b"\r" not in at(home.root, "HEAD")
    code, _, err = ge("export", home.individual, "--commit", "--branch", "wider")
    assert code == 0, err
    assert at(home.root, "wider") == home.wanted.replace(b"\r", b"")
    code, _, err = ge("export", home.individual, "--into", ".")
    assert code == 0, err
    assert home.file.read_bytes() == home.wanted
    assert home.wanted.count(b"\r\n") == home.wanted.count(b"\n") > 20
    assert git(home.root, "diff", "wider") == b""


def test_line_ends_that_git_would_convert_and_has_not(loose: Home) -> None:
    """CRLF was committed before core.autocrlf was set."""
    crlf = doubles.SEED.replace(b"\n", b"\r\n")
    begin(loose.root)
    loose.file.write_bytes(crlf)
    git(loose.root, "commit", "-q", "-a", "-m", "crlf")
    git(loose.root, "config", "core.autocrlf", "true")
    changed = [ChangedFile(loose.file, crlf, crlf + b"\r\n")]
    commit_changes(changed, "more\n", "wider", loose.root)
    assert at(loose.root, "wider") == crlf + b"\r\n"
    assert [one.kept for one in write_into(changed, loose.root, force=False)] == [None]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_does_not_come_home(
    made: Made, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, ge: Ge
) -> None:
    home = home_of(made, tmp_path / "a project", f"mö dels/{name}")
    monkeypatch.chdir(home.root)
    begin(home.root)
    code, _, err = ge("export", home.individual, "--commit", "--branch", "wider")
    assert code == 0, err
    assert git(home.root, "show", f"wider:{home.place}") == home.wanted
    code, _, err = ge("export", home.individual, "--patch", "-o", tmp_path / "better.patch")
    assert code == 0, err
    git(home.root, "apply", str(tmp_path / "better.patch"))
    assert home.file.read_bytes() == home.wanted
    git(home.root, "checkout", "-q", "--", ".")
    code, _, err = ge("export", home.individual, "--into", ".")
    assert code == 0, err
    assert home.file.read_bytes() == home.wanted


def test_a_commit_that_is_not_refused(home: Home, tmp_path: Path, ge: Ge) -> None:
    def refused(*words: str) -> str:
        before = git(home.root, "for-each-ref")
        code, _, err = ge("export", home.individual, "--commit", *words)
        assert code == 2, err
        assert len(err.strip().splitlines()) == 2
        assert git(home.root, "for-each-ref") == before
        return err

    for name in ("-x", "a..b", "HEAD", "a b", "x.lock", "@{-1}"):
        assert "can be no branch" in refused(f"--branch={name}")
    git(home.root, "branch", "wider")
    assert "The branch wider exists" in refused("--branch", "wider")
    assert "git makes no branch wider/yet" in refused("--branch", "wider/yet")
    git(home.root, "config", "--unset", "user.email")
    assert "Git does not know who you are" in refused()
    git(home.root, "config", "user.email", "a@b.c")
    home.file.write_bytes(b"# one\n# two\n" + doubles.SEED.replace(b"Three", b"Some"))
    git(home.root, "commit", "-q", "-a", "-m", "near")
    assert "3 lines have come and 1 have gone; the change applies all the same" in refused()
    home.file.write_bytes(b"x = 1\n")
    git(home.root, "commit", "-q", "-a", "-m", "far")
    assert "the patch does not apply" in refused()
    git(home.root, "rm", "-q", PLACE)
    git(home.root, "commit", "-q", "-m", "gone")
    assert "has no file src/nets/model.py" in refused()
    shutil.move(home.root / ".git", tmp_path / "gone")
    home.file.parent.mkdir(parents=True, exist_ok=True)
    code, _, err = ge("export", home.individual, "--commit")
    assert code == 2
    assert "There is no repository of git" in err
    assert "--patch" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Nothing says where"),
        (("--into", ".", "--commit"), "different places"),
        (("-o", "x.py", "--commit"), "different places"),
        (("--into", ".", "--patch"), "neither --weights nor --patch"),
        (("--branch", "x", "-o", "x.py"), "--branch names"),
    ],
)
def test_flags_that_ask_for_two_things(home: Home, words: tuple[str, ...], said: str, ge: Ge) -> None:
    code, _, err = ge("export", home.individual, *words)
    assert code == 2
    assert said in err
    code, _, err = ge("export", f"{home.run}:seed", "--commit")
    assert code == 2
    assert "nothing to patch" in err


# --- what a commit says -----------------------------------------------------------------------------


def test_a_message_that_does_not_say_what_changed(home: Home, ge: Ge) -> None:
    assert ge("export", home.individual, "--commit", "--branch", "wider")[0] == 0
    said = git(home.root, "log", "-1", "--format=%B", "wider").decode()
    assert said.startswith("Evolve model.py: accuracy ")
    for part in ("Changed, block by block:\n  changed ", "baseline", "Lineage:", " from seed: ", "Run: demo"):
        assert part in said
    assert f"Individual: {home.child}" in said
    assert "Prompts: " in said
    assert "sha256 " in said
    assert "Evolved-by: ge_engine" in said


HOSTILE = "\x1b]0;owned\x07\n\nSigned-off-by: Eve <e@v.e>\n\u202ediff --git a/x b/x\r\n" + "x" * 10_000


def test_text_of_a_model_that_commands_a_terminal_or_a_message(home: Home, tmp_path: Path, ge: Ge) -> None:
    with sqlite3.connect(home.run / "ledger.sqlite") as db:
        for field in ("note", "intent", "operator"):
            sql = f"UPDATE individuals SET steps = json_set(steps, '$[0].{field}', ?) WHERE slot >= 0"
            db.execute(sql, (HOSTILE,))
    db.close()
    code, said, err = ge("export", home.individual, "--commit", "--branch", "wider")
    assert code == 0, err
    assert ge("export", home.individual, "--patch", "-o", tmp_path / "better.patch")[0] == 0
    message = git(home.root, "log", "-1", "--format=%B", "wider").decode()
    head_of_patch = (tmp_path / "better.patch").read_text().partition("\ndiff --git a/src")[0]
    for text in (message, head_of_patch, said):
        assert text.isascii()
        assert not set(text) & {chr(code) for code in (*range(10), *range(11, 32), 127)}
        assert not [line for line in text.splitlines() if line.startswith(("Signed-off-by", "diff --git"))]
        assert max(map(len, text.splitlines())) <= 1000
    assert len(message) < 8000
    assert git(home.root, "log", "-1", "--format=%(trailers:key=Signed-off-by)", "wider") == b"\n"


# --- any bytes, several files -----------------------------------------------------------------------

CHANGES = st.dictionaries(NAMES, st.tuples(TEXTS, TEXTS), min_size=1, max_size=3)


@given(CHANGES)
@settings(max_examples=15)
def test_files_that_come_home_as_others(changes: dict[str, tuple[bytes, bytes]]) -> None:
    """By a commit, by a patch and to their places, all of them."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(os.path.realpath(name))
        for place, (before, _) in changes.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_bytes(before)
        begin(root)
        changed = [ChangedFile(root / place, *texts) for place, texts in changes.items()]
        made = commit_changes(changed, "all\n", "all", root)
        for place, (_, after) in changes.items():
            assert at(root, "all", place) == after
        assert git(root, "diff", "--quiet", "HEAD") == b""
        patch = GitPatch.of(changed, ["a remark"])
        assert (patch.root, len(patch.paths), made.root) == (root, len(changes), root)
        written = write_into(changed, root, force=False)
        assert [one.kept for one in written] == [None] * len(changes)
        for place, (_, after) in changes.items():
            assert (root / place).read_bytes() == after
        assert git(root, "diff", "all") == b""


def test_one_of_several_files_that_is_written_where_another_is_refused(home: Home) -> None:
    other = home.root / "other.py"
    other.write_bytes(MINE)
    changed = [ChangedFile(home.file, doubles.SEED, home.wanted), ChangedFile(other, b"x = 1\n", b"x = 2\n")]
    with pytest.raises(ConfigError, match="not as the run read it"):
        write_into(changed, home.root, force=False)
    assert home.file.read_bytes() == doubles.SEED
