"""The tree of a user's project that a program is given: what is copied, linked and left out."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ge_engine.evaluation import project_tree
from ge_engine.evaluation.project_tree import lay_tree
from ge_engine.evaluation.sandbox.removal import remove_tree

MODEL = PurePosixPath("models/net.py")
EVOLVED = {MODEL: b"evolved"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "net.py").write_text("original")
    (folder / "train.py").write_text("import models.net")
    return folder


def laid(project: Path, **more: object) -> Path:
    tree = project.parent / "tree"
    lay_tree(project, tree, EVOLVED, **more)  # type: ignore[arg-type]
    return tree


def state_of(folder: Path) -> dict[str, object]:
    """All of a folder: contents, links, modes and times."""
    found: dict[str, object] = {}
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(here, name)
            about = path.lstat()
            content = os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
            found[str(path)] = (content, about.st_mode, about.st_mtime_ns, about.st_nlink)
    return found


def test_an_evolved_file_that_is_the_users_or_a_neighbour_that_is_a_link(project: Path) -> None:
    (project / "models" / "__init__.py").write_text("from .net import *")
    (project / "train.py").chmod(0o755)
    tree = laid(project)
    assert (tree / MODEL).read_bytes() == b"evolved"
    assert (project / MODEL).read_text() == "original"
    for name in ("train.py", "models/__init__.py"):
        assert not (tree / name).is_symlink()
        assert not (tree / name).samefile(project / name)
        assert (tree / name).read_bytes() == (project / name).read_bytes()
    assert os.access(tree / "train.py", os.X_OK)


def test_large_data_that_is_copied(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_tree, "FOLDER_ENTRIES", 20)
    (project / "data" / "train").mkdir(parents=True)
    for number in range(30):
        (project / "data" / "train" / f"{number}.png").write_bytes(b"image")
    (project / "weights.bin").write_bytes(b"0" * (project_tree.COPIED_BYTES + 1))
    (project / "large.py").write_bytes(b"#" * (project_tree.COPIED_BYTES + 1))
    tree = laid(project)
    assert os.readlink(tree / "data") == str(project / "data")
    assert os.readlink(tree / "weights.bin") == str(project / "weights.bin")
    assert not (tree / "large.py").is_symlink()


def test_many_small_files_that_are_copied_without_end(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_tree, "COPIED_BYTES_IN_ALL", 100)
    monkeypatch.setattr(project_tree, "TREE_ENTRIES", 12)
    for folder in ("a", "b", "utils"):
        (project / folder).mkdir()
        for number in range(8):
            (project / folder / f"{number}.{'py' if folder == 'utils' else 'txt'}").write_text(
                "20 bytes of a text.."
            )
    tree = laid(project)
    assert not (tree / "utils").is_symlink(), "folders with modules come first"
    assert (tree / "a").is_symlink()
    assert (tree / "b").is_symlink()


def test_a_repository_bytecode_a_socket_or_a_run_in_the_tree(project: Path) -> None:
    (project / ".git").mkdir()
    (project / "models" / "__pycache__").mkdir()
    (project / "runs" / "first").mkdir(parents=True)
    (project / "runs" / "first" / "ledger.sqlite").write_bytes(b"")
    scratch = project / "mine" / "scratch"
    scratch.mkdir(parents=True)
    os.mkfifo(project / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(project / "agent"))
    tree = scratch / "tree"
    lay_tree(project, tree, EVOLVED, outside=[scratch])
    assert sorted(os.listdir(tree)) == ["mine", "models", "runs", "train.py"]
    assert not [*(tree / "mine").iterdir(), *(tree / "runs").iterdir()]
    assert os.listdir(tree / "models") == ["net.py"]


def test_a_worktree_whose_program_changes_the_repository(project: Path) -> None:
    (project / ".git").write_text("gitdir: /somewhere/.git/worktrees/project\n")
    assert not (laid(project) / ".git").exists()


def test_links_that_never_end_lead_nowhere_or_back_to_the_users_model(project: Path) -> None:
    for name, target in {
        "loop": ".",
        "there": "back",
        "back": "there",
        "nowhere": "no such file",
        "latest.py": "models/net.py",
        "data": str(project.parent),
    }.items():
        (project / name).symlink_to(target)
    (project / "models" / "up").symlink_to("..")
    tree = laid(project)
    assert (tree / "latest.py").read_bytes() == b"evolved"
    assert (tree / "loop" / MODEL).read_bytes() == b"evolved"
    assert (tree / "models" / "up" / MODEL).read_bytes() == b"evolved"
    assert (tree / "data").resolve() == project.parent
    assert all(
        (tree / name).is_symlink() and not (tree / name).exists() for name in ("there", "back", "nowhere")
    )


def test_a_folder_or_a_model_that_is_a_link_out_of_the_project(project: Path) -> None:
    shared = project.parent / "shared"
    (project / "models").rename(shared)
    (project / "models").symlink_to(shared)
    (shared / "net.py").rename(shared / "kept.py")
    (shared / "net.py").symlink_to("kept.py")
    tree = laid(project)
    assert (tree / MODEL).read_bytes() == b"evolved"
    assert not (tree / "models").is_symlink()
    assert (shared / "kept.py").read_text() == "original"


def test_figures_of_an_earlier_run_that_lie_in_the_tree(project: Path) -> None:
    (project / "out").mkdir()
    (project / "out" / "results.json").write_text("{}")
    (project / "out" / "log.txt").write_text("old")
    tree = laid(project, left_out=[PurePosixPath("out/results.json"), PurePosixPath("no/such/results.json")])
    assert os.listdir(tree / "out") == ["log.txt"]
    assert not (tree / "no").exists()


NAMES = st.sampled_from(["a", "b.py", "ä ö.txt", "c d", "model.py", "-x", "z\udcff"])
ENTRIES = st.recursive(
    st.one_of(
        st.tuples(st.binary(max_size=5), st.sampled_from([0o444, 0o644, 0o755, 0o400])),
        st.sampled_from([".", "..", "a", "b.py", "../a/b.py", "/", "nowhere"]),
    ),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def made(folder: Path, entries: dict[str, object]) -> None:
    folder.mkdir()
    for name, entry in entries.items():
        path = folder / name
        if isinstance(entry, dict):
            made(path, entry)
        elif isinstance(entry, str):
            path.symlink_to(entry)
        elif isinstance(entry, tuple):
            path.write_bytes(entry[0])
            path.chmod(entry[1])


@given(st.dictionaries(NAMES, ENTRIES, max_size=4))
def test_a_project_that_changes_by_what_is_done_to_a_tree_of_it(entries: dict[str, object]) -> None:
    """Whatever a project holds, the tree holds its modules as files of its own, and what is written to a file
    of the tree that is no link, or deleted, is not in the project."""
    with tempfile.TemporaryDirectory() as name:
        project, tree = Path(name).resolve() / "project", Path(name).resolve() / "tree"
        made(project, {**entries, "net.py": (b"original", 0o644)})
        before = state_of(project)
        lay_tree(project, tree, {PurePosixPath("net.py"): b"evolved"})
        assert (tree / "net.py").read_bytes() == b"evolved"
        for path, (content, *_) in before.items():  # type: ignore[misc]
            there = tree / Path(path).relative_to(project)
            assert os.path.lexists(there)
            assert there.is_symlink() == Path(path).is_symlink()
            if isinstance(content, bytes) and there != tree / "net.py":
                assert there.read_bytes() == content
        for here, _, files in os.walk(tree):
            for file in files:
                if not Path(here, file).is_symlink():
                    Path(here, file).write_bytes(b"overwritten")
        assert remove_tree(tree)
        assert state_of(project) == before
