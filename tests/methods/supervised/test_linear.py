"""Linear: logistic and ridge regression of scikit-learn, on sparse text and on tables, from arrays."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.supervised.linear import Linear
from manyways.models.estimator import Estimator
from manyways.models.saving import load_model

TOPICS = (("goal", "team", "coach", "score"), ("bake", "salt", "oven", "bread"), ("star", "moon", "comet", "orbit"))


def letters(rows: int = 240, seed: int = 0) -> Data:
    """Texts of three classes in two columns, a category and a number; the label `heat` is a number."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, rows)

    def words(right: float) -> np.ndarray:  # type: ignore[type-arg]
        chosen = np.where(rng.random(rows) < right, codes, rng.integers(0, 3, rows))
        texts = np.empty(rows, object)
        texts[:] = [" ".join(rng.choice(TOPICS[code], 2)) + f" naïve Number{rng.integers(9)}!" for code in chosen]
        return texts

    places = np.where(rng.random(rows) < 0.3, rng.integers(0, 3, rows), codes)
    columns = [
        Column("head", "text", words(0.7)), Column("body", "text", words(0.7)),
        Column("place", "category", np.array(["here", "there", "éire"], object)[places]),
        Column("length", "number", codes + rng.normal(size=rows)),
        Column("heat", "number", codes * 2.0 + rng.random(rows)),
        Column("label", "category", np.array(["sport", "food", "space"], object)[codes]),
    ]  # fmt: skip
    return Data.from_columns(columns, {"input": ["head", "body"], "label": ["label"]}, name="letters").with_test(0.3)


def with_roles(data: Data, inputs: tuple[str, ...], label: str = "label") -> Data:
    return Data.from_columns(data.columns.values(), {"input": inputs, "label": [label]}, part=data.part)


def pipeline(data: Data, columns: tuple[str, ...]) -> tuple[csr_matrix, csr_matrix]:
    """TF-IDF of text columns by scikit-learn, of training and test rows."""
    parts: list[tuple[csr_matrix, csr_matrix]] = []
    for name in columns:
        for settings in ({"ngram_range": (1, 2)}, {"analyzer": "char_wb", "ngram_range": (2, 5)}):
            vectorizer = TfidfVectorizer(sublinear_tf=True, **settings)
            parts.append(
                (vectorizer.fit_transform(data.training.take(name)), vectorizer.transform(data.test.take(name)))
            )
    training, test = zip(*parts, strict=True)
    return csr_matrix(hstack(training)), csr_matrix(hstack(test))


def test_of_texts_it_says_what_scikit_learns_pipeline_says(tmp_path: Path) -> None:
    data = letters()
    training, test = pipeline(data, ("head", "body"))
    reference = LogisticRegression(C=10, max_iter=1000).fit(training, data.training.take("label"))
    model = Linear().fit(data)
    order = [reference.classes_.tolist().index(each) for each in model.target.classes]
    loaded = load_model(model.save(tmp_path / "model"))
    assert not list((tmp_path / "model").glob("*.p*"))
    for each in (model, loaded):
        assert np.abs(each.probabilities(data.test) - reference.predict_proba(test)[:, order]).max() < 1e-9
        assert each.predict(data.test).tolist() == reference.predict(test).tolist()
    assert loaded.probabilities(data.test).tobytes() == model.probabilities(data.test).tobytes()
    assert model.evaluate(data.test)["accuracy"] > 0.6


def test_the_matrix_of_texts_is_sparse_and_as_it_is() -> None:
    data = letters()
    model = Linear().fit(data)
    assert isinstance(model, Estimator)
    matrix = model.network.features.of(data.test, model.inputs)
    assert isinstance(matrix, csr_matrix)
    assert abs(matrix - pipeline(data, ("head", "body"))[1]).max() < 1e-15
    assert Linear().fit(with_roles(data, ("length", "place"))).network.config()["features"]["sparse"] is False


def test_texts_and_a_table_stand_side_by_side() -> None:
    data = with_roles(letters(400), ("head", "length", "place"))
    text = pipeline(data, ("head",))
    scaler = StandardScaler().fit(data.training.take("length")[:, None])
    one_hot = OneHotEncoder().fit(data.training.take("place")[:, None])
    blocks = [
        hstack([
            csr_matrix(scaler.transform(part.take("length")[:, None])), one_hot.transform(part.take("place")[:, None]),
            words,
        ])
        for part, words in zip((data.training, data.test), text, strict=True)
    ]  # fmt: skip
    reference = LogisticRegression(C=10, max_iter=1000).fit(blocks[0], data.training.take("label"))
    model = Linear().fit(data)
    assert model.predict(data.test).tolist() == reference.predict(blocks[1]).tolist()
    fewer = Linear().fit(with_roles(data, ("head",)))
    assert model.evaluate(data.test)["accuracy"] > fewer.evaluate(data.test)["accuracy"] + 0.05


