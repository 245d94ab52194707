"""Bad inputs, one test for each, through the doors that people use: refused with what is wrong and what to type."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from PIL import Image

import manyways as mw
from manyways.cli import main
from manyways.comparison.results import write_results
from manyways.errors import DataError, ModelError, NeedsError, ParameterError, TrainingError
from manyways.methods.needs import Difficulty, Label, Weight, lacking, unused
from manyways.models.model import Model
from manyways.training.events import Event

ROWS = "".join(f"{i * 7 % 11},{i * 3 % 7 / 2},{'ab'[i % 2]}\n" for i in range(40))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Forty rows of two numbers and two classes."""
    return write(tmp_path / "good.csv", "x,y,label\n" + ROWS)


@pytest.fixture
def model(good: Path) -> Model:
    """A model of two steps."""
    return mw.Supervised().fit(good, budget="2 steps")


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    """The model, saved."""
    return model.save(tmp_path / "model")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line with which `manyways words…` refuses."""
    assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    return error


# --- labels --------------------------------------------------------------------------------------


def test_missing_label_column(good: Path) -> None:
    with pytest.raises(
        DataError, match=r"no column 'labels' for the role label; columns are x, y, label\. Did you mean"
    ):
        mw.read(good, label="labels")


def test_no_label_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "plain.csv", "x,y,z\n" + ROWS)
    with pytest.raises(NeedsError, match=r'no column has that role\. Name it: label="…" with one of x, y, z'):
        mw.Supervised().fit(path, budget="2 steps")
    found = mw.compare(path, methods=["kmeans"], budget="2 steps", seeds=1, workers=0)
    assert found.conclusion is not None
    assert found.conclusion.cautions[0] == (
        "No column has the role label, so all 3 columns are inputs, and ways of clustering are compared. To compare "
        "ways of predicting a column, name it: --label z."
    )


def test_all_labels_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "bare.csv", "x,y,label\n" + "".join(f"{i % 7},{i % 5},\n" for i in range(40)))
    assert not mw.read(path).labelled.any()
    with pytest.raises(NeedsError, match="no training row has one in 'label'. Label some rows"):
        mw.Supervised().fit(path, budget="2 steps")
    with pytest.raises(DataError, match="No training row of bare has a label in the column 'label'.*Label some rows"):
        mw.compare(path)


def test_one_class(tmp_path: Path) -> None:
    path = write(tmp_path / "same.csv", "x,y,label\n" + "".join(f"{i % 7},{i % 5},a\n" for i in range(40)))
    with pytest.raises(DataError, match="All labels in the column 'label' of same are 'a'; two classes are the least"):
        mw.Supervised().fit(path, budget="2 steps")
    with pytest.raises(DataError, match="two classes are the least"):
        mw.compare(path)


def test_fewer_labels_than_classes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError, match="5 labels cannot cover 10 classes with one row each; ask for at least 10"):
        mw.compare("digits", labels=5, draw="stratified")
    assert "ask for at least 10" in refused(capsys, "compare", "digits", "--labels", "5", "--draw", "stratified")


def test_more_labels_than_there_are(good: Path) -> None:
    with pytest.raises(DataError, match="41 labels asked, but only 40 training rows of good have one"):
        mw.read(good).with_labels(41, draw="stratified")


def test_class_in_test_that_training_never_saw(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "later.csv", "x,y,label\n1,2,a\n2,3,c\n1,2.5,c\n")
    data = mw.read(good, test=path)
    why = (
        r"has 2 rows of 'c' in 'label', a class that no training row has; the model knows 'a', 'b'\. Add training rows"
    )
    with pytest.raises(DataError, match=why):
        mw.Supervised().fit(data, budget="2 steps").evaluate(data.test)
    with pytest.raises(DataError, match=why):
        mw.compare(data)
    words = ("fit", "supervised", good, "--test", path, "--out", tmp_path / "model")
    assert "has 2 rows of 'c'" in refused(capsys, *words)
    assert not list(tmp_path.glob("model*"))  # refused before anything was trained


# --- cells ---------------------------------------------------------------------------------------


def test_nan_and_infinity(tmp_path: Path) -> None:
    path = write(tmp_path / "holes.csv", "x,y,label\n1,nan,a\n2,3,b\ninf,3,a\n" + ROWS)
    with pytest.raises(DataError) as error:
        mw.Supervised().fit(path, budget="2 steps")
    assert "2 of 43 rows cannot be used" in str(error.value)
    assert "'x' is missing, NaN or infinite in 1 row (2;" in str(error.value)
    assert "'y' is missing, NaN or infinite in 1 row (0;" in str(error.value)
    assert 'bad_rows="skip"' in str(error.value)
    assert len(mw.read(path, bad_rows="skip")) == 41


def test_nan_when_predicting(model: Model) -> None:
    with pytest.raises(DataError, match=r"'x' is missing, NaN or infinite in 1 row \(1;"):
        model.predict({"x": np.array([1, np.nan]), "y": np.array([1.0, 2.0])})


def test_infinite_label() -> None:
    x, label = np.arange(30.0) ** 2, np.r_[np.inf, np.arange(29) * 0.37]
    with pytest.raises(
        DataError, match=r"The label 'label' is infinite in 1 training row of data \(0; rows count from 0"
    ):
        mw.Supervised().fit(mw.read({"x": x}, label=label), budget="2 steps")
    label[[0, 3, 7]] = 0.5, np.inf, -np.inf
    with pytest.raises(DataError, match=r"infinite in 2 training rows of data \(3, 7; rows count from 0\)\. Correct"):
        mw.Supervised().fit(mw.read({"x": x}, label=label), budget="2 steps")
    good = mw.Supervised().fit(mw.read({"x": x}, label=np.arange(30) * 0.37), budget="2 steps")
    with pytest.raises(DataError, match=r"infinite in 2 rows of data \(3, 7;"):
        good.evaluate(mw.read({"x": x}, label=label))
    with pytest.raises(DataError, match=r"'label' is infinite in 1 row \(0; rows count from 0\); a category is"):
        mw.read({"x": x}, label=np.r_[np.inf, np.arange(29) % 2])


def test_mixed_types_in_a_column(tmp_path: Path) -> None:
    why = r"'x' holds numbers in 40 rows and something else in 1, first '4o' in row 40 .*Correct the cell"
    with pytest.raises(DataError, match=why):
        mw.read(write(tmp_path / "slip.csv", "x,y,label\n" + ROWS + "4o,3,a\n"))


def test_slip_in_a_column_of_distinct_numbers(tmp_path: Path) -> None:
    """Cells that all differ look like names of rows; a slip must not have the column left out in silence."""
    rows = "".join(f"{i + 0.25},{'ab'[i % 2]}\n" for i in range(40))
    with pytest.raises(DataError, match="'x' holds numbers in 40 rows and something else in 1, first '4o' in row 40"):
        mw.read(write(tmp_path / "slip.csv", "x,label\n" + rows + "4o,a\n"))


IMAGES = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 3), np.uint8)


@pytest.mark.parametrize("sizes", ["one", "several", "missing"])
@pytest.mark.parametrize("form", ["pandas", "polars", "mapping", "arrays", "jsonl"])
def test_images_as_nested_lists(tmp_path: Path, form: str, sizes: str) -> None:
    """Once refused with `holds image values; it cannot have the kind 'image'`, or read as text."""
    pictures: list[Any] = [image[: 6 - at % 2] if sizes == "several" else image for at, image in enumerate(IMAGES)]
    held = pictures if form == "arrays" else [image.tolist() for image in pictures]
    if sizes == "missing":
        held[4] = None
    rows = {"photo": held, "x": np.linspace(0, 1.5, 30).tolist(), "label": ["a", "b"] * 15}
    source: Any = rows
    if form in ("pandas", "arrays"):
        source = pd.DataFrame(rows)
    elif form == "polars":
        source = pl.DataFrame(rows)
    elif form == "jsonl":
        lines = (json.dumps(dict(zip(rows, row, strict=True))) for row in zip(*rows.values(), strict=True))
        source = write(tmp_path / "t.jsonl", "\n".join(lines))
    if form == "polars" and sizes != "one":
        pytest.skip("polars itself has no such column of lists")
    data = mw.read(source)
    column = data.columns["photo"]
    assert column.kind == "image"
    assert column.values.shape[:2] == (30, 3)
    if sizes != "several":
        assert np.array_equal(column.take(np.array([0, 29])), IMAGES[[0, 29]].transpose(0, 3, 1, 2))
    assert (column.absent is not None) == (sizes == "missing")


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    content = "says,label\nplain words,a\na café with tables,b\n".encode("latin-1")
    path = write(tmp_path / "latin.csv", content)
    with pytest.raises(
        DataError, match=r"latin\.csv is not UTF-8: byte 0xe9 at byte offset 30, line 3.*iconv -f latin1"
    ):
        mw.read(path)


def test_undecodable_image_among_good_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number:02}.png")
    (tmp_path / "photos" / "b" / "03.png").write_bytes(b"this is no picture")
    with pytest.raises(
        DataError, match=r"1 of 24 rows cannot be used\. .*row 15: b/03\.png: it is no image.*bad_rows=\"skip\""
    ):
        mw.read(tmp_path / "photos")
    data = mw.read(tmp_path / "photos", bad_rows="skip")
    assert len(data) == 23
    assert data.take("label").tolist() == ["a"] * 12 + ["b"] * 11
    model = mw.Supervised(size=0.25).fit(data, budget="2 steps")
    assert len(model.predict(data)) == 23


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("empty.csv", "is empty; it needs a header and at least one row"),
        ("empty.json", "is empty"),
        ("empty.jsonl", "holds no rows"),
        ("empty.parquet", "cannot be read as Parquet"),
        ("empty.npy", "is no NumPy array"),
        ("empty.npz", "is damaged"),
        ("train-images-idx3-ubyte", "is no IDX file.*begins with nothing"),
    ],
)
def test_empty_file(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(DataError, match=why):
        mw.read(write(tmp_path / name, b""))


def test_header_without_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has a header and no rows below it"):
        mw.read(write(tmp_path / "bare.csv", "x,y,label\n"))


# --- values of a wrong type ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"image_size": 8.5}, "image_size must be a positive whole number or .*; got 8.5"),
        ({"image_size": "8"}, "image_size must be a positive whole number or .*; got '8'"),
        ({"image_white": "x"}, "image_white must be a number; got 'x'"),
        ({"seconds": "2"}, "seconds must be a number; got '2'"),
        ({"seconds": float("inf")}, "seconds must be above 0 and finite; got inf"),
        ({"sample_rate": 8000.5}, "sample_rate must be a whole number of samples per second; got 8000.5"),
        ({"kinds": "x=category"}, "kinds must map names of columns to kinds, .*; got 'x=category'"),
        ({"kinds": {"x": 3}}, r"kinds\['x'\] must be one of number, .*; got 3"),
        ({"bad_rows": ["skip"]}, r"bad_rows must be one of refuse, skip, fill, keep; got \['skip'\]"),
        ({"bad_rows": {"x": "a"}}, r"bad_rows\['x'\] must be a number, .*; got 'a'"),
        ({"header": "yes"}, "header must be True, False or None, .*; got 'yes'"),
        ({"part": 3}, "part must be the name of a column; got 3"),
        ({"label_pattern": 3}, "label_pattern must be a regular expression; got 3"),
        ({"label": 3}, "label must be a column name or a sequence of column names, .*; got 3"),
    ],
)
def test_options_of_a_wrong_type(good: Path, option: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        mw.read(good, **option)


def test_a_column_to_fill_that_is_not_there(good: Path) -> None:
    with pytest.raises(DataError, match="has no column 'z' to fill; those that are read are label, x, y"):
        mw.read(good, bad_rows={"z": 1.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.with_labels("40", draw="stratified"), "count must be a whole number; got '40'"),
        (lambda data: data.with_labels(4.0, draw="stratified"), "count must be a whole number; got 4.0"),
        (lambda data: data.with_labels(4, seed="0", draw="stratified"), "seed must be a whole number; got '0'"),
        (lambda data: data.with_clients("3"), "count must be a whole number; got '3'"),
        (lambda data: data.with_clients(3, alpha=None), "alpha must be a number; got None"),
        (lambda data: data.with_tasks(2.5), "count must be a whole number; got 2.5"),
        (lambda data: data.with_test("0.2"), "share must be a number; got '0.2'"),
        (lambda data: data.with_validation(None), "share must be a number; got None"),
        (lambda data: data.with_test_classes("0.2"), "share must be a number; got '0.2'"),
        (lambda data: data.with_last_as_test("0.2"), "share must be a number; got '0.2'"),
        (lambda data: data.with_inputs(5), "names must be a sequence of column names; got 5"),
    ],
)
def test_arguments_of_a_wrong_type(good: Path, change: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        change(mw.read(good))


# --- methods and their fields --------------------------------------------------------------------


def test_unknown_method(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ParameterError, match=r"no method 'fixmach'; methods are .*simclr.*Did you mean 'fixmatch'\?"):
        mw.compare("digits", methods=["fixmach"])
    with pytest.raises(AttributeError, match=r"no 'FixMach'\. Did you mean 'FixMatch'\?"):
        mw.FixMach  # noqa: B018
    assert "Did you mean 'fixmatch'?" in refused(capsys, "fit", "fixmach", "digits", "--out", "nowhere")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("supervised(learning_rate=-1)", r"Supervised\.learning_rate must be in \(0, inf\); got -1"),
        ("supervised(batch_size=2.5)", r"Supervised\.batch_size must be a whole number; got 2\.5"),
        ("supervised(learning_rat=0.1)", r"no field 'learning_rat'; its fields are .*Did you mean 'learning_rate'"),
        ("supervised(precision='float16')", r"precision must be one of 'auto', 'float32', 'bfloat16'; got 'float16'"),
        ("supervised(backbone='resnet51')", r"resnet51"),
    ],
)
def test_bad_hyperparameter(text: str, why: str) -> None:
    with pytest.raises(ParameterError, match=why):
        mw.parse_method(text).fit("digits", budget="1 step")


@pytest.mark.parametrize("budget", ["quickly", "0s", "-3 steps", "1e999 s", "5 parsecs"])
def test_bad_budget(good: Path, budget: str) -> None:
    with pytest.raises(ParameterError, match=r"[Bb]udget.* must be .*got"):
        mw.Supervised().fit(good, budget=budget)


def test_bad_field_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("fit", "supervised", "digits", "--batch-size", "0", "--out", "nowhere")
    assert "batch_size must be in [1, inf); got 0" in refused(capsys, *words)


# --- places that cannot be written ---------------------------------------------------------------


def test_unwritable_model_folder(model: Model, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"cannot be written to .*good\.csv/model: Not a directory"):
        model.save(good / "model")
    assert "good.csv is a file" in refused(capsys, "fit", "supervised", good, "--out", good / "model")


def test_folder_that_is_no_model(model: Model, tmp_path: Path) -> None:
    letter = write(tmp_path / "letter.txt", "keep me")
    with pytest.raises(ModelError, match="exists and is no model folder"):
        model.save(tmp_path)
    assert letter.read_text() == "keep me"


def test_unwritable_run_folder(good: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"good\.csv/run.* cannot be written: Not a directory\. Give another folder"
    ):
        mw.Supervised().fit(good, budget="2 steps", run=mw.Run(good / "run"))


def test_unwritable_home(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYWAYS_HOME", str(good / "home"))
    with pytest.raises(DataError, match=r"good\.csv/home.* cannot be made: Not a directory\. Set MANYWAYS_HOME"):
        mw.compare(good, methods=["supervised"], budget="2 steps")


def test_unwritable_results(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = mw.compare(good, methods=["kmeans"], budget="2 steps", seeds=1, workers=0)
    with pytest.raises(DataError, match=r"Cannot write .*good\.csv/r\.json: Not a directory"):
        write_results(found, good / "r.json")
    assert "there is no folder" in refused(capsys, "compare", good, "--json", good / "r.json")


# --- model folders that were tampered with -------------------------------------------------------


def test_changed_weights(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.safetensors has changed since the model was saved"):
        mw.load(folder)


def test_edited_description(folder: Path) -> None:
    description = folder / "model.json"
    description.write_text(description.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ModelError, match=r"model\.json has been edited since the model was saved"):
        mw.load(folder)


def test_description_that_is_no_json(folder: Path) -> None:
    write(folder / "model.json", b'{"format": 1')
    with pytest.raises(ModelError, match=r"model\.json is no JSON: .* It is damaged"):
        mw.load(folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "rows.safetensors", "model.json"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=rf"{name} is missing|has no {name}"):
        mw.load(folder)


def test_weights_of_another_shape(folder: Path) -> None:
    """Even with hashes that fit, weights that do not belong to the network are refused."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "weights.safetensors")
    name, tensor = next((name, tensor) for name, tensor in weights.items() if tensor.ndim == 2)
    save_file({**weights, name: torch.zeros(tensor.shape[0] + 1, tensor.shape[1])}, folder / "weights.safetensors")
    forge(folder)
    with pytest.raises(ModelError, match=rf"does not fit the network.*{name}"):
        mw.load(folder)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["weights.safetensors", "rows.safetensors"])
