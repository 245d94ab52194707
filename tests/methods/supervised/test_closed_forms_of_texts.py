"""NearestNeighbours and NaiveBayes of texts: scikit-learn's over sparse TF-IDF, and forgotten rows leave no trace."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.methods.method import Method
from manyways.methods.supervised.naive_bayes import NaiveBayes
from manyways.methods.supervised.nearest_neighbours import NearestNeighbours
from manyways.models.estimator import Estimator
from manyways.models.saving import load_model
from manyways.testing.trial import difference

TOPICS = (("goal", "team", "coach", "score"), ("bake", "salt", "oven", "bread"), ("star", "moon", "comet", "orbit"))
METHODS = (NearestNeighbours(), NearestNeighbours(weights="distance"), NaiveBayes(), NaiveBayes(smoothing=0.1))


def letters(rows: int = 240, inputs: tuple[str, ...] = ("says",), label: str = "label") -> Data:
    """Texts of three topics, no two alike, a number and a category; `heat` is a number."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, rows)
    said = np.where(rng.random(rows) < 0.8, codes, rng.integers(0, 3, rows))
    texts = np.array([f"{' '.join(rng.choice(TOPICS[code], 3))} named{at:05}x" for at, code in enumerate(said)], object)
    columns = [
        Column("says", "text", texts), Column("length", "number", codes + rng.normal(size=rows)),
        Column("place", "category", np.array(["here", "there", "nowhere"], object)[rng.permutation(codes)]),
        Column("heat", "number", codes * 2.0 + rng.random(rows)),
        Column("label", "category", np.array(["sport", "food", "space"], object)[codes]),
    ]  # fmt: skip
    return Data.from_columns(columns, {"input": inputs, "label": [label]}, name="letters").with_test(0.3)


def pipeline(data: Data) -> tuple[csr_matrix, csr_matrix]:
    vectorizers = [
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
        TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5)),
    ]
    training = hstack([each.fit_transform(data.training.take("says")) for each in vectorizers])
    return csr_matrix(training), csr_matrix(hstack([each.transform(data.test.take("says")) for each in vectorizers]))


def test_naive_bayes_is_multinomial_over_tf_idf(tmp_path: Path) -> None:
    data = letters()
    training, test = pipeline(data)
    reference = MultinomialNB(alpha=0.5).fit(training, data.training.take("label"))
    model = NaiveBayes(smoothing=0.5).fit(data)
    order = [reference.classes_.tolist().index(each) for each in model.label_target.classes]
    loaded = load_model(model.save(tmp_path / "model"))
    for each in (model, loaded):
        assert np.abs(each.probabilities(data.test) - reference.predict_proba(test)[:, order]).max() < 1e-12
        assert each.predict(data.test).tolist() == reference.predict(test).tolist()
    assert loaded.probabilities(data.test).tobytes() == model.probabilities(data.test).tobytes()


def test_numbers_and_categories_beside_texts_add_their_log_probabilities() -> None:
    data = letters(inputs=("says", "length"))
    training, test = pipeline(data)
    labels = data.training.take("label")
    text = MultinomialNB().fit(training, labels)
    number = GaussianNB().fit(data.training.take("length")[:, None], labels)
    wanted = text.predict_joint_log_proba(test) + number.predict_joint_log_proba(data.test.take("length")[:, None])
    wanted -= text.class_log_prior_
    model = NaiveBayes().fit(data)
    assert (
        np.abs(model.outputs(data.test) - wanted[:, [1, 0, 2] if text.classes_[0] == "sport" else [0, 1, 2]]).max()
        < 1e-4
    )
    more = NaiveBayes().fit(letters(inputs=("says", "length", "place")))
    assert more.outputs(letters(inputs=("says", "length", "place")).test).shape == (72, 3)


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_neighbours_are_the_nearest_by_cosine(weights: str, tmp_path: Path) -> None:
    data = letters()
    training, test = pipeline(data)
    reference = KNeighborsClassifier(7, weights=weights, metric="cosine").fit(training, data.training.take("label"))
    model = NearestNeighbours(neighbours=7, weights="distance" if weights == "distance" else "uniform").fit(data)
    order = [reference.classes_.tolist().index(each) for each in model.label_target.classes]
    assert np.abs(model.probabilities(data.test) - reference.predict_proba(test)[:, order]).max() < 1e-9
    loaded = load_model(model.save(tmp_path / "model"))
    assert loaded.probabilities(data.test).tobytes() == model.probabilities(data.test).tobytes()


def test_neighbours_of_numbers_and_beside_a_table() -> None:
    data = letters(label="heat")
    training, test = pipeline(data)
    reference = KNeighborsRegressor(5, metric="cosine").fit(training, data.training.take("heat"))
    assert np.abs(NearestNeighbours().fit(data).predict(data.test) - reference.predict(test)).max() < 1e-9
    mixed = letters(inputs=("says", "length"))
    model = NearestNeighbours(neighbours=3, standardise=False).fit(mixed)
    both = [
        hstack([csr_matrix(part.take("length")[:, None]), text])
        for part, text in zip((mixed.training, mixed.test), pipeline(mixed), strict=True)
    ]
    plain = KNeighborsClassifier(3).fit(both[0], mixed.training.take("label"))
    assert model.predict(mixed.test).tolist() == plain.predict(both[1]).tolist()


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_forgotten_rows_leave_no_trace(method: Method, tmp_path: Path) -> None:
    data = letters(120)
    model = method.fit(data)
    gone = np.zeros(len(data), bool)
    gone[np.flatnonzero(data.part == 0)[:5]] = True
    forgotten = method.forget(load_model(model.save(tmp_path / "model")), data, gone)
    assert isinstance(forgotten, Estimator)
    assert difference(forgotten, method.fit(data.select(~gone))) is None
    folder = forgotten.save(tmp_path / "forgotten")
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    words = [str(text).split()[-1].encode() for text in data.select(gone).take("says")]
    assert not any(word in content for word in words)
    whole = b"".join(path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file())
    assert all(word in whole for word in words)
    assert forgotten.lineage.rows.shape == (len(data.training) - 5, 2)


def test_sentiment_of_sentences(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """SST-2 with 200 labels: naive Bayes is above what a coin says, and what hashed words said."""
    folder = real_data("sst2")
    for name in ("train", "test"):
        (tmp_path / f"{name}.tsv").write_text(f"text\tlabel\n{(folder / f'{name}.tsv').read_text('utf-8')}", "utf-8")
    data = mw.read(
        tmp_path / "train.tsv", test=tmp_path / "test.tsv", label="label", kinds={"text": "text", "label": "category"}
    ).with_labels(200, draw="stratified")
    assert NaiveBayes().fit(data).evaluate(data.test)["accuracy"] > 0.62
