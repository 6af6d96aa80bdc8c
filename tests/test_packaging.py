"""What is installed is what is in the repository."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]


def test_a_package_that_the_wheel_leaves_out() -> None:
    found = {
        ".".join((name, *init.parent.relative_to(ROOT / folder).parts))
        for name, folder in SETUPTOOLS["package-dir"].items()
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert set(SETUPTOOLS["packages"]) == found


def test_a_data_file_that_the_wheel_leaves_out() -> None:
    for name, folder in SETUPTOOLS["package-dir"].items():
        patterns = SETUPTOOLS["package-data"].get(name, [])
        shipped = {file for pattern in patterns for file in (ROOT / folder).glob(pattern)}
        for sub in SETUPTOOLS["packages"]:
            if sub.startswith(f"{name}."):
                inner = (ROOT / folder).joinpath(*sub.split(".")[1:])
                for pattern in SETUPTOOLS["package-data"].get(sub, []):
                    shipped |= set(inner.glob(pattern))
        data = {
            file for file in (ROOT / folder).rglob("*") if file.is_file() and "__pycache__" not in file.parts
        }
        left = {str(file.relative_to(ROOT)) for file in data - shipped if file.suffix != ".py"}
        assert not left


def test_a_supported_python_that_the_workflow_does_not_run() -> None:
    workflow = (ROOT / ".github" / "workflows" / "check.yml").read_text("utf-8")
    named = [c.rpartition(" ")[2] for c in PROJECT["project"]["classifiers"] if "Python :: 3." in c]
    assert len(named) == 4
    assert all(f'"{version}"' in workflow for version in named)
