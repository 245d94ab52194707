"""compare with a checkpoint: what can start from it does, and the others are as they were."""

import json
from pathlib import Path

import pytest

import manyways as mw
from checkpoints import tiny_bert
from manyways.cli import main
from manyways.comparison.job import fields_of
from manyways.data.data import Data
from manyways.errors import ParameterError
from manyways.models.saving import load_model

pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYWAYS_HOME", str(tmp_path / "home"))


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    good, bad = ("good", "fine", "great", "lovely"), ("bad", "poor", "awful", "dull")
    lines = [f"a {good[n % 4]} film number{n},1\na {bad[n % 4]} film number{n},0" for n in range(60)]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,liked", *lines]) + "\n")
    return tmp_path / "reviews.csv"


@pytest.fixture
def bert(tmp_path: Path) -> str:
    words = ["a", "good", "fine", "great", "lovely", "bad", "poor", "awful", "dull", "film"]
    return str(tiny_bert(tmp_path / "bert", words))


@pytest.fixture
def data(reviews: Path) -> Data:
    return mw.read(str(reviews), label="liked", kinds={"text": "text", "liked": "category"})


def test_named_methods_start_from_the_checkpoint_where_they_can(data: Data, bert: str) -> None:
    found = mw.compare(
        data, methods=["linear-probe", "supervised", "linear"], labels=20, seeds=1, budget="3 steps",
        backbone=bert, workers=0,
    )  # fmt: skip
    names = {entry.name for entry in found.entries}
    assert names >= {f"linear-probe(backbone={bert!r})", f"supervised(backbone={bert!r})", "linear"}
    assert all(entry.scored for entry in found.entries), [entry.error for entry in found.entries]


def test_without_names_plain_supervision_is_from_scratch_and_others_start_from_it(data: Data, bert: str) -> None:
    from manyways.comparison.shortlist import everything, shortlist
    from manyways.comparison.tasks import task_of

    few = data.with_some_as_test(0.2).with_labels(20)
    task = task_of(few, None)
    names = set(map(str, everything(few, task, None, bert)))
    own = f"(backbone={bert!r})"
    assert names >= {"supervised", f"linear-probe{own}", f"fine-tune{own}", f"few-shot-text{own}", f"fixmatch{own}"}
    assert not names & {"linear-probe", "fixmatch", "fine-tune"}
    assert "linear" in names
    assert f"linear-probe{own}" in set(map(str, shortlist(few, task, None, bert).methods))


def test_a_checkpoint_that_reads_none_of_the_inputs_is_refused_at_once(bert: str) -> None:
    with pytest.raises(ParameterError, match="reads text, and wine has none"):
        mw.compare("wine", backbone=bert, workers=0)
    with pytest.raises(ParameterError, match="backbone must be a checkpoint's folder"):
        mw.compare("wine", backbone=3, workers=0)  # type: ignore[arg-type]


def test_another_checkpoint_in_the_same_folder_is_another_job(bert: str) -> None:
    before = fields_of(mw.LinearProbe(backbone=bert))
    weights = Path(bert) / "model.safetensors"
    weights.write_bytes(weights.read_bytes())
    assert fields_of(mw.LinearProbe(backbone=bert)) != before
    assert fields_of(mw.LinearProbe()) == fields_of(mw.LinearProbe())


def test_fit_takes_the_checkpoint_as_a_flag(
    reviews: Path, bert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--label", "liked", "--backbone", bert, "--out", str(tmp_path / "model"), "--no-store"]
    assert main(["fit", "linear-probe", str(reviews), *flags]) == 0
    model = load_model(tmp_path / "model")
    assert model.lineage.method["backbone"] == bert
    assert main(["fit", "online-sgd", str(reviews), *flags]) == 2
    assert "online-sgd has no backbone" in " ".join(capsys.readouterr().err.split())


def test_compare_takes_the_checkpoint_as_a_flag(reviews: Path, bert: str, tmp_path: Path) -> None:
    out = tmp_path / "numbers.json"
    words = ["compare", str(reviews), "--label", "liked", "--methods", "nearest-centroid", "--backbone", bert]
    assert main([*words, "--seeds", "1", "--budget", "2 steps", "--workers", "0", "--json", str(out)]) == 0
    assert f"nearest-centroid(backbone={bert!r})" in {each["name"] for each in json.loads(out.read_text())["entries"]}
