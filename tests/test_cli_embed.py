"""`manyways embed`: vectors of rows of any kind, in three formats."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import manyways as mw
from manyways.cli import main
from manyways.methods.metric_learning.sentence_pairs import SentencePairs
from manyways.models.sentence_encoder import SentenceEncoder

PAIRS = SentencePairs.example_data()


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """The exit code and stderr of `manyways embed words…`."""
    code = main(["embed", *map(str, words)])
    return code, capsys.readouterr().err


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = SentencePairs(batch_size=16, size=0.5, matryoshka=(8,)).fit(PAIRS, budget=2)
    return model.save(tmp_path_factory.mktemp("models") / "encoder")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables") / "rows.csv"
    texts = {name: PAIRS.columns[name].take(np.arange(20)).tolist() for name in "ab"}
    pl.DataFrame({**texts, "number": list(range(20))}).write_csv(path)
    return path


def test_texts_become_vectors_of_length_one_in_each_format(
    encoder: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = mw.load(encoder)
    assert isinstance(model, SentenceEncoder)
    texts = PAIRS.columns["a"].take(np.arange(20)).tolist()
    for ending in (".npy", ".csv", ".parquet"):
        out = tmp_path / f"vectors{ending}"
        code, err = run(capsys, encoder, table, "--input", "a", "--out", out)
        assert code == 0, err
        assert f"20 vectors of {model.network.width} features: {out}" in err
        if ending == ".npy":
            vectors = np.load(out)
        else:
            frame = pl.read_csv(out) if ending == ".csv" else pl.read_parquet(out)
            assert frame["row"].to_list() == list(range(20))
            vectors = frame["vector"].to_numpy() if ending == ".parquet" else frame.drop("row").to_numpy()
        np.testing.assert_allclose(vectors, model.embed(texts), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_both_texts_stand_side_by_side_and_fewer_features_are_scaled_anew(
    encoder: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "vectors.npy"
    code, err = run(capsys, encoder, table, "--out", out, "--size", 8)
    assert (code, "caution" in err) == (0, False)
    vectors = np.load(out)
    assert vectors.shape == (20, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :8], axis=1), 1, rtol=1e-5)
    code, err = run(capsys, encoder, table, "--out", out, "--size", 7)
    assert code == 0
    assert "caution: the model was not trained for vectors of 7 features (matryoshka: 8)." in err


def test_any_model_that_embeds_will_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wine = mw.read("wine")
    model = mw.SimCLR(batch_size=16).fit(wine, budget=1)
    place, out = model.save(tmp_path / "model"), tmp_path / "vectors.npy"
    assert run(capsys, place, "wine", "--out", out)[0] == 0
    np.testing.assert_array_equal(np.load(out), model.embed(wine))
    assert run(capsys, place, "wine", "--out", out, "--size", 3)[0] == 0
    np.testing.assert_array_equal(np.load(out), model.embed(wine)[:, :3])
    code, err = run(capsys, place, "wine", "--out", out, "--size", 30_000)
    assert (code, "--size must be at most" in err) == (2, True)
    code, err = run(capsys, place, "wine", "--out", out, "--input", "a")
    assert (code, "--input is for models of any text" in err) == (2, True)


def test_a_language_model_embeds_the_texts_that_are_named(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    method = mw.Pretrain(tokenizer="bytes", context=32, size=0.2, batch_size=4)
    model = method.fit(mw.read({"text": PAIRS.columns["a"].take(np.arange(40)).tolist()}), budget=1)
    place, out = model.save(tmp_path / "writer"), tmp_path / "vectors.npy"
    renamed = tmp_path / "renamed.csv"
    pl.read_csv(table).rename({"a": "text"}).drop("b", "number").write_csv(renamed)
    code, err = run(capsys, place, renamed, "--out", out)
    assert code == 0, err
    assert np.load(out).shape[0] == 20
    assert np.isfinite(np.load(out)).all()


def test_what_cannot_be_done_is_said_before(
    encoder: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, err = run(capsys, encoder, table, "--out", tmp_path / "vectors.txt")
    assert (code, "--out must end with .npy, .csv or .parquet" in err) == (2, True)
    code, err = run(capsys, encoder, table, "--out", tmp_path / "none" / "vectors.npy")
    assert (code, "there is no folder" in err) == (2, True)
    code, err = run(capsys, encoder, table, "--out", tmp_path / "vectors.npy", "--input", "c")
    assert (code, "'c'" in err) == (2, True)
    (tmp_path / "numbers.csv").write_text("x,y\n1.5,2\n2.5,3\n")
    code, err = run(capsys, encoder, tmp_path / "numbers.csv", "--out", tmp_path / "vectors.npy")
    assert (code, "has no column of texts" in err) == (2, True)
    majority = mw.Majority().fit(mw.read("wine")).save(tmp_path / "majority")
    code, err = run(capsys, majority, "wine", "--out", tmp_path / "vectors.npy")
    assert (code, "it cannot embed" in err) == (2, True)