def test_of_a_table_it_is_the_usual_pipeline_with_medians_for_gaps() -> None:
    data = with_roles(letters(300), ("length", "place"))
    length = np.where(np.arange(300) % 7 == 0, np.nan, data.columns["length"].values[np.arange(300)])
    data = Data.from_columns(
        [Column("length", "number", length), *(data.columns[name] for name in ("place", "label"))], data.roles,
        part=data.part,
    )  # fmt: skip
    middle = np.nanmedian(data.training.take("length"))
    filled = [
        np.where(np.isnan(part.take("length")), middle, part.take("length")) for part in (data.training, data.test)
    ]
    scaler = StandardScaler().fit(filled[0][:, None])
    one_hot = OneHotEncoder(sparse_output=False).fit(data.training.take("place")[:, None])
    first, second = (
        np.hstack([scaler.transform(numbers[:, None]), one_hot.transform(part.take("place")[:, None])])
        for numbers, part in zip(filled, (data.training, data.test), strict=True)
    )
    reference = LogisticRegression(max_iter=1000).fit(first, data.training.take("label"))
    model = Linear().fit(data)
    order = [reference.classes_.tolist().index(each) for each in model.target.classes]
    assert np.abs(model.probabilities(data.test) - reference.predict_proba(second)[:, order]).max() < 1e-9


def test_numbers_are_those_of_ridge_regression() -> None:
    data = with_roles(letters(), ("head", "body"), "heat")
    training, test = pipeline(data, ("head", "body"))
    wanted = Ridge(alpha=2.0).fit(training, data.training.take("heat")).predict(test)
    assert np.abs(Linear(alpha=2.0).fit(data).predict(data.test) - wanted).max() < 1e-9
    with pytest.raises(NeedsError, match="has no classes to weigh"):
        Linear(class_weight="balanced").fit(data)


def test_classes_and_words_that_few_rows_have() -> None:
    data = letters(60)
    alone = data.hide(np.flatnonzero(data.take("label") != "food"))
    model = Linear().fit(alone)
    assert set(model.predict(data.test)) == {"food"}
    assert model.probabilities(data.test).sum(1) == pytest.approx(1)
    pair = Linear().fit(data.hide(np.flatnonzero(data.take("label") == "food")))
    assert "food" not in set(pair.predict(data.test))
    assert pair.probabilities(data.test).shape == (len(data.test), 3)
    strange = np.array(["日本 ??", "-", "?"] * 20, object)
    columns = [Column("says", "text", strange), data.columns["label"]]
    signs = Data.from_columns(columns, {"input": ["says"], "label": ["label"]}, part=data.part)
    assert np.isfinite(Linear().fit(signs).probabilities(signs.test)).all()


def test_questions_of_77_intents(real_data: Callable[[str], Path]) -> None:
    """banking77, three questions of each intent: as scikit-learn's pipeline to within a point, by SAG as by L-BFGS."""
    folder = real_data("banking77")
    data = mw.read(folder / "train.csv", test=folder / "test.csv", label="category", kinds={"text": "text"})
    few = data.with_labels(231, draw="stratified")
    shown = few.training.select(few.training.labelled)
    with (folder / "test.csv").open(encoding="utf-8") as file:
        assert len(data.test) == sum(1 for _ in csv.DictReader(file))
    vectorizers = [
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
        TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5)),
    ]
    training = hstack([each.fit_transform(shown.take("text")) for each in vectorizers]).tocsr()
    test = hstack([each.transform(data.test.take("text")) for each in vectorizers]).tocsr()
    reference = LogisticRegression(C=10, solver="sag", tol=1e-2).fit(training, shown.take("category"))
    assert Linear().fit(few).evaluate(few.test)["accuracy"] == pytest.approx(
        reference.score(test, data.test.take("category")), abs=0.01
    )


def test_the_score_is_the_mean_of_what_each_test_row_adds() -> None:
    data = mw.read("wine").with_test(0.2)
    evaluation = Linear().fit(data, budget="1 steps", seed=0).evaluate_rows(data.test, "accuracy")
    assert evaluation.rows is not None
    assert evaluation.rows.shape == (len(data.test),)
    assert evaluation.rows.mean() == pytest.approx(evaluation.scores["accuracy"])
