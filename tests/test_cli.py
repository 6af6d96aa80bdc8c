"""Every mistake of a user gets one sentence, a next step and exit code 2; nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ge_engine.views.console import program
from ge_engine.views.outcomes import counted
from tests.sampled import everyday

ROOT = Path(__file__).resolve().parent.parent
PLAIN = ROOT / "examples" / "plain_cnn.py"
Ge = Callable[..., tuple[int, str, str]]
UNIFORM = ("--llm", "uniform")
OPERATORS = ("--operators", "mutation,mating,eot")
QUICK = ("--generations", "1", "--population", "2", "--epochs", "1", "--train-limit", "256")
QUICK += ("--rescore-seeds", "0")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished run, made once by the real command."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    command = [
        sys.executable,
        "-m",
        "ge_engine.cli",
        "evolve",
        str(PLAIN),
        "--run",
        str(folder),
        *OPERATORS,
        *UNIFORM,
        *QUICK,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Pareto front" in done.stdout
    return folder


def assert_one_message(result: tuple[int, str, str], *says: str) -> None:
    code, _, err = result
    assert code == 2, err
    assert "Traceback" not in err
    assert err.count("error: ") == 1
    for word in says:
        assert word in err


SEEDS = {
    "not Python": ("def f(:\n", "line 1"),
    "not UTF-8": (b"x = '\xff'\n", "UTF-8"),
    "null bytes": (b"x = 1\x00\n", "null"),
    "empty": ("", "no class and no function"),
    "without blocks": ("x = 1\n", "no class and no function"),
}


@pytest.mark.parametrize("kind", SEEDS)
@pytest.mark.parametrize("command", ["evolve", "blocks", "diff"])
def test_a_bad_seed_that_ends_in_a_traceback(ge: Ge, tmp_path: Path, kind: str, command: str) -> None:
    content, says = SEEDS[kind]
    file = tmp_path / "seed.py"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    words = [command, file, PLAIN] if command == "diff" else [command, file]
    assert_one_message(ge(*words), says)


@pytest.mark.parametrize("command", ["evolve", "blocks"])
def test_a_missing_seed_that_ends_in_a_traceback(ge: Ge, tmp_path: Path, command: str) -> None:
    assert_one_message(ge(command, tmp_path / "none.py"), "none.py", "No such file")
    assert_one_message(ge(command, tmp_path), "is a folder", "--package")


NET = """
from torch import nn
class {name}(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        {init}
    def forward(self, x):
        return {result}
"""
HEAD = "self.head = nn.Linear(3, num_classes)"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            NET.format(name="Aa", init=HEAD, result="x") + NET.format(name="Bb", init=HEAD, result="x"),
            ("Aa(", "Bb("),
        ),
        (NET.format(name="A", init=HEAD, result="self.head(x)"), ("forward",)),
        *(
            pytest.param(*case, marks=pytest.mark.long)
            for case in [
                ("import sys\nsys.exit(3)\n" + NET.format(name="A", init=HEAD, result="x"), ("SystemExit",)),
                (NET.format(name="A", init="raise ValueError('no luck')", result="x"), ("no luck",)),
                (NET.format(name="A", init=HEAD, result="x.mean((2, 3))"), ("num_classes=10",)),
                (
                    NET.format(name="A", init=HEAD, result="self.head(x.mean((2, 3))) * float('nan')"),
                    ("NaN",),
                ),
                (
                    "import nothing_like_this\n" + NET.format(name="A", init=HEAD, result="x"),
                    ("nothing_like_this",),
                ),
            ]
        ),
    ],
    ids=["ambiguous", "forward", "exits", "build", "logits", "not finite", "import"],
)
def test_a_seed_that_does_not_run_and_is_not_refused(
    ge: Ge, tmp_path: Path, text: str, says: tuple[str, ...]
) -> None:
    file = tmp_path / "seed.py"
    file.write_text(text)
    assert_one_message(ge("evolve", file, "--run", tmp_path / "run", *UNIFORM, *QUICK), *says)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--task", "imagnet"), ("imagnet", "digits")),
        (("--task", "folder:/no/such/folder"), ("/no/such/folder",)),
        (("--preset", "papr"), ("papr", "paper")),
        (("--llm", "gpt"), ("gpt", "smollm2")),
        (("--plugin", "no_such_module"), ("no_such_module",)),
        (("--no-plugin", "nobody"), ("nobody",)),
        (("--operators", "sing"), ("sing", "mutation")),
        (("--objectives", "beauty"), ("beauty", "accuracy")),
        (("--grammar", "haiku"), ("haiku", "block")),
        (("--blocks", "Nothing*"), ("Nothing*",)),
        (("--population", "0"), ("population",)),
        (("--config", "/no/such.toml"), ("/no/such.toml",)),
        (("--entry", "Nothing()"), ("Nothing",)),
        (("--entry", "PlainCNN("), ("PlainCNN(",)),
    ],
)
def test_a_bad_flag_that_ends_in_a_traceback(
    ge: Ge, tmp_path: Path, flags: tuple[str, ...], says: tuple[str, ...]
) -> None:
    model = () if "--llm" in flags else UNIFORM
    assert_one_message(ge("evolve", PLAIN, "--run", tmp_path / "run", *QUICK, *model, *flags), *says)


@pytest.mark.parametrize(
    ("llm", "says"),
    [
        (("hf:/no/such/model",), ("no folder /no/such/model", "hf:ORG/NAME")),
        (("replay:/no/such/run",), ("/no/such/run",)),
        (("openai:gpt",), ("no key", "OPENAI_API_KEY")),
        (("openai:gpt@http://127.0.0.1:9/v1",), ("127.0.0.1:9", "--llm-url")),
        (("uniform", "smollm2:wrong"), ("takes no argument",)),
    ],
)
def test_a_language_model_that_is_missed_after_the_seed_was_trained(
    ge: Ge, tmp_path: Path, llm: tuple[str, ...], says: tuple[str, ...]
) -> None:
    flags = [word for name in llm for word in ("--llm", name)]
    assert_one_message(ge("evolve", PLAIN, "--run", tmp_path / "run", *QUICK, *flags), *says)
    assert not list(tmp_path.iterdir()), "something was made, or the seed was trained"


def test_a_run_in_a_file_or_in_a_folder_that_cannot_be_made(ge: Ge, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    assert_one_message(ge("evolve", PLAIN, "--run", file, *UNIFORM, *QUICK), "is a file")
    assert_one_message(ge("evolve", PLAIN, "--run", file / "inner", *UNIFORM, *QUICK), "cannot be made")
    assert file.read_text() == "mine"


def test_a_run_that_goes_on_with_another_seed(ge: Ge, finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(PLAIN.read_text() + "\n# another\n")
    before = (finished / "ledger.sqlite").read_bytes()
    assert_one_message(ge("evolve", other, "--run", finished, *UNIFORM, *QUICK), "another seed model")
    assert (finished / "ledger.sqlite").read_bytes() == before


def test_a_finished_run_that_is_bred_again(ge: Ge, finished: Path) -> None:
    code, out, err = ge("evolve", PLAIN, "--run", finished, *OPERATORS, *UNIFORM, *QUICK)
    assert code == 0, err
    assert "Pareto front" in out
    assert "prompts" not in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "RUN:g9s9"), ("g9s9",)),
        (("show", "RUN"), ("RUN:ID",)),
        (("log", "/no/such/run"), ("/no/such/run",)),
        (("diff", "/no/such/run:seed"), ("/no/such/run",)),
        (("diff", str(PLAIN)), ("nothing to compare",)),
        (("export", "RUN:seed", "-o", "/no/such/folder/x.py"), ("/no/such/folder",)),
        (("export", "RUN:seed", "-o", str(PLAIN)), ("exists",)),
    ],
)
def test_a_bad_reference_that_ends_in_a_traceback(
    ge: Ge, finished: Path, words: tuple[str, ...], says: tuple[str, ...]
) -> None:
    assert_one_message(
        ge(*(w.replace("RUN", str(finished)) if w.startswith("RUN") else w for w in words)), *says
    )


def test_an_export_that_is_not_the_individual(ge: Ge, finished: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.py"
    assert ge("export", f"{finished}:seed", "-o", file, "--no-header")[0] == 0
    assert file.read_bytes() == PLAIN.read_bytes()
    assert ge("diff", file, f"{finished}:seed")[0] == 0
    assert ge("export", f"{finished}:seed", "-o", file, "--force")[0] == 0
    assert file.read_bytes().endswith(PLAIN.read_bytes())
    code, out, _ = ge("diff", PLAIN, file)
    assert (code, "layout" in out) == (1, True)
    assert list(tmp_path.iterdir()) == [file]


def test_a_difference_without_exit_code_one(ge: Ge, finished: Path) -> None:
    _, out, _ = ge("log", finished, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    seed, children = records[0], records[1:]
    assert seed["id"] == "seed"
    assert len(children) == 2
    for child in children:
        if child["digest"]:
            code, out, _ = ge("diff", f"{finished}:{child['id']}")
            assert code == 1
            assert child["steps"][0]["address"].partition(".")[0] in out


@pytest.mark.long
def test_a_stat_without_the_parameters_of_classes(ge: Ge, tmp_path: Path) -> None:
    wider = tmp_path / "wider.py"
    wider.write_text(
        PLAIN.read_text().replace("channels, 128)", "channels, 256)").replace("(128, num", "(256, num")
    )
    code, out, _ = ge("diff", PLAIN, wider, "--stat")
    assert code == 1
    assert "changed Head.__init__ | +2 -2" in out
    assert "Head: 9,610 to 19,210 parameters (+9,600)" in out
    assert "ConvBlock:" not in out
    assert "parameters" not in ge("diff", PLAIN, wider, "--stat", "--static")[1]


def test_words_that_do_not_give_the_new_block(ge: Ge, tmp_path: Path) -> None:
    wider = tmp_path / "wider.py"
    wider.write_text(PLAIN.read_text().replace("nn.Dropout(0.3)", "nn.Dropout(0.5)"))
    assert "nn.Dropout(0.[-3-]{+5+})" in ge("diff", PLAIN, wider, "--word")[1].replace(
        "[-0.3-]{+0.5+}", "0.[-3-]{+5+}"
    )
    changes = json.loads(ge("diff", PLAIN, wider, "--json")[1])["changes"]
    assert [(c["kind"], c["address"], c["added_lines"]) for c in changes] == [("changed", "Head.__init__", 1)]


def test_a_line_that_nobody_is_blamed_for(ge: Ge, finished: Path) -> None:
    _, listed, _ = ge("log", finished, "--json")
    child = next(one for one in map(json.loads, listed.splitlines()) if one["parents"] and one["digest"])
    code, out, _ = ge("blame", f"{finished}:{child['id']}", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert lines
    assert {line["individual"] for line in lines} == {child["id"]}
    assert all(line["operators"] == ["mutation"] for line in lines)


def test_a_sound_ledger_that_is_found_faulty(ge: Ge, finished: Path) -> None:
    assert ge("log", finished, "--check")[:2] == (0, "the run database is sound\n")
    for word in ("operator", "mutation", "hypervolume gain"):
        assert word in ge("log", finished, "--stats")[1]
    assert "g0s1" in ge("log", finished, "--follow")[1]


def test_a_log_that_hides_individuals(ge: Ge, finished: Path) -> None:
    code, out, _ = ge("log", finished)
    assert code == 0
    for identity in ("seed", "g0s0", "g0s1", "finished: 1/1 generation"):
        assert identity in out


def test_show_without_prompt_and_reply(ge: Ge, finished: Path) -> None:
    code, out, _ = ge("show", f"{finished}:g0s0")
    assert code == 0
    for part in ("lineage", "prompt g0s0/0", "reply g0s0/0", "mutation of"):
        assert part in out


def test_blocks_that_leave_out_a_reason(ge: Ge, tmp_path: Path) -> None:
    file = tmp_path / "seed.py"
    file.write_text(
        "def twice():\n    return 1\n\n\ndef twice():\n    return 2\n\n\ndef once():\n    return 3\n"
    )
    code, out, _ = ge("blocks", file, "--json", "--static")
    rows = {row["address"]: row for row in map(json.loads, out.splitlines())}
    assert code == 0
    assert rows["once"]["evolvable"]
    assert not rows["twice"]["evolvable"]
    assert rows["twice"]["reason"]


@pytest.mark.long
def test_a_dead_block_that_is_shown_as_live(ge: Ge, tmp_path: Path) -> None:
    file = tmp_path / "seed.py"
    file.write_text(PLAIN.read_text() + "\n\ndef never(x):\n    return x\n")
    _, out, _ = ge("blocks", file, "--json")
    live = {row["address"]: row["live"] for row in map(json.loads, out.splitlines())}
    assert live.pop("never") is False
    assert set(live.values()) == {True}


@pytest.mark.long
def test_a_profile_without_the_figures_of_a_module_or_a_block(ge: Ge, tmp_path: Path) -> None:
    code, out, _ = ge("blocks", PLAIN, "--profile")
    assert code == 0
    head = next(line for line in out.splitlines() if "out: Linear" in line)
    assert head.split()[-4:] == ["1,290", "3.9%", "0.00256", "0.0%"], head
    _, out, _ = ge("blocks", PLAIN, "--profile", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    modules = [record["module"] for record in records if "module" in record]
    blocks = [record["block"] for record in records if "block" in record]
    assert modules[0]["parameters"] == blocks[0]["parameters"] == sum(m["own_parameters"] for m in modules)
    assert blocks[0]["parameter_share"] == 1.0


def test_a_profile_of_a_file_that_is_not_run(ge: Ge, tmp_path: Path) -> None:
    file = tmp_path / "seed.py"
    file.write_text("def helper(x):\n    return x\n")
    for words in ((PLAIN, "--static"), (file,)):
        code, _, err = ge("blocks", *words, "--profile")
        assert code == 2
        assert "error: " in err
        assert "Traceback" not in err


def test_a_file_that_does_not_run_and_lists_no_blocks(ge: Ge, tmp_path: Path) -> None:
    file = tmp_path / "seed.py"
    file.write_text("def helper(x):\n    return x\n")
    code, out, err = ge("blocks", file)
    assert code == 0
    assert "helper" in out
    assert "unknown" in err


OTHER_INPUT = {
    "numbers": "nn.Sequential(nn.Flatten(), nn.Linear(20, 2))",
    "tokens": "nn.Embedding(20, 2)",
}


@pytest.mark.parametrize("kind", everyday(OTHER_INPUT, "tokens"))
def test_blocks_of_a_model_without_images_that_do_not_name_static(ge: Ge, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "other.py"
    file.write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        f"        super().__init__()\n        self.net = {OTHER_INPUT[kind]}\n\n"
        "    def forward(self, x):\n        return self.net(x)\n"
    )
    code, out, err = ge("blocks", file)
    assert code == 0
    assert "Net.forward" in out
    assert "With --static the blocks are listed without running the model." in " ".join(err.split())


def test_plugins_and_doctor_that_name_no_origin(ge: Ge) -> None:
    code, out, _ = ge("plugins", "--names")
    assert code == 0
    for part in ("ge-engine", "operators", "mutation", "spea2", "digits"):
        assert part in out
    code, out, _ = ge("doctor")
    assert code == 0
    for part in ("torch", "cores", "model cache"):
        assert part in out


def test_a_help_text_without_examples(ge: Ge) -> None:
    code, out, _ = ge("--help")
    assert code == 0
    for command in ("evolve", "blocks", "diff", "log", "show", "export", "plugins", "doctor"):
        assert command in out
        assert "ge " + command in ge(command, "--help")[1]


@pytest.mark.long
def test_a_seed_for_other_images_is_told_what_the_task_gives(tmp_path: Path, ge: Ge) -> None:
    other = tmp_path / "other.py"
    other.write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.conv = nn.Conv2d(2, 10, 3)\n\n    def forward(self, x):\n"
        "        return self.conv(x).mean((2, 3))\n"
    )
    code, _, err = ge("evolve", other, *UNIFORM, *QUICK, "--run", tmp_path / "run")
    assert code == 2
    said = " ".join(err.split())
    assert "it takes images of 2 channels, and the task gives images of 3x32x32" in said
    assert "--channels" in said


def test_the_next_commands_name_a_program_that_the_shell_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(Path(sys.executable).parent.parent)
    assert program() == str(Path(Path(sys.executable).parent.name) / "ge")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert program() == "ge"


def test_one_of_a_thing_is_not_told_in_the_plural() -> None:
    assert [counted(1, "epoch"), counted(2, "epoch")] == ["1 epoch", "2 epochs"]


@pytest.mark.parametrize(
    ("code", "arguments", "advice"),
    [
        ("import no_such_library_at_all\n", (), "Install no_such_library_at_all where ge runs"),
        ("", ("--llm", "gpt4"), "openai:gpt4"),
        ("", ("--command", "pyton score.py {path}"), "Check its spelling"),
        ("", ("--command", "python no_such_script.py {path}"), "Fix what scores it"),
    ],
)
def test_a_start_that_fails_without_advice_or_leaves_a_folder(
    ge: Ge, tmp_path: Path, code: str, arguments: tuple[str, ...], advice: str
) -> None:
    file = tmp_path / "net.py"
    file.write_text(PLAIN.read_text() + code)
    code_, _, err = ge("evolve", file, "--llm", "uniform", *arguments, "--run", tmp_path / "run")
    assert code_ == 2
    assert advice in " ".join(err.split())
    assert not (tmp_path / "run").exists()
