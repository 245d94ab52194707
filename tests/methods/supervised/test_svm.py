"""SVM: the margins of scikit-learn's support vector machines, from arrays."""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.supervised.svm import SVM
from manyways.models.saving import load_model


def rings(classes: int, rows: int = 400) -> Data:
    """Points around the origin, whose class is their distance: no line tells them apart; `far` is that distance."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(rows, 2)) * [1.0, 5.0]
    far = np.hypot(points[:, 0], points[:, 1] / 5)
    codes = np.digitize(far, np.quantile(far, np.arange(1, classes) / classes))
    label = np.array(list("abcd"), object)[codes]
    columns = [Column("x", "number", points), Column("far", "number", far), Column("label", "category", label)]
    return Data.from_columns(columns, {"input": ["x"], "label": ["label"]}, name="rings").with_test(0.3)


def scaled(data: Data) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    scaler = StandardScaler().fit(data.training.take("x"))
    return scaler.transform(data.training.take("x")), scaler.transform(data.test.take("x"))


@pytest.mark.parametrize("classes", [2, 4])
def test_classes_are_those_of_scikit_learns_radial_machine(classes: int, tmp_path: Path) -> None:
    data = rings(classes)
    training, test = scaled(data)
    reference = SVC(break_ties=True, class_weight="balanced").fit(training, data.training.take("label"))
    model = SVM(class_weight="balanced").fit(data)
    margins = reference.decision_function(test)
    wanted = np.column_stack([-margins, margins]) if classes == 2 else margins
    loaded = load_model(model.save(tmp_path / "model"))
    for each in (model, loaded):
        assert np.abs(each.outputs(data.test) - wanted).max() < 1e-5  # outputs are in single precision
        assert each.predict(data.test).tolist() == reference.predict(test).tolist()
    assert model.probabilities(data.test).tobytes() == loaded.probabilities(data.test).tobytes()
    assert model.evaluate(data.test)["accuracy"] > 0.85
    assert SVM(kernel="linear").fit(data).evaluate(data.test)["accuracy"] < 0.7


def test_numbers_are_fitted_standardised() -> None:
    data = rings(2)
    data = Data.from_columns(data.columns.values(), {"input": ["x"], "label": ["far"]}, part=data.part)
    training, test = scaled(data)
    far = data.training.take("far")
    reference = SVR(gamma=0.7).fit(training, (far - far.mean()) / far.std())
    model = SVM(gamma=0.7).fit(data)
    assert model.predict(data.test) == pytest.approx(reference.predict(test) * far.std() + far.mean(), abs=1e-9)
    assert model.evaluate(data.test)["r2"] > 0.9


def test_texts_are_told_apart_by_a_linear_machine(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 200)
    words = np.array(["goal team coach score", "bake salt oven bread", "star moon comet orbit"], object)
    both = [f"{words[code]} {words[rng.integers(3)]}".split() for code in codes]
    texts = np.array([" ".join(rng.permutation(each)[:4]) for each in both], object)
    columns = [Column("says", "text", texts), Column("label", "category", np.array(["u", "v", "w"], object)[codes])]
    data = Data.from_columns(columns, {"input": ["says"], "label": ["label"]}).with_test(0.3)
    vectorizers = [
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)),
        TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5)),
    ]
    training = hstack([each.fit_transform(data.training.take("says")) for each in vectorizers])
    test = hstack([each.transform(data.test.take("says")) for each in vectorizers])
    reference = LinearSVC(C=0.5, random_state=0).fit(training, data.training.take("label"))
    model = SVM().fit(data)
    assert np.abs(model.outputs(data.test) - reference.decision_function(test)).max() < 1e-5
    loaded = load_model(model.save(tmp_path / "model"))
    assert loaded.predict(data.test).tolist() == reference.predict(test).tolist()
    with pytest.raises(NeedsError, match="a radial kernel is of tables, images and sounds"):
        mw.SVM(kernel="radial").fit(data)
