"""The commands of the store: what they print, ask and refuse."""

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import manyways as mw
from manyways.cli import main
from manyways.data.columns import id_text
from manyways.data.data import Data
from manyways.testing.trial import difference

Capture = pytest.CaptureFixture[str]
CHAIN = "linear-probe(penalty=1.0) >> distill(size=0.25)"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with the store, and beside it the model, that `manyways fit` made; and what it said."""
    folder = tmp_path_factory.mktemp("made")
    words = ["fit", f"{CHAIN}", str(faces), "--role", "subject=person", "--test-share", "0.2"]
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, contextlib.redirect_stdout(said):
        patched.setenv("MANYWAYS_HOME", str(folder / "home"))
        assert main([*words, "--budget", "4 steps", "--out", str(folder / "model")]) == 0
    return folder, said.getvalue()


@pytest.fixture
def out(made: tuple[Path, str], here: Path, home: Path) -> Path:
    """The model's folder; the store is in this test's home."""
    shutil.copytree(made[0] / "home", home, dirs_exist_ok=True)
    return made[0] / "model"


def run(capsys: Capture, *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_fit_keeps_the_model_unless_told_not_to(
    out: Path, made: tuple[Path, str], faces: Path, store: mw.Store, capsys: Capture
) -> None:
    *_, record = store.models()
    assert re.search(rf"^lineage +kept in the store as {record.short}$", made[1], re.MULTILINE)
    assert record.copies == (str(out),)
    assert set(record.metrics) >= {"accuracy"}
    words = ["fit", "linear-probe(penalty=2.0)", str(faces), "--out", "other", "--no-store"]
    code, said, _ = run(capsys, *words)
    assert code == 0
    assert "store" not in said
    assert len(store.models()) == 3


def test_what_cannot_be_kept_is_saved_all_the_same(
    faces: Path, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("manyways.lineage.store.weight_store.folder_hash", full)
    code, _, err = run(capsys, "fit", "linear-probe(penalty=1.0)", str(faces), "--out", "model")
    assert code == 2
    assert "the disk is full. The model itself is saved: model." in err
    assert mw.load(here / "model").predict(mw.read(faces)).shape == (240,)


def test_lineage_draws_the_family(out: Path, capsys: Capture, here: Path) -> None:
    code, said, _ = run(capsys, "lineage", str(out), "--picture", "tree.svg", "--rows", "rows.txt")
    assert code == 0
    lines = said.splitlines()
    assert re.match(rf"{re.escape(CHAIN)}  \[[0-9a-f]{{10}}\]", lines[0])
    assert re.match(r"├── 1-linear-probe: linear-probe\(.*\)  \[[0-9a-f]{10}\]  180 rows of faces", lines[1])
    assert re.match(r"└── 2-distill: distill\(size=0.25\)  \[[0-9a-f]{10}\]  180 rows of faces · 2 steps", lines[2])
    assert re.match(r"    └── start: linear-probe\(penalty=1.0\)  \[[0-9a-f]{10}\]  180 rows of faces", lines[3])
    assert "rows      180 reached it" in lines
    assert any(line.startswith("subjects  9: person-") for line in lines)
    assert f"copy      {out}" in lines
    picture = ElementTree.parse(here / "tree.svg").getroot()
    titles = [node.text for node in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert sorted(titles, key=str) == ["distill(size=0.25)", "linear-probe(penalty=1.0)", CHAIN]
    assert len((here / "rows.txt").read_text(encoding="utf-8").split()) == 180


def test_lineage_says_whom_rows_reached(out: Path, people: Data, capsys: Capture, store: mw.Store) -> None:
    code, said, _ = run(capsys, "lineage", "--subject", "person-1")
    assert code == 0
    assert said.startswith("'person-1' reached 3 models.")
    assert len(re.findall(r"^[0-9a-f]{10}", said, re.MULTILINE)) == 3
    row = id_text(store.rows_of(out)[0])
    assert run(capsys, "lineage", "--row", row)[1].startswith("The row reached 3 models.")
    assert run(capsys, "lineage", str(out), "--row", row)[1].startswith(f"The row reached {CHAIN}")
    for words, match in [
        (("--row", "xyz"), "32 hexadecimal digits; got 'xyz'"),
        (("--subject", "nobody"), "has a subject 'nobody'"),
        ((), "Name a MODEL, or what is to be looked for"),
        (("--subject", "a", "--row", row), "two questions"),
        (("--subject", "a", "--picture", "x.svg"), "are of one model"),
        (("nothing",), "There is no model 'nothing'"),
    ]:
        code, _, err = run(capsys, "lineage", *words)
        assert (code, match in err) == (2, True), err


def test_queries_load_no_torch(out: Path) -> None:
    script = "import sys\nfrom manyways.cli import main\nmain(sys.argv[1:])\nassert 'torch' not in sys.modules"
    for words in (["lineage", str(out)], ["lineage", "--subject", "person-1"], ["store", "list"]):
        subprocess.run([sys.executable, "-c", script, *words], check=True, capture_output=True)


def test_forget_shows_a_plan_asks_and_tells(
    out: Path, faces: Path, capsys: Capture, store: mw.Store, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said, err = run(capsys, "forget", "--subject", "person-1", "--plan")
    assert (code, err) == (0, "")
    assert said.startswith("20 rows of person-1 reached 3 models:")
    assert len(re.findall("bitwise", said)) == 3
    assert f"A copy outside of the store will hold the model as it was: {out}" in said
    code, _, err = run(capsys, "forget", "--subject", "person-1")
    assert code == 2
    assert "Nobody can be asked" in err
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for said_by_person in ("n\n", "\n"):
        monkeypatch.setattr(sys.stdin, "readline", lambda said=said_by_person: said, raising=False)
        code, _, err = run(capsys, "forget", "--subject", "person-1")
        assert code == 2
        assert "was not agreed to" in err
    monkeypatch.setattr(sys.stdin, "readline", lambda: "y\n", raising=False)
    code, said, _ = run(capsys, "forget", "--subject", "person-1", "--report", "report.html")
    assert code == 0
    assert "forgotten 20 rows; the store holds nothing of them" in said
    assert f"receipt   {here / 'forgotten-1.json'}" in said
    assert f"{out} holds a model as it was: delete it, or save a new one there" in said
    assert "<svg" in (here / "report.html").read_text(encoding="utf-8")
    code, said, _ = run(capsys, "verify", "forgotten-1.json")
    assert code == 0
    assert f"has this machine read, by path or else from the Hugging Face Hub:\n  {faces}\nand learn 3 models" in said
    assert "The receipt holds." in said
    code, _, err = run(capsys, "forget", "--subject", "person-1", "--how", "retrain", "--yes")
    assert code == 2
    assert "or its rows are forgotten already" in err
    data = mw.read(faces, subject="person").with_test(0.2)
    rest = data.without(data.select(data.take("person") == "person-1").ids)
    expected = mw.parse_method(CHAIN).fit(rest, budget=4)
    newest = store.models()[-1]
    assert run(capsys, "store", "save", newest.short, "--out", "new")[0] == 0
    assert difference(mw.load(here / "new"), expected) is None
    said = run(capsys, "lineage", str(out))[1]
    assert "it is not in the store, or is there no longer; so says its folder" in said
    assert "rows      180 shaped it" in said


def test_rows_are_named_by_a_file(out: Path, faces: Path, here: Path, capsys: Capture, store: mw.Store) -> None:
    ids = store.rows_of(out)[:3]
    (here / "ids.txt").write_text("\n".join(map(id_text, ids)), encoding="utf-8")
    assert run(capsys, "forget", "--rows", "ids.txt", "--plan")[1].startswith("3 rows reached 3 models:")
    with np.load(faces) as held:
        np.savez(here / "some.npz", **{name: held[name][:5] for name in held})
    assert re.match("5 rows reached 3 models", run(capsys, "forget", "--rows", "some.npz", "--plan")[1])
    np.savez(here / "others.npz", images=np.zeros((2, 8, 8), np.uint8), labels=[0, 1], person=["a", "b"])
    code, _, err = run(capsys, "forget", "--rows", "others.npz", "--plan")
    assert code == 2
    assert "None of the 2 rows is known to the store" in err
    (here / "words.txt").write_text("no ids", encoding="utf-8")
    assert "names no rows of the store" in run(capsys, "forget", "--rows", "words.txt", "--plan")[2]
    assert "Say what is to be forgotten" in run(capsys, "forget", "--yes")[2]


@pytest.mark.parametrize("words", [("--subject", "person-1"), ("--rows", "ids.txt"), ("--rows", "some.npz")])
def test_what_is_done_already_is_said_with_the_place_of_its_receipt(
    out: Path, faces: Path, here: Path, capsys: Capture, store: mw.Store, words: tuple[str, str]
) -> None:
    (here / "ids.txt").write_text("\n".join(map(id_text, store.rows_of(out)[:3])), encoding="utf-8")
    with np.load(faces) as held:
        np.savez(here / "some.npz", **{name: held[name][:5] for name in held})
    assert run(capsys, "forget", *words, "--yes")[0] == 0
    code, said, err = run(capsys, "forget", *words, "--yes", "--report", "again.html")
    assert (code, err) == (0, "")
    assert said.startswith("This has been carried out already, at 20")
    assert f"receipt   {here / 'forgotten-1.json'}" in said
    assert not (here / "forgotten-2.json").exists()
    assert "forgotten" in (here / "again.html").read_text(encoding="utf-8")
    (here / "forgotten-1.json").rename(here / "elsewhere.json")
    code, _, err = run(capsys, "forget", *words, "--yes")
    assert (code, "forgotten already" in err) == (2, True)
    assert run(capsys, "forget", *words, "--yes", "--receipt", "elsewhere.json")[0] == 0
    assert run(capsys, "forget", "--subject", "person-2", "--yes", "--receipt", "elsewhere.json")[0] == 0


def test_rows_are_counted_as_a_person_counts_them(here: Path, capsys: Capture, store: mw.Store) -> None:
    rng = np.random.default_rng(0)
    x, who = rng.normal(size=(60, 2)), [f"person-{at % 6}" for at in range(60)]
    x[[12, 18]] = x[6]  # person-0 wrote three lines that are the same
    lines = [f"{a:.3f},{b:.3f},{'ab'[at % 2]},{who[at]}" for at, (a, b) in enumerate(x)]
    (here / "people.csv").write_text("\n".join(["x,y,label,who", *lines]), encoding="utf-8")
    data = mw.read("people.csv", label="label", subject="who")
    mw.LinearProbe(penalty=1.0).fit(data, run=mw.Run(store=store))
    mw.KMeans(clusters=2).fit(data.with_test(0.2), run=mw.Run(store=store))
    said = "10 rows (8 distinct)"
    assert run(capsys, "forget", "--subject", "person-0", "--plan")[1].startswith(
        f"{said} of person-0 reached 2 models"
    )
    code, text, _ = run(capsys, "forget", "--subject", "person-0", "--yes", "--report", "report.html")
    assert code == 0
    assert f"forgotten {said}; the store holds nothing of them" in text
    assert f"<h1>{said} of person-0 were forgotten</h1>" in (here / "report.html").read_text(encoding="utf-8")
    request = json.loads((here / "forgotten-1.json").read_text(encoding="utf-8"))["request"]
    assert (request["counted"], request["rows"]) == (10, 8)


def test_a_forgetting_can_be_given_up(out: Path, capsys: Capture) -> None:
    code, said, _ = run(capsys, "forget", "--abandon")
    assert (code, said.strip()) == (0, "No forgetting has been begun.")


def test_store_lists_checks_and_saves(out: Path, capsys: Capture, store: mw.Store) -> None:
    code, said, _ = run(capsys, "store", "list")
    assert code == 0
    assert said.startswith(f"3 models in {store.folder}")
    code, said, _ = run(capsys, "store", "check")
    assert (code, said.splitlines()[-1]) == (0, "All is whole.")
    weights = store.weights.place(store.models()[0].weights)
    (store.weights.folder / "00").mkdir()
    moved = weights.rename(store.weights.folder / "00" / ("0" * 64))
    code, said, _ = run(capsys, "store", "check")
    assert code == 1
    assert f"wrong: {weights} is missing" in said
    assert f"no model has: {moved}" in said
    code, said, _ = run(capsys, "store", "check", "--remove-orphans")
    assert f"deleted: {moved}" in said
    for words, match in [
        (("save",), "Name the model and the folder"),
        (("list", "abc"), "leave MODEL and --out out"),
        (("list", "--remove-orphans"), "belongs to `manyways store check`"),
        (("save", "zz", "--out", "new"), "There is no model 'zz'"),
    ]:
        code, _, err = run(capsys, "store", *words)
        assert (code, match in err) == (2, True), err
