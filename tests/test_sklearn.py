"""manyways.sklearn: scikit-learn's own checks, and what they do not look at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_moons
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import manyways as mw
from manyways.errors import DataError, NeedsError, ParameterError
from manyways.methods.semi_supervised.label_propagation import LabelPropagation
from manyways.methods.supervised.supervised import Supervised
from manyways.sklearn import Classifier, Regressor

IRIS = load_iris(return_X_y=True)


BATCHES = "rows of weight 0 are drawn into batches all the same, so that other rows stand in the others"


@parametrize_with_checks(
    [Classifier(budget=100), Regressor(budget=100)],
    expected_failed_checks=lambda estimator: {"check_sample_weight_equivalence_on_dense_data": BATCHES},
)
def test_scikit_learns_own_checks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


# --- methods, budget and seed ------------------------------------------------------------------------


@pytest.mark.parametrize("method", [None, "supervised", Supervised(), "linear_probe"])
def test_any_method_by_object_or_text_learns(method: Any) -> None:
    x, y = IRIS
    assert Classifier(method, budget=100, random_state=0).fit(x, y).score(x, y) > 0.9


def test_budget_method_and_seed_reach_the_model() -> None:
    fitted = Classifier("supervised(batch_size=16)", budget="7 steps", random_state=3).fit(*IRIS)
    lineage = fitted.model_.lineage
    assert (lineage.steps, lineage.seed, lineage.title) == (7, 3, "supervised(batch_size=16)")


def test_random_state_decides_the_predictions() -> None:
    x, y = IRIS

    def probabilities(random_state: Any) -> Any:
        return Classifier(budget=5, random_state=random_state).fit(x, y).predict_proba(x)

    first, other = probabilities(np.random.RandomState(0)), probabilities(np.random.RandomState(1))
    assert np.array_equal(first, probabilities(np.random.RandomState(0)))
    assert not np.allclose(first, other)
    shared = np.random.RandomState(0)
    assert not np.allclose(probabilities(shared), probabilities(shared)), "a RandomState goes on"


def test_works_in_a_pipeline_under_a_grid_search_over_methods() -> None:
    x, y = IRIS
    pipeline = make_pipeline(StandardScaler(), Classifier(budget=100, random_state=0))
    grid = {"classifier__method": ["supervised(learning_rate=1e-9)", "supervised(learning_rate=5e-3)"]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(x, y)
    assert search.best_params_["classifier__method"] == "supervised(learning_rate=5e-3)"
    assert search.best_score_ > 0.9


def test_a_method_object_survives_clone() -> None:
    method = Supervised(batch_size=8)
    assert clone(Classifier(method)).method == method


def test_the_model_saves_and_loads_with_the_real_classes(tmp_path: Path) -> None:
    x, y = IRIS
    fitted = Classifier(budget=50, random_state=0).fit(x, np.array(["setosa", "versicolor", "virginica"])[y])
    loaded = mw.load(fitted.model_.save(tmp_path / "model"))
    assert loaded.target.classes == ("setosa", "versicolor", "virginica")
    assert np.array_equal(loaded.probabilities(fitted._data(x)), fitted.predict_proba(x))


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (Classifier("simclr"), ["Classifier.method", "classify", "simclr"]),
        (Regressor("fixmatch"), ["Regressor.method", "regress", "fixmatch"]),
        (Classifier(3), ["Classifier.method", "fixmatch(threshold=0.9)", "3"]),
        (Classifier("supervized"), ["supervized"]),
        (Classifier(budget="soon"), ["budget", "soon"]),
    ],
)
def test_wrong_parameters_are_refused_when_fitted(estimator: Any, words: list[str]) -> None:
    with pytest.raises(ParameterError) as caught:
        estimator.fit(*IRIS)
    assert all(word in str(caught.value) for word in words)


# --- labels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        np.array(["a", "b"]),
        np.array(["a", "b"], object),
        np.array([False, True]),
        np.array([-1, 1]),
        np.array([0.5, 2.0]) * 2,
        np.array([10, 200], np.uint8),
    ],
)
def test_classes_come_back_as_they_were_given(names: Any) -> None:
    x, codes = IRIS[0][:100], IRIS[1][:100]
    fitted = Classifier(budget=50, random_state=0).fit(x, names[codes])
    assert fitted.classes_.dtype == names.dtype
    assert fitted.classes_.tolist() == names.tolist()
    assert fitted.predict(x).dtype == names.dtype
    assert fitted.score(x, names[codes]) > 0.95


def test_numbers_of_any_size_are_regressed_in_their_own_units() -> None:
    x, y = load_diabetes(return_X_y=True)
    small = Regressor(budget=150, random_state=0).fit(x, y)
    large = Regressor(budget=150, random_state=0).fit(x, y * 1000 + 5e6)
    assert small.score(x, y) > 0.4
    assert np.allclose(large.predict(x), small.predict(x) * 1000 + 5e6, rtol=1e-4)


def test_integers_are_numbers_to_a_regressor() -> None:
    x = np.linspace(0, 1, 60)[:, None]
    predicted = Regressor(budget=150, random_state=0).fit(x, np.repeat([0, 1, 2], 20)).predict(x)
    assert len(np.unique(predicted.round(2))) > 10


def test_the_empty_string_is_no_class() -> None:
    with pytest.raises(DataError, match="empty string"):
        Classifier().fit(IRIS[0], np.array(["", "b", "c"])[IRIS[1]])


# --- rows without a label ------------------------------------------------------------------------------


def moons() -> tuple[Any, Any, Any]:
    """Two moons with four labels each; the rest are -1."""
    x, y = make_moons(300, noise=0.06, random_state=0)
    shown = np.concatenate([np.flatnonzero(y == code)[:4] for code in (0, 1)])
    partial = np.full(len(y), -1)
    partial[shown] = y[shown]
    return x, y, partial


def test_rows_labelled_minus_one_shape_a_semi_supervised_classifier() -> None:
    x, y, partial = moons()
    spread = Classifier("label_propagation(alpha=0)", random_state=0).fit(x, partial)
    labelled = partial != -1
    alone = Classifier("linear_probe", random_state=0).fit(x[labelled], partial[labelled])
    assert spread.classes_.tolist() == [0, 1]
    assert spread.predict_proba(x).shape == (300, 2)
    assert spread.score(x, y) > 0.98 > alone.score(x, y) + 0.05


def test_minus_one_marks_rows_without_a_label_among_strings_too() -> None:
    x, y, partial = moons()
    names = np.array(["down", "up"], object)
    strings = np.where(partial == -1, -1, names[partial])
    fitted = Classifier(LabelPropagation(alpha=0), random_state=0).fit(x, strings)
    assert fitted.classes_.tolist() == ["down", "up"]
    assert fitted.score(x, names[y]) > 0.98


def test_a_chain_that_begins_without_labels_reads_minus_one_as_unlabelled() -> None:
    x, _, partial = moons()
    fitted = Classifier("simclr >> fine_tune", budget=40, random_state=0).fit(x, partial)
    assert fitted.classes_.tolist() == [0, 1]
    pretraining = fitted.model_.lineage.stages()[-1]
    assert len(pretraining.rows) == 300


def test_minus_one_is_a_class_to_a_supervised_method() -> None:
    x, _, partial = moons()
    assert Classifier(budget=5).fit(x, partial).classes_.tolist() == [-1, 0, 1]


def test_unlabelled_rows_that_are_needed_and_missing_are_asked_for() -> None:
    with pytest.raises(NeedsError, match=r"fixmatch needs rows without a label.* -1"):
        Classifier("fixmatch").fit(*IRIS)
    with pytest.raises(DataError, match="got no label; 150 rows with -1"):
        Classifier("fixmatch").fit(IRIS[0], np.full(150, -1))


# --- frames and images -----------------------------------------------------------------------------------


def shop(rows: int = 200) -> tuple[dict[str, Any], Any]:
    """A label that only the category `city` tells; `size` and `age` are noise."""
    rng = np.random.default_rng(0)
    city = rng.choice(["Lyon", "Oslo", "Turin"], rows)
    columns = {"size": rng.normal(size=rows), "city": city.astype(object), "age": rng.integers(0, 90, rows)}
    return columns, (city == "Oslo").astype(int)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_keep_their_names_and_categories(frame: Any) -> None:
    columns, y = shop()
    fitted = Classifier(budget=100, random_state=0).fit(frame(columns), y)
    assert fitted.feature_names_in_.tolist() == ["size", "city", "age"]
    assert fitted.score(frame(columns), y) > 0.98
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(frame({name: columns[name] for name in ("city", "size", "age")}))


def test_a_categorical_type_is_a_category_even_if_it_holds_numbers() -> None:
    columns, y = shop()
    codes = pd.Series(columns["city"]).map({"Lyon": 1, "Oslo": 2, "Turin": 3})
    x = pd.DataFrame({"size": columns["size"], "city": codes.astype("category")})
    fitted = Classifier(budget=100, random_state=0).fit(x, y)
    # One-hot codes make room for all three cities beside the number.
    assert fitted.model_.inputs.specs["table"].width == 4
    assert fitted.score(x, y) > 0.98


def test_missing_cells_of_a_frame_are_refused_by_name() -> None:
    columns, y = shop()
    x = pd.DataFrame(columns)
    x.loc[[3, 7], "city"] = None
    with pytest.raises(DataError, match="no value in 2 rows of 'city', the first at 3"):
        Classifier().fit(x, y)
    x = pd.DataFrame(columns)
    x.loc[5, "size"] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        Classifier().fit(x, y)


def digits() -> tuple[Any, Any]:
    images, y = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8) / 16, y


def test_images_of_any_layout_are_seen_as_images() -> None:
    x, y = digits()
    fitted = Classifier(budget=60, random_state=0).fit(x[:900], y[:900])
    assert fitted.model_.inputs.specs["x"].kind == "image"
    assert fitted.score(x[900:], y[900:]) > 0.75
    coloured = np.repeat(x[:50, :, :, None], 3, axis=3)
    for layout in (coloured, coloured.transpose(0, 3, 1, 2)):
        model = Classifier(budget=2).fit(layout, y[:50]).model_
        assert model.inputs.specs["x"].channels == 3


def test_an_image_is_seen_the_same_whatever_its_neighbours() -> None:
    x, y = digits()
    whole = np.round(x * 255).astype(np.int64)
    fitted = Classifier(budget=20, random_state=0).fit(whole[:200], y[:200])
    dark = whole[:200] // 255  # only 0 and 1: nearly black, not black and white
    together = fitted.predict_proba(np.concatenate([dark[:1], whole[:5]]))
    assert np.allclose(fitted.predict_proba(dark[:1]), together[:1], atol=1e-6)
    assert np.allclose(fitted.predict_proba(whole[:5].astype(np.uint8)), together[1:], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda x: x * 16, r"must be in \[0, 1\]; got 0 to 16"),
        (lambda x: x[:, :, :7], r"shape \(8, 8\).*got \(8, 7\)"),
        (lambda x: x[..., None, None], "three or four for images"),
    ],
)
def test_images_that_do_not_fit_are_refused(given: Any, message: str) -> None:
    x, y = digits()
    fitted = Classifier(budget=1).fit(x[:60], y[:60])
    with pytest.raises(DataError, match=message):
        fitted.predict(given(x[:60])) if "shape" in message else fitted.fit(given(x[:60]), y[:60])


def test_generalises_about_as_well_as_scikit_learns_own_network() -> None:
    from sklearn.neural_network import MLPClassifier

    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, random_state=0, stratify=y)
    ours = Classifier(budget=400, random_state=0).fit(train_x, train_y).score(test_x, test_y)
    theirs = MLPClassifier((128, 128), max_iter=30, tol=0, n_iter_no_change=40, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        theirs.fit(StandardScaler().fit_transform(train_x), train_y)
    peer = theirs.score(StandardScaler().fit(train_x).transform(test_x), test_y)
    assert ours > peer - 0.02


# --- sample weights ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["supervised", "linear_probe", "self_training(base=linear_probe)"])
def test_rows_of_weight_zero_teach_nothing(method: str) -> None:
    """Half of the rows have turned labels; weighing them with 0 is as good as leaving them out."""
    x, y = IRIS
    wrong = np.random.default_rng(0).random(len(y)) < 0.45
    turned = np.where(wrong, (y + 1) % 3, y)
    if method.startswith("self"):
        turned[::10] = -1
    weighed = Classifier(method, budget=200, random_state=0).fit(x, turned, sample_weight=(~wrong).astype(float))
    assert weighed.score(x, y) > 0.93


def test_a_method_that_weighs_no_rows_refuses_sample_weights() -> None:
    x, y = IRIS
    with pytest.raises(NeedsError, match="does not use the role weight"):
        Classifier("nearest_neighbours").fit(x, y, sample_weight=np.ones(len(y)))
    with pytest.raises(DataError, match="sample_weight"):
        Classifier(budget=10).fit(x, y, sample_weight=np.ones(3))
