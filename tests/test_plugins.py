"""A package of somebody else brings one thing of each kind, and the command line uses them all."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from manyways.errors import ModelError, ParameterError
from manyways.models.backbones import Backbone
from manyways.models.heads import HEADS, Head
from manyways.registry import Classes, load, modules_in

PACKAGE = Path(__file__).parent / "plugin"
POINTS = {
    "methods": {
        "stranger": "stranger.methods.stranger",
        "farthest": "stranger.methods.farthest",
        "stubborn": "stranger.methods.stubborn",
    },
    "models": {"strange": "stranger.methods.stranger:StrangePredictor"},
    "heads": {"strange": "stranger.methods.stranger:StrangeHead"},
    "needs": {"shade": "stranger.methods.stranger"},
    "roles": {"shade": "stranger.methods.stranger"},
    "adaptations": {"sharpened": "stranger.methods.farthest"},
    "acting_networks": {"same": "stranger.methods.stubborn"},
    "backbones": {"flat": "stranger.parts:Flat"},
    "samplers": {"backwards": "stranger.parts"},
    "views": {"jitter": "stranger.parts"},
    "decoders": {"tall": "stranger.parts"},
    "likelihoods": {"coin": "stranger.parts"},
    "kinds": {"of-columns": "stranger.parts"},
    "encoders": {"hex": "stranger.parts"},
    "targets": {"stars": "stranger.parts"},
    "metrics": {"within-one": "stranger.parts"},
    "tasks": {"shady": "stranger.parts:Shady"},
}


Run = Callable[..., subprocess.CompletedProcess[str]]
Install = Callable[[Path, str, dict[str, dict[str, str]]], None]


@pytest.fixture
def run(tmp_path: Path, install: Install) -> Run:
    """Run a script in a process of its own, where the package is installed or, `alone`, is not."""
    install(tmp_path / "site", "stranger", POINTS)

    def run_script(script: str, *, alone: bool = False) -> subprocess.CompletedProcess[str]:
        here = os.environ.get("PYTHONPATH", "")
        path = here if alone else os.pathsep.join([str(tmp_path / "site"), str(PACKAGE), here])
        return subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, text=True,
            capture_output=True, timeout=300, check=False,
        )  # fmt: skip

    return run_script


def table(folder: Path) -> None:
    """Rows of numbers, a colour and a shade, with a class and a rating."""
    rng = np.random.default_rng(0)
    lines = ["x,y,colour,dark,kind,rating"]
    for x, y in rng.normal(size=(160, 2)):
        red = int(255 / (1 + np.exp(-2 * x)))
        stars = "★" * int(np.clip(round(3 + 2 * x), 1, 5))
        lines.append(f"{x:.4f},{y:.4f},#{red:02x}00ff,{abs(y):.3f},{'warm' if x > 0 else 'cold'},{stars}")
    (folder / "t.csv").write_text("\n".join(lines))


USES = """
from manyways.cli import main

def do(*arguments):
    assert main(list(arguments)) == 0, arguments

rows = ["t.csv", "--role", "shade=dark", "--kinds", "colour=hex"]
steps = ["--budget", "400 steps"]
do("fit", "stranger", *rows, "--label", "kind", "--input", "x", "y", "colour", *steps, "--out", "m",
   "--sampler", "backwards", "--backbone", "one-layer")
do("predict", "m", "t.csv", "--out", "p.csv")
do("fit", "supervised", "t.csv", "--label", "rating", "--kinds", "rating=stars", "--input", "x", "y",
   *steps, "--out", "stars", "--view", "jitter")
do("predict", "stars", "t.csv", "--out", "s.csv")
do("fit", "vae", "digits", "--decoder", "tall", "--likelihood", "coin", "--budget", "2 steps", "--out", "v")
do("fit", "farthest", "digits", "--budget", "2 steps", "--out", "few")
do("fit", "stubborn", "FrozenLake-v1", "--out", "policy")
do("compare", *rows, "--label", "kind", "--input", "x", "y", "colour", "--methods", "stranger", "supervised",
   "--budget", "20 steps", "--seeds", "1", "--json", "r.json")
