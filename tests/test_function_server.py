"""Calls of a function as forks of a process that has loaded it (Linux): what a fork must not change."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ge_engine.contracts import Job
from ge_engine.outcome import Failed, Outcome, Scored
from tests.patience import PATIENT
from tests.test_command import opened, result, with_class

WAYS = ("spawn", "fork")
HEAD = """\
import json, os, sys, tempfile, time
with open(os.path.join(os.path.dirname(__file__), "loads"), "a") as loads:
    loads.write("loaded\\n")
def told(**seen):
    return {"accuracy": 1, "parameters": 1, "feedback": json.dumps(seen)}
"""


class Own:
    """A file of a function beside the records of how often it was loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "job.py"

    def write(self, body: str, head: str = "") -> None:
        self.file.write_text(f"{HEAD}{head}\ndef score(path, budget):\n{body}\n")

    @property
    def loads(self) -> int:
        return len((self.folder / "loads").read_text().splitlines())

    def outcomes(self, *names: str, way: str = "fork", **settings: Any) -> list[Outcome]:
        """Of candidates with a class of such a name, one after the other."""
        with opened(
            self.folder, "function", f"{self.file}:score", start_method=way, **settings
        ) as evaluation:
            return [result(evaluation, with_class(name)) for name in names]


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return Own(tmp_path)


def seen(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Scored), outcome
    return dict(json.loads(outcome.details["feedback"]))


def gone(pid: int) -> bool:
    """Whether a process has ended, within a while."""
    end = time.monotonic() + PATIENT
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.02)
    return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


SURROUNDINGS = """\
    return told(
        pid=os.getpid(), leader=os.getsid(0), folder=os.path.dirname(path), argv=sys.argv,
        places=[tempfile.gettempdir(), os.environ["HOME"], os.getcwd(), sys.path[0]],
        names=sorted(os.environ), fds=sorted(os.readlink(f"/proc/self/fd/{n}") for n in "012"),
        count=len(os.listdir("/proc/self/fd")), main=sys.modules["__main__"].__name__,
    )"""


def test_a_fork_that_loads_its_file_again_or_has_other_surroundings_than_a_new_process(own: Own) -> None:
    own.write(SURROUNDINGS, "tempfile.gettempdir()")
    found = {way: [seen(o) for o in own.outcomes("A", "B", way=way, workdir="{folder}")] for way in WAYS}
    assert own.loads == 2 + 1
    for each in found.values():
        assert len({one["pid"] for one in each}) == len({one["leader"] for one in each}) == 2
        assert len({one["folder"] for one in each}) == 2
        for one in each:
            assert one["places"] == [one["folder"]] * 4
            assert one["argv"] == [f"{one['folder']}/{Path(one['argv'][0]).name}"]
    new, fork = (found[way][0] for way in WAYS)
    for name in ("names", "count", "main"):
        assert fork[name] == new[name]
    assert [Path(one).name for one in fork["fds"]] == [Path(one).name for one in new["fds"]]


ENDS = {
    "an exception": "    raise ValueError('no such data')",
    "words for an exit": "    sys.exit('no such data')",
    "an exit": "    sys.exit(3)",
    "an exit at once": "    os._exit(4)",
    "an exit without a word": "    sys.exit()",
    "a signal": "    os.kill(os.getpid(), 15)",
    "a crash": "    os.kill(os.getpid(), 11)",
    "the end of its group": "    os.killpg(0, 6)",
    "no mapping": "    return [1]",
    "a figure too few": "    return {'accuracy': 1}",
    "a failure at exit": "    import atexit; atexit.register(os._exit, 7); return told()",
    "an answer that is printed late": "    import atexit; atexit.register(print, 'bye'); return told()",
    "closed output": "    os.close(1); return told()",
    "more memory than it may have": "    return told(size=len(bytearray(2**31)))",
    "a thread that goes on": "    import threading\n"
    "    threading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()\n    return told()",
}


def test_a_fork_that_ends_otherwise_than_a_new_process(own: Own) -> None:
    """All in one file, by the name of the candidate's class."""
    numbers = {f"C{number}": name for number, name in enumerate(ENDS)}
    cases = "".join(f"def C{number}(path):\n{ENDS[name]}\n" for number, name in enumerate(ENDS))
    own.write(
        "    import re\n    return globals()[re.search(r'class (C\\d+)', open(path).read())[1]](path)", cases
    )

    def plain(way: str) -> dict[str, Any]:
        outcomes = own.outcomes(*numbers, way=way, memory_gib=1.0)
        return {numbers[name]: one for name, one in zip(numbers, outcomes, strict=True)}

    new, fork = (plain(way) for way in WAYS)
    assert fork == new
    assert {type(one) for one in fork.values()} == {Failed}