def test_pickle_posing_as_weights(folder: Path, tmp_path: Path, name: str) -> None:
    bang = tmp_path / "bang"
    torch.save({"w": Bomb(bang)}, folder / name)
    forge(folder)
    with pytest.raises(ModelError, match=rf"{name} is no (whole )?safetensors file .*pickled weights are never loaded"):
        mw.load(folder)
    assert not bang.exists()
    torch.load((folder / name).rename(tmp_path / "bomb.pt"), weights_only=False)
    assert bang.exists()  # it would have gone off


def forge(folder: Path) -> None:
    """Make the hashes in the description fit the files again."""
    saved = json.loads((folder / "model.json").read_text())
    del saved["hash"]
    saved["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in saved["files"]}
    text = json.dumps(saved, sort_keys=True)
    (folder / "model.json").write_text(json.dumps({**saved, "hash": hashlib.sha256(text.encode()).hexdigest()}))


# --- killed while a checkpoint is written --------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
import manyways as mw

replace, seen = Path.replace, 0

def dying(self, target):
    global seen
    seen += Path(target).name == "checkpoint.safetensors"
    if seen == 5:  # the whole file is on the disk, and not yet in its place
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, target)

Path.replace = dying
mw.Supervised().fit(sys.argv[1], budget="8 steps", run=mw.Run(Path(sys.argv[2]), checkpoint_seconds=0))
"""


def test_killed_in_the_middle_of_a_checkpoint(good: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(good), str(run)], check=False, capture_output=True, env=environment
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert list(run.glob(".checkpoint.safetensors.*.part"))

    heard: list[Event] = []
    resumed = mw.Supervised().fit(good, budget="8 steps", run=mw.Run(run, [heard.append]))
    # One checkpoint before the first step and one after each of the first three were in place.
    assert (heard[0].kind, heard[0].step) == ("resume", 3)
    assert heard[-1].step == 8
    unbroken = mw.Supervised().fit(good, budget="8 steps")
    for name, tensor in unbroken.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor), name


def test_damaged_checkpoint(good: Path, tmp_path: Path) -> None:
    run = mw.Run(tmp_path / "run", checkpoint_seconds=0)
    mw.Supervised().fit(good, budget="2 steps", run=run)
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"checkpoint\.safetensors is damaged .*delete it to begin the run again"):
        mw.Supervised().fit(good, budget="2 steps", run=run)


def test_checkpoint_of_another_run(good: Path, tmp_path: Path) -> None:
    run = mw.Run(tmp_path / "run")
    mw.Supervised().fit(good, budget="2 steps", run=run)
    with pytest.raises(ModelError, match="is the folder of another run: .*Give another folder"):
        mw.Supervised().fit(good, budget="2 steps", seed=1, run=run)


# --- several inputs, several outputs -------------------------------------------------------------


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Thirty pictures, each with a caption, a kind, and a kind that is always the same."""
    rows = []
    for row in range(30):
        Image.new("RGB", (8 + row % 3, 8), (8 * row, 255 - 8 * row, 99)).save(tmp_path / f"{row}.png")
        rows.append(f"{row}.png,a picture of number {row},{'ab'[row % 2]},same\n")
    return write(tmp_path / "pairs.csv", "image,caption,label,one\n" + "".join(rows))


