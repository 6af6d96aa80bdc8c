"""`ge git-diff` behind git, and `ge diff` of revisions."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import doubles
import pytest
from conftest import Ge
from homes import begin, git, made_run

from ge_engine.runs.external_diff import GivenDiff

GE = str(Path(sys.executable).with_name("ge"))
CHANGED = doubles.SEED.replace(b"* 3", b"* 4")
ODD = "my mödel's.py"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a driver for Python files, from within."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    root = tmp_path / "project"
    root.mkdir()
    (root / ".gitattributes").write_text("*.py diff=ge\n")
    (root / "model.py").write_bytes(doubles.SEED)
    begin(root, f"diff.ge.command={shlex.quote(GE)} git-diff --")
    monkeypatch.chdir(root)
    return root


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "more")


# --- git's external diff driver ---------------------------------------------------------------------


def test_a_change_that_git_does_not_show_by_block(repository: Path) -> None:
    for name in (ODD, "-x.py"):
        (repository / name).write_bytes(doubles.SEED)
    commit(repository)
    for name in ("model.py", ODD, "-x.py"):
        (repository / name).write_bytes(CHANGED)
    said = git(repository, "diff").decode()
    for name in ("model.py", ODD, "-x.py"):
        assert f"diff --git a/{name} b/{name}\nchanged Small.forward\n" in said
    assert said.count("-    return self.layer(x) * 3\n+    return self.layer(x) * 4\n") == 3
    commit(repository)
    for words in (("log", "-p", "-1", "--ext-diff"), ("show", "--ext-diff")):
        assert git(repository, *words, "--", "model.py").decode().count("changed Small.forward") == 1


@pytest.mark.long
def test_a_file_that_is_no_two_files_of_blocks_and_ends_the_diff(repository: Path) -> None:
    """Whatever git gives the driver, it goes on to the next file."""
    (repository / "gone.py").write_bytes(b"def f(y):\n    return y\n")
    (repository / "old.py").write_bytes(doubles.SEED)
    (repository / "data.py").write_bytes(b"x = 1\n\0")
    (repository / "broken.py").write_bytes(b"def f(:\n")
    (repository / "mode.py").write_bytes(doubles.SEED)
    (repository / "ends.py").write_bytes(doubles.SEED)
    (repository / "link.py").symlink_to("model.py")
    commit(repository)
    (repository / "gone.py").unlink()
    (repository / "new.py").write_bytes(b"def f(x):\n    return x\n")
    (repository / "old.py").unlink()
    (repository / "moved.py").write_bytes(CHANGED)
    (repository / "data.py").write_bytes(b"x = 2\n\0")
    (repository / "broken.py").write_bytes(b"def g(:\n")
    (repository / "mode.py").chmod(0o755)
    (repository / "ends.py").write_bytes(doubles.SEED.replace(b"\n", b"\r\n"))
    (repository / "link.py").unlink()
    (repository / "link.py").symlink_to("moved.py")
    (repository / "model.py").write_bytes(CHANGED)
    git(repository, "add", "-A")
    said = git(repository, "diff", "--cached", "-M").decode()
    shown = {part.split("\n")[0]: part for part in said.split("diff --git ")[1:]}
    assert set(shown) == {
        *(f"a/{name}.py b/{name}.py" for name in ("gone", "new", "data", "broken", "mode", "ends", "link")),
        "a/old.py b/moved.py",
        "a/model.py b/model.py",
    }
    assert "deleted file mode 100644\n--- a/gone.py\n+++ /dev/null\n" in said
    assert "new file mode 100644\n--- /dev/null\n+++ b/new.py\n@@ -0,0 +1,2 @@\n+def f(x):\n" in said
    assert "Binary files a/data.py and b/data.py differ\n" in said
    assert "-def f(:\n+def g(:\n" in said
    assert shown["a/mode.py b/mode.py"] == "a/mode.py b/mode.py\nold mode 100644\nnew mode 100755\n"
    assert "+import torch\\r\n" in said
    assert "-model.py\n\\ No newline at end of file\n+moved.py\n" in said
    assert "rename from old.py\nrename to moved.py\n" in said
    assert "changed Small.forward\n" in shown["a/old.py b/moved.py"]
    assert "changed Small.forward\n" in shown["a/model.py b/model.py"]


def test_a_conflict_that_ends_the_diff(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "other")
    (repository / "model.py").write_bytes(CHANGED)
    commit(repository)
    git(repository, "checkout", "-q", "main")
    (repository / "model.py").write_bytes(doubles.SEED.replace(b"* 3", b"* 5"))
    commit(repository)
    subprocess.run(["git", "merge", "-q", "other"], cwd=repository, capture_output=True)
    git(repository, "config", "--unset", "diff.ge.command")
    said = subprocess.run(
        ["git", "diff", "--cached"],
        cwd=repository,
        capture_output=True,
        env={**os.environ, "GIT_EXTERNAL_DIFF": f"{GE} git-diff --"},
        text=True,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("* Unmerged path model.py\n")


def test_words_that_git_never_gives(ge: Ge) -> None:
    code, _, err = ge("git-diff", "--", "a.py", "b.py")
    assert code == 2
    assert "git config diff.ge.command" in err


def test_a_side_that_cannot_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "sub.py"
    folder.mkdir()
    given = GivenDiff.of(["sub.py", str(folder), "0", "160000", str(tmp_path / "gone"), "0", "160000"])
    assert given.header() == ["diff --git a/sub.py b/sub.py"]
    assert (given.blocks(), given.lines()) == ((), [])


# --- revisions --------------------------------------------------------------------------------------


def test_a_revision_that_is_not_compared(repository: Path, ge: Ge) -> None:
    (repository / "sub").mkdir()
    (repository / "model.py").rename(repository / "sub" / "model.py")
    (repository / "sub" / "model.py").write_bytes(CHANGED)
    commit(repository)
    (repository / "sub" / "model.py").write_bytes(doubles.SEED)
    for a, b, differ in (
        ("HEAD~1:model.py", "HEAD:sub/model.py", 1),
        ("HEAD:sub/model.py", "sub/model.py", 1),
        ("main~1:model.py", "sub/model.py", 0),
        (":sub/model.py", "HEAD:./sub/model.py", 0),
    ):
        code, said, err = ge("diff", a, b)
        assert (code, "changed Small.forward" in said, err) == (differ, bool(differ), "")
    code, said, _ = ge("diff", "HEAD~1:model.py", "HEAD:sub/model.py", "--json")
    assert code == 1
    assert '"a": "HEAD~1:model.py"' in said


def test_a_reference_that_is_nothing_and_whose_error_names_one_reading(repository: Path, ge: Ge) -> None:
    mark = repository / "mark"
    for reference in (
        "HEAD:nothing.py",
        "nowhere:model.py",
        ":",
        "HEAD:",
        "HEAD",
        f"--output={mark}:model.py",
        f"$(touch {mark}):model.py",
        f"HEAD:model.py;touch {mark}",
        "HEAD:model.py\nHEAD:model.py",
        "HEAD:" + "x" * 10_000,
        "x" * 10_000 + ":g0s0",
    ):
        for words in ((reference, "model.py"), (reference,)):
            code, _, err = ge("diff", "--", *words)
            assert code == 2, (words, err)
            if ":" in reference:
                for reading in ("is no file", "individual of a run", "a revision in git"):
                    assert reading in err
            assert "fault of ge_engine" not in err
    code, _, err = ge("diff", "HEAD:model.py")
    assert code == 2
    assert "nothing to compare HEAD:model.py with" in err
    assert not mark.exists()


def test_a_revision_that_is_no_python(repository: Path, ge: Ge) -> None:
    code, _, err = ge("diff", "HEAD:.gitattributes", "model.py")
    assert code == 2
    assert "HEAD:.gitattributes" in err


def test_a_file_or_a_run_that_a_revision_hides(repository: Path, ge: Ge) -> None:
    """Files come first, then runs, then revisions."""
    made = made_run(repository / "HEAD")
    (repository / "HEAD:model.py").write_bytes(CHANGED)
    assert ge("diff", "HEAD:model.py", "model.py")[0] == 1, "the file has changed"
    (repository / "HEAD:model.py").unlink()
    assert ge("diff", "HEAD:model.py", "model.py")[0] == 0, "the run has no such individual"
    (repository / made.child).write_bytes(doubles.SEED)
    git(repository, "add", made.child)
    git(repository, "commit", "-q", "-m", "a file that is called as an individual")
    git(repository, "cat-file", "-e", f"HEAD:{made.child}")
    (repository / made.child).unlink()
    (repository / "model.py").write_bytes(made.wanted)
    code, said, err = ge("diff", f"HEAD:{made.child}", "model.py")
    assert code == 0, err
    assert f"HEAD:{made.child}  accuracy" in said, "with its figures"
    assert ge("diff", f"HEAD:{made.child}")[0] == 1, "a lone individual goes with its seed model"
    code, _, err = ge("diff", "HEAD:g9s9")
    assert code == 2
    assert "has no individual 'g9s9'" in err


def test_revisions_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ge: Ge) -> None:
    (tmp_path / "model.py").write_bytes(doubles.SEED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = ge("diff", "HEAD:model.py", "model.py")
    assert code == 2
    assert "git cannot be started" in err