do("methods", "stranger")
"""

AGAIN = """
import json, sys
import manyways as mw
from manyways.cli import main
model = mw.load("m")
found = {name: mw.load(name) for name in ("m", "stars", "v", "few", "policy")}
assert main(["predict", "m", "t.csv", "--out", "p2.csv"]) == 0
print(json.dumps({
    "model": type(model).__name__, "darkest": model.darkest, "head": model.network.head.name,
    "backbones": [part.config["name"] for part in model.network.parts], "inputs": sorted(model.inputs.encoders),
    "target": found["stars"].target.kind, "decoder": found["v"].network.decoder.name,
    "likelihood": found["v"].network.likelihood.name, "adaptation": found["few"].adaptation.to_json(),
    "acting": found["policy"].network.name,
}))
"""


def test_a_package_brings_one_of_each_and_the_command_line_uses_them_all(run: Run, tmp_path: Path) -> None:
    table(tmp_path)
    used = run(USES)
    assert used.returncode == 0, used.stderr[-3000:]
    assert "a shade for each row" in used.stdout
    predicted = (tmp_path / "p.csv").read_text().splitlines()
    truth = [line.split(",")[4] for line in (tmp_path / "t.csv").read_text().splitlines()[1:]]
    right = np.mean([line.split(",")[1] == kind for line, kind in zip(predicted[1:], truth, strict=True)])
    assert right > 0.9
    assert set((tmp_path / "s.csv").read_text().split("\n")[1].split(",")[1]) == {"★"}
    results = json.loads((tmp_path / "r.json").read_text())
    assert [entry["reference"] for entry in results["entries"]] == [False, False, True]

    again = run(AGAIN)
    assert again.returncode == 0, again.stderr[-3000:]
    told = json.loads(again.stdout.splitlines()[-1])
    assert told.pop("darkest") >= 0
    assert told == {
        "model": "StrangePredictor", "head": "strange-head", "backbones": ["one-layer", "one-layer"],
        "inputs": ["colour", "table"], "target": "stars", "decoder": "tall", "likelihood": "coin",
        "adaptation": {"by": "sharpened", "factor": 3.0}, "acting": "same",
    }  # fmt: skip
    assert (tmp_path / "p2.csv").read_text() == (tmp_path / "p.csv").read_text()

    without = run("import manyways as mw\nmw.load('m')", alone=True)
    assert "There is no model 'strange-predictor'; models are" in without.stderr
    assert "A package brings another by the entry points manyways.models." in without.stderr


def test_a_package_that_is_broken_is_left_out_with_a_warning(tmp_path: Path) -> None:
    point = EntryPoint("odd", "not_there_at_all", "manyways.heads")
    with pytest.warns(RuntimeWarning, match=r"'odd' in manyways.heads .* cannot be loaded and is left out: .*Upgrade"):
        assert load(point) is None


def test_two_of_one_name_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("linear", "manyways.models.heads:NormalisedHead", "manyways.heads")
    monkeypatch.setattr("manyways.registry.points_of", lambda group: (point,))
    heads: Classes[Head] = Classes("heads", Head, "manyways.models.heads")
    assert heads.find("linear").__name__ == "LinearHead"
    assert list(heads.all()) == ["linear", "normalised", "joint", "similarity"]


def test_a_name_is_found_whatever_its_dashes_and_an_unknown_one_is_told() -> None:
    assert HEADS.find("Linear") is HEADS.find("linear")
    with pytest.raises(ParameterError, match=r"There is no head 'linaer'; heads are linear, .*Did you mean 'linear'\?"):
        HEADS.find("linaer")
    with pytest.raises(ModelError, match="There is no head 'os.system'"):
        HEADS.rebuild({"name": "os.system"})
    with pytest.raises(ModelError, match="must be an object of JSON"):
        HEADS.rebuild(["linear"])


def test_entries_stand_in_the_order_of_their_files_whichever_was_found_first() -> None:
    first: Classes[Backbone] = Classes("backbones", Backbone, "manyways.models.backbones")
    second: Classes[Backbone] = Classes("backbones", Backbone, "manyways.models.backbones")
    first.find("vit")
    assert list(first) == list(second)


def test_modules_are_those_of_a_folder_without_private_ones() -> None:
    found = modules_in("manyways.models.backbones")
    assert "manyways.models.backbones.resnet" in found
    assert not any("._" in module for module in found)
    assert modules_in("manyways.models.heads") == ("manyways.models.heads",)


def test_a_registry_reads_no_more_than_it_must() -> None:
    script = (
        "import sys\nfrom manyways.models.backbones import BACKBONES\nBACKBONES.find('perceptron')\n"
        "print('manyways.models.backbones.vit' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "False"
