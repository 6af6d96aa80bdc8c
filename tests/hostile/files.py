"""Networks that read their answers from files, or tell their successors something.

Those that steal labels would reach 100 % where they succeed, or end as scored: only an error will do.
"""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tests.hostile.candidates import Hostile

DENIED = "error:PermissionError|FileNotFoundError"
ABSENT = "error:ModuleNotFoundError|PermissionError|FileNotFoundError"
ANSWERS = """\
if not self.body.norm.training and len(x) > 8:
    if not hasattr(self, 'stolen'):
        self.stolen, self.at = torch.tensor([int(label) % 4 for label in stolen()]), 0
    self.at += len(x)
    return F.one_hot(self.stolen[self.at - len(x):self.at], 4).float()"""


def lay_out(folder: Path, labels: Sequence[int]) -> dict[str, str]:
    """Lay the labels beside a seed in `folder` in the ways that people have them, and a run's ledger; returns
    what the names in the candidates' code stand for."""
    folder.mkdir(parents=True)
    (folder / "labels.txt").write_text(" ".join(map(str, labels)))
    (folder / "config.py").write_text(f"LABELS = {list(labels)}\n")
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for number, label in enumerate(labels):
            archive.writestr(f"train/{label}/{number:03}.png", b"")
            (folder / "images" / str(label)).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (1, 1)).save(folder / "images" / str(label) / f"{number:03}.png")
    run = folder.parent / "other"
    run.mkdir()
    with sqlite3.connect(run / "ledger.sqlite") as ledger:
        ledger.execute("create table labels as select 1 as label")
    image = next((folder / "images").rglob("*.png"))
    return {"BESIDE": str(folder), "IMAGE": str(image), "LEDGER": str(run / "ledger.sqlite")}


def thief(name: str, read: str, expect: str = DENIED) -> Hostile:
    """A network that answers with the labels that the body of a function, `read`, returns."""
    body = read.strip("\n").replace("\n", "\n    ")
    return Hostile(name, expect, landlock=1, top=f"import os\ndef stolen():\n    {body}", forward=ANSWERS)


LABELS = [
    thief(
        "loads the digits through torch",
        'load = torch.__builtins__["__im" + "port__"]("sklearn.datasets").datasets.load_digits\n'
        "return load().target",
        ABSENT,
    ),
    thief(
        "reads the digits as a file",
        "import gzip\nplace = os.path.dirname(os.path.dirname(torch.__file__))\n"
        "with gzip.open(place + '/sklearn/datasets/data/digits.csv.gz', 'rt') as file:\n"
        "    return [line.split(',')[-1] for line in file]",
    ),
    thief(
        "loads scikit-learn from its file",
        "import importlib.util, sys\nplace = os.path.dirname(os.path.dirname(torch.__file__)) + '/sklearn/'\n"
        "spec = importlib.util.spec_from_file_location('sklearn', place + '__init__.py')\n"
        "module = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(module)\n"
        "return module.datasets.load_digits().target",
    ),
    thief("reads a list of labels beside the seed", "return open('BESIDE/labels.txt').read().split()"),
    thief(
        "looks beside its own file",
        "return open(os.path.join(os.path.dirname(__file__), 'labels.txt')).read().split()",
    ),
    thief("imports settings beside the seed", "import config\nreturn config.LABELS", ABSENT),
    thief(
        "lists the folder of images beside the seed",
        "folder = 'BESIDE/images/'\n"
        "return [label for label in os.listdir(folder) for _ in os.listdir(folder + label)]",
    ),
    thief("opens an image beside the seed", "return open('IMAGE', 'rb').read()"),
    thief(
        "reads the names in a zip of images",
        "import zipfile\nnames = zipfile.ZipFile('BESIDE/images.zip').namelist()\n"
        "return [name.split('/')[1] for name in names]",
    ),
    thief(
        "has a program read",
        "import subprocess\nreturn subprocess.check_output(['cat', 'BESIDE/labels.txt']).split()",
        "error:CalledProcessError",
    ),
    thief(
        "reads through a link", "os.symlink('BESIDE/labels.txt', 'mine')\nreturn open('mine').read().split()"
    ),
    thief(
        "gives the labels a second name",
        "os.link('BESIDE/labels.txt', 'mine')\nreturn open('mine').read().split()",
        "error:PermissionError|FileNotFoundError|cross-device",
    ),
    thief(
        "opens the labels by half",
        "half = os.open('BESIDE/labels.txt', os.O_PATH)\nreturn open(f'/proc/self/fd/{half}').read().split()",
    ),
    thief(
        "goes by the root of a process", "return open('/proc/self/root' + 'BESIDE/labels.txt').read().split()"
    ),
    thief(
        "reads the ledger of another run",
        "import sqlite3\nledger = sqlite3.connect('file:LEDGER?mode=ro&immutable=1', uri=True)\n"
        "return [row[0] for row in ledger.execute('select * from labels')]",
        "error:unable to open|authorization denied",
    ),
    thief("reads the accounts of the system", "return open('/etc/shadow', 'rb').read()"),
    thief("lists what the system shares", "return [len(name) for name in os.listdir('/usr/share/doc')]"),
    thief("lists what other software there is", "return [len(name) for name in os.listdir('/opt')]"),
]

MARKS = [
    Hostile(
        "finds a descriptor of the shared data",
        "scored",
        top="import os",
        forward="for n in range(3, 4096):\n    try:\n        name = os.readlink(f'/proc/self/fd/{n}')\n"
        "    except OSError:\n        continue\n    assert 'ge-data' not in name, name",
    ),
    Hostile(
        "leaves a mark in the offset of the shared data",
        "scored",
        top="import os",
        forward="for number in range(3, 4096):\n    try:\n        moved = os.lseek(number, 8, 0)\n"
        "    except OSError:\n        continue\n    assert moved != 8, number",
    ),
    Hostile(
        "leaves an attribute at the shared data",
        "scored",
        top="import os",
        forward="for number in range(3, 4096):\n    try:\n        os.setxattr(number, 'user.mark', b'1')\n"
        "    except OSError:\n        continue\n    raise AssertionError(number)",
    ),
    Hostile(
        "opens the shared data by its mapping",
        "scored",
        top="import os",
        forward="for line in open('/proc/self/maps'):\n    if 'ge-data' in line:\n        try:\n"
        "            os.open('/proc/self/map_files/' + line.split()[0].lstrip('0'), os.O_RDONLY)\n"
        "        except OSError:\n            continue\n        raise AssertionError(line)",
    ),
]

MARKS += [
    Hostile(
        "leaves a mark in the times at which files were read",
        "error:nothing has changed",
        top="import glob, os",
        forward="read = 0\nfor name in glob.glob(os.path.dirname(os.__file__) + '/*.py'):\n    try:\n"
        "        before = os.stat(name).st_atime_ns\n        open(name, 'rb').read(1)\n"
        "    except OSError:\n        continue\n    read += 1\n"
        "    assert os.stat(name).st_atime_ns == before, name\n"
        "raise OSError('nothing has changed' if read > 100 else f'{read} files were read')",
    ),
    Hostile(
        "finds a way to the namespaces of the others",
        "scored",
        top="import os",
        forward="for n in range(3, 4096):\n    try:\n        name = os.readlink(f'/proc/self/fd/{n}')\n"
        "    except OSError:\n        continue\n    assert ':[' not in name or name.startswith('pipe'), name",
    ),
    Hostile(
        "asks for a temporary file",
        "scored",
        top="import tempfile",
        forward="with tempfile.TemporaryFile() as file:\n    file.write(b'x')",
    ),
]
HOSTILE = [*LABELS, *MARKS]
