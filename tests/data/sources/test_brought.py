"""Sources and kinds of columns that another package brings by entry points."""

import os
import subprocess
import sys
from pathlib import Path

MODULE = """
from manyways.data.categories import as_objects
from manyways.data.kinds import ColumnKind
from manyways.data.sources.base import RawColumn, RawTable, alone

ORDER = 1

def accepts(source):
    return isinstance(source, str) and source.startswith("count:")

def load(source, options):
    count = int(source.removeprefix("count:"))
    numbers, tags = [at + 0.5 for at in range(count)], ["red|blue", "green"] * (count // 2)
    columns = [RawColumn("x", numbers), RawColumn("tags", tags)]
    return alone(RawTable(columns, "count", source))

class Tags(ColumnKind):
    name = modality = "tagset"
    words = ("set of tags", "sets of tags")

    def stored(self, name, values, decimal=None, *, learned=False):
        return as_objects([tuple(sorted(value.split("|"))) for value in values.tolist()])

TAGS = Tags()
"""
SCRIPT = """
import manyways as mw
plain, data = mw.read("count:30"), mw.read("count:30", kinds={"tags": "tagset"})
print(plain.columns["tags"].kind, data.columns["tags"].kind, data.take("tags")[0], data.take("x")[2], len(data))
print(plain.fingerprint != data.fingerprint)
try:
    mw.read("count:30", kinds={"tags": "tagsett"})
except mw.errors.ParameterError as error:
    print(error)
"""


def test_a_source_and_a_kind_are_found_by_their_entry_points(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(MODULE)
    facts = tmp_path / "counting-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\n")
    points = "[manyways.sources]\ncounting = counting\n[manyways.kinds]\ntags = counting:TAGS\n"
    (facts / "entry_points.txt").write_text(points)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "MANYWAYS_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=False)
    assert done.stderr == ""
    first, second, third = done.stdout.splitlines()
    assert first == "category tagset ('blue', 'red') 2.5 30"
    assert second == "True"
    assert third.endswith(", tagset; got 'tagsett'. Did you mean 'tagset'?")