def changed(pairs: Path, row: int, old: str, new: str) -> Path:
    """`pairs` with `old` in a row made `new`."""
    lines = pairs.read_text("utf-8").splitlines()
    assert old in lines[row + 1]
    lines[row + 1] = lines[row + 1].replace(old, new)
    return write(pairs.with_name("changed.csv"), "\n".join(lines) + "\n")


def test_a_missing_picture_is_used_or_refused_by_name(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gaps = changed(pairs, 4, "4.png", "")
    reading = ["--input", "image", "caption", "--out", tmp_path / "m", "--budget", "1 step"]
    assert main([str(word) for word in ("fit", "fusion", gaps, *reading)]) == 0
    error = refused(capsys, "fit", "clip", gaps, *reading)
    assert "1 of 30 rows (4; rows count from 0) have nothing in 'image'" in error
    assert "--bad-rows skip" in error
    assert main([str(word) for word in ("fit", "clip", gaps, *reading, "--bad-rows", "skip")]) == 0


def test_a_missing_picture_and_caption_leave_nothing(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gaps = changed(changed(pairs, 4, "4.png", ""), 4, "a picture of number 4", " ")
    error = refused(capsys, "advise", gaps, "--input", "image", "caption")
    assert "'image' is missing in 1 row (4; rows count from 0). 'caption' is empty in 1 row (4;" in error


def test_pairs_of_one_thing_or_of_three(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", tmp_path / "m"]
    assert "it needs two inputs" in refused(capsys, "fit", "clip", pairs, "--input", "image", *out)
    three = refused(capsys, "fit", "clip", pairs, "--input", "image", "caption", "label", *out)
    assert "there are 3: 'image', 'caption', 'label'. Name two" in three


def test_captions_that_are_all_the_same(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = ["--input", "image", "one", "--kinds", "one=text", "--out", tmp_path / "m"]
    assert "All 30 training rows of pairs hold the same in 'one'" in refused(capsys, "fit", "clip", pairs, *same)


def test_an_output_with_one_class(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = ["--input", "image", "--role", "label=label", "label=one", "--out", tmp_path / "m"]
    error = refused(capsys, "fit", "multi-task", pairs, *labels)
    assert "All labels in the column 'one' of pairs are 'same'; two classes are the least" in error


def test_pictures_of_several_sizes_are_scaled_to_one(pairs: Path) -> None:
    """To the median height and width; another is asked for by image_size."""
    assert mw.read(pairs).columns["image"].values.shape == (30, 3, 8, 9)
    Image.new("L", (8, 8), 200).save(pairs.with_name("0.png"))
    assert mw.read(pairs, image_size=6).columns["image"].values.shape == (30, 3, 6, 6)


# --- what is given in memory, and roles that nothing heeds --------------------------------------------


def test_a_word_among_the_numbers_to_predict(tmp_path: Path) -> None:
    prices = [f"{100 + i / 7:.2f}" for i in range(200)]
    prices[30] = "abc"
    path = write(tmp_path / "prices.csv", "a,price\n" + "".join(f"{i % 9},{p}\n" for i, p in enumerate(prices)))
    with pytest.raises(DataError, match="'price'.*'abc'"):
        mw.read(path, label="price")
    grades = write(tmp_path / "grades.csv", "a,grade\n" + "".join(f"{i % 9},{'12x'[i % 3]}\n" for i in range(60)))
    assert mw.read(grades, label="grade").classes == ("1", "2", "x")


def test_one_hot_labels() -> None:
    one_hot = torch.nn.functional.one_hot(torch.arange(50) % 3)
    with pytest.raises(DataError, match=r"'label'.* has 3 values a row.*argmax\(1\)"):
        mw.Supervised().fit((torch.randn(50, 4), one_hot), budget="2 steps")


def test_a_role_that_the_method_does_not_use() -> None:
    columns = {"x": np.arange(40.0), "w": np.ones(40), "label": ["a", "b"] * 20}
    data = mw.read(columns, label="label", input=["x"], weight="w")
    with pytest.raises(NeedsError, match="does not use the role weight, which the column 'w' has"):
        mw.Ridge().fit(data)
    assert unused(("weight",), data) is None
    assert lacking((Label, Weight), data) is None
    assert "Name it: difficulty=" in str(lacking((Difficulty,), data))


def test_a_path_in_place_of_a_model(folder: Path, good: Path) -> None:
    with pytest.raises(ParameterError, match=r"starts from a model; got the path .*mw\.load"):
        mw.FineTune().fit(good, str(folder), budget="2 steps")


def test_methods_that_are_no_list(good: Path) -> None:
    with pytest.raises(ParameterError, match=r"must be a list, or 'all'; got the text 'supervised'"):
        mw.compare(good, methods="supervised")


def test_a_sparse_tensor() -> None:
    with pytest.raises(DataError, match="must be dense.*to_dense"):
        mw.read((torch.eye(5).to_sparse(), np.arange(5)))
