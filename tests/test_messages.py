"""Messages that left a newcomer without the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from ge_engine.config import load_config
from ge_engine.entry import resolve_entry
from ge_engine.errors import ConfigError, GeError, PluginError, SeedError
from ge_engine.genome import Seed
from ge_engine.registry import load_registry

ODD = """
from torch import nn


class DigitNet(nn.Module):
    def __init__(self, cfg, widths, num_classes=10, dropout=0.1):
        super().__init__()

    def forward(self, x):
        return x
"""


@pytest.mark.parametrize(
    ("setting", "default"),
    [
        ({"population": 0}, "population = 8"),
        ({"p_eot": 2.0}, "p_eot = 0.25"),
        ({"recipe.lr": 0.0}, "recipe.lr = 0.1"),
        ({"objectives": ()}, "objectives = ('accuracy', 'parameters')"),
        ({"price_in": -1.0}, "price_in = 0.0"),
        ({"llm": ()}, "llm = ('smollm2',)"),
    ],
)
def test_a_value_out_of_range_without_a_next_step(setting: dict[str, object], default: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config("demo", None, setting)
    assert default in refused.value.hint


@pytest.mark.parametrize("override", ["", "DigitNet"])
def test_missing_arguments_without_a_line_to_copy(override: str) -> None:
    with pytest.raises(SeedError) as refused:
        resolve_entry(Seed.from_bytes(ODD.encode()).genome, {"num_classes": 7}, override)
    assert '--entry "DigitNet(cfg=..., widths=..., num_classes=7)"' in refused.value.hint
    assert "dropout=0.1" in refused.value.hint


@pytest.mark.parametrize("data", [bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_a_binary_file_that_is_called_text_of_a_wrong_encoding(data: bytes) -> None:
    with pytest.raises(SeedError, match="is not a text file"):
        Seed.from_bytes(data)


def test_an_image_folder_that_is_missing_empty_or_of_one_class(tmp_path: Path) -> None:
    from ge_plugins.image_folder import find_entries, read_image_folder

    said: list[GeError] = []
    for attempt in (
        lambda: read_image_folder(tmp_path / "nowhere", 0),
        lambda: find_entries([], "empty"),
        lambda: find_entries(["cats/a.png"], "one"),
    ):
        with pytest.raises(ConfigError) as refused:
            attempt()
        said.append(refused.value)
    assert "There is no folder or .zip" in said[0].message
    assert "holds no images in folders of classes" in said[1].message
    assert "images of one class only, 'cats'" in said[2].message
    assert all(error.hint for error in said)


def test_a_misspelt_plugin_that_is_to_be_uninstalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PluginError) as refused:
        load_registry(["nosuch"])
    assert "Check the name" in refused.value.hint
    (tmp_path / "broken_plugin.py").write_text("import nothing_like_this\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError) as refused:
        load_registry(["broken_plugin"])
    assert "Mend it, or leave out --plugin broken_plugin" in refused.value.hint