def test_a_file_that_cannot_be_loaded_is_told_otherwise_than_by_its_own_error(
    own: Own, capfd: pytest.CaptureFixture[str]
) -> None:
    own.write("    return told()", "raise ValueError('no such data')")
    new, fork = (own.outcomes("A", way=way)[0] for way in ("spawn", "auto"))
    assert new == fork
    assert isinstance(new, Failed)
    assert "ValueError: no such data" in new.reason
    assert "starts a Python" not in capfd.readouterr().err


LEAVING = """\
    import subprocess
    before = list(STATE), os.environ.get("LEFT"), os.path.exists("left")
    STATE.append(1)
    os.environ["LEFT"] = "1"
    json.loads = None
    open("left", "w")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
    return told(before=before, child=child.pid, sound=json.loads is None)"""


def test_a_call_that_finds_what_another_has_left(own: Own) -> None:
    own.write(LEAVING, "STATE = []")
    found = [seen(one) for one in own.outcomes("A", "B", workdir="{folder}")]
    assert own.loads == 1
    assert [one["before"] for one in found] == [[[], None, False]] * 2
    assert all(gone(one["child"]) for one in found)


UNSAFE = {
    "threads run": "import threading\nthreading.Thread(target=time.sleep, args=[3600], daemon=True).start()",
    "starts processes": "import subprocess\nCHILD = subprocess.Popen(['sleep', '3600'])",
    "keeps .*job.py open": "KEPT = open(__file__)",
    "makes temporary files": "KEPT = tempfile.mkdtemp()",
    "its PLACES holds a path": "PLACES = {'a': [tempfile.gettempdir()]}",
    "loading it once fails: FileNotFoundError": "SOURCE = open(sys.argv[0]).read()",
    "uses CUDA": "import types\nsys.modules['torch'] = types.SimpleNamespace("
    "cuda=types.SimpleNamespace(is_initialized=lambda: True))",
    "ends the process": "if sys.argv[0].find('/loaded/') > 0: os._exit(3)",
}


@pytest.mark.parametrize(("why", "head"), UNSAFE.items(), ids=UNSAFE)
def test_a_file_that_forks_would_share_too_much_of(
    own: Own, capfd: pytest.CaptureFixture[str], why: str, head: str
) -> None:
    own.write("    return told()", head)
    assert [type(one) for one in own.outcomes("A", "B")] == [Scored] * 2
    (line,) = capfd.readouterr().err.splitlines()
    assert re.search(f"^Each call of job.py:score starts a Python of its own: .*{why}", line)
    assert own.loads == 2 + 1


def test_a_file_that_is_forked_as_it_was_before_a_change(own: Own) -> None:
    (own.folder / "neighbour.py").write_text("VALUE = 1")
    own.write("    return told(value=neighbour.VALUE)", "import neighbour")
    with opened(own.folder, "function", f"{own.file}:score", start_method="fork") as evaluation:
        found = [seen(result(evaluation, with_class("A")))]
        (own.folder / "neighbour.py").write_text("VALUE = 25")
        found.append(seen(result(evaluation, with_class("B"))))
        own.write("    return told(value=-neighbour.VALUE)", "import neighbour")
        found += [seen(result(evaluation, with_class(name))) for name in "CD"]
    assert [one["value"] for one in found] == [1, 25, -25, -25]
    assert own.loads == 3


@pytest.mark.parametrize(("head", "different"), [("", 2), ("random.seed(1); numpy.random.seed(1)", 1)])
def test_forks_that_draw_alike_where_new_processes_do_not(own: Own, head: str, different: int) -> None:
    own.write(
        "    return told(drawn=[random.random(), numpy.random.rand()])",
        f"import random, numpy\nnumpy.random\n{head}",
    )
    found = [seen(one)["drawn"] for one in own.outcomes("A", "B")]
    assert own.loads == 1
    for each in zip(*found, strict=True):
        assert len(set(each)) == different


WAITING = """\
    folder = os.path.dirname(__file__)
    if "Waiting" in open(path).read():
        with open(os.path.join(folder, f"waits {os.getpid()}"), "w"):
            while not os.path.exists(os.path.join(folder, "go")):
                time.sleep(0.02)
    return told(pid=os.getpid())"""


def waiting(folder: Path) -> int:
    """The process that waits, once there is one."""
    while not (found := list(folder.glob("waits *"))):
        time.sleep(0.02)
    return int(found[0].name.split()[1])


def test_a_call_that_is_lost_with_the_process_that_forked_it(own: Own) -> None:
    own.write(WAITING)
    with opened(
        own.folder, "function", f"{own.file}:score", start_method="fork", timeout=900.0
    ) as evaluation:
        first = evaluation.submit(Job("x", with_class("Waiting"), 0))
        pid = waiting(own.folder)
        os.kill(parent(parent(pid)), signal.SIGKILL)
        assert gone(pid)
        (own.folder / "go").write_text("")
        assert seen(first.result(PATIENT))["pid"] != pid
        assert own.loads == 2
        assert isinstance(result(evaluation, with_class("Other")), Scored)
        assert isinstance(result(evaluation, with_class("Another")), Scored)
        assert own.loads == 3


KILLING = """\
    reached = []
    if "Killer" in open(path).read():
        pid = os.getppid()
        while pid > 1:
            with open(f"/proc/{pid}/cmdline") as file:
                ours = "function_server" in file.read()
            with open(f"/proc/{pid}/stat") as file:
                above = int(file.read().rpartition(")")[2].split()[1])
            if ours:
                try:
                    os.kill(pid, 9)
                    reached.append(pid)
                except PermissionError:
                    pass
            pid = above
    return told(reached=reached)"""


def test_a_candidate_whose_neighbours_are_lost_as_it_kills_what_is_above_it(own: Own) -> None:
    own.write(KILLING)
    killer, *others = own.outcomes("Killer", "A", "Killers", "B")
    assert [seen(one)["reached"] for one in (others[0], others[2])] == [[], []]
    assert isinstance(killer, Failed) or seen(killer)["reached"] == []


@pytest.mark.parametrize("when", ["its time is over", "the evaluation is closed"])
def test_a_call_that_outlives_its_end(own: Own, when: str) -> None:
    own.write(
        "    import subprocess\n    subprocess.Popen(['sleep', '3600'], start_new_session=True)\n" + WAITING
    )
    timeout = 3.0 if when == "its time is over" else 900.0
    with opened(
        own.folder, "function", f"{own.file}:score", start_method="fork", timeout=timeout
    ) as evaluation:
        left = evaluation.submit(Job("x", with_class("Waiting"), 0))
        if timeout < 900:
            assert left.result(PATIENT) == Failed("command", "timeout", "still running after 3 s")
        pid = waiting(own.folder)
    assert gone(pid)
    assert isinstance(left.result(), Failed)
    assert not list((own.folder / "scratch").glob("loaded/*"))


ENGINE = """\
import sys
from pathlib import Path
from ge_engine.contracts import Job
from tests.test_command import opened, with_class
folder = Path(sys.argv[1])
with opened(folder, "function", f"{folder}/job.py:score", start_method="fork", timeout=900.0) as evaluation:
    evaluation.submit(Job("x", with_class("Waiting"), 0)).result()
"""


def test_a_call_that_outlives_an_engine_that_is_killed(own: Own) -> None:
    own.write(WAITING)
    root = Path(__file__).parent.parent
    with subprocess.Popen([sys.executable, "-c", ENGINE, str(own.folder)], cwd=root) as engine:
        pid = waiting(own.folder)
        above = [pid, parent(pid), parent(parent(pid)), parent(parent(parent(pid)))]
        engine.kill()
    assert above[-1] != engine.pid
    assert all(map(gone, above))


def test_a_file_that_loads_without_end_and_holds_up_the_end_of_a_run(own: Own) -> None:
    own.write("    return told()", "time.sleep(3600)")
    with opened(own.folder, "function", f"{own.file}:score", timeout=900.0) as evaluation:
        left = [evaluation.submit(Job(name, with_class(name), 0)) for name in "AB"]
        while not (own.folder / "loads").exists():
            time.sleep(0.02)
    assert all(one.cancelled() or isinstance(one.result(), Failed) for one in left)


def remarks(own: Own, **settings: object) -> list[str]:
    with opened(own.folder, "function", f"{own.file}:score", **settings) as evaluation:
        return list(evaluation.remarks)


def test_a_slower_way_of_which_nobody_is_told(own: Own) -> None:
    own.write("    return told()")
    said = "Each call of the function starts a Python of its own: --sandbox bwrap."
    assert remarks(own, sandbox="bwrap") == [said]
    assert remarks(own) == remarks(own, start_method="spawn") == []
