"""Ridge: scikit-learn's regression and classifier, a penalty that follows from sums, and rows that can be taken out."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.linear_model import Ridge as Reference
from sklearn.preprocessing import StandardScaler

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised._ridge_solutions import GRID, condition_of
from manyways.methods.supervised.ridge import Ridge, RidgeHead
from manyways.models.model import Model


def _pixels(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return (data.take("image") / np.float32(255)).reshape(len(data), -1).astype(np.float64)


def _table(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return np.stack([column.take(data.rows) for column in data.inputs], 1).astype(np.float32).astype(np.float64)


def _head(model: Model) -> RidgeHead:
    head = model.network.head
    assert isinstance(head, RidgeHead)
    return head


def _said(model: Model, features: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return _head(model)(torch.from_numpy(features)).numpy()


@pytest.mark.parametrize("standardise", [True, False])
def test_is_the_ridge_classifier_of_scikit_learn(digits: Data, standardise: bool) -> None:
    model = Ridge(penalty=2.5, standardise=standardise).fit(digits)
    scaler = StandardScaler(with_mean=standardise, with_std=standardise).fit(_pixels(digits.training))
    reference = RidgeClassifier(alpha=2.5).fit(
        scaler.transform(_pixels(digits.training)), digits.training.take("label")
    )
    expected = reference.decision_function(scaler.transform(_pixels(digits.test)))
    np.testing.assert_allclose(_said(model, _pixels(digits.test)), expected, rtol=1e-8, atol=1e-8)
    assert np.array_equal(model.predict(digits.test), reference.predict(scaler.transform(_pixels(digits.test))))


def test_is_the_ridge_classifier_of_scikit_learn_for_two_classes(cancer: Data) -> None:
    model = Ridge(penalty=1.0).fit(cancer)
    scaler = StandardScaler().fit(_table(cancer.training))
    reference = RidgeClassifier(alpha=1.0).fit(scaler.transform(_table(cancer.training)), cancer.training.take("label"))
    expected = reference.decision_function(scaler.transform(_table(cancer.test)))
    said = _said(model, _table(cancer.test))
    np.testing.assert_allclose(said[:, 1], expected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(said[:, 0], -expected, rtol=1e-8, atol=1e-8)


def test_is_the_ridge_regression_of_scikit_learn(diabetes: Data) -> None:
    model = Ridge(penalty=0.3).fit(diabetes)
    scaler = StandardScaler().fit(_table(diabetes.training))
    reference = Reference(alpha=0.3).fit(scaler.transform(_table(diabetes.training)), diabetes.training.take("label"))
    expected = reference.predict(scaler.transform(_table(diabetes.test)))
    assert model.target is not None
    said = _said(model, _table(diabetes.test))[:, 0] * model.target.scale + model.target.mean
    np.testing.assert_allclose(said, expected, rtol=1e-8)


def test_penalty_has_the_least_generalised_cross_validation_score(diabetes: Data) -> None:
    """By the definition, with the hat matrix of every penalty in the grid."""
    features = StandardScaler().fit_transform(_table(diabetes.training))
    labels = diabetes.training.take("label").astype(np.float64)
    rows, scores = len(labels), {}
    for share in GRID:
        penalty = share * rows
        hat = features @ np.linalg.solve(features.T @ features + penalty * np.eye(features.shape[1]), features.T)
        hat += 1 / rows
        scores[penalty] = ((labels - hat @ labels) ** 2).mean() / (1 - np.trace(hat) / rows) ** 2
    best = min(scores, key=scores.__getitem__)
    assert float(_head(Ridge().fit(diabetes)).chosen) == pytest.approx(best)


def test_penalty_matters_where_labels_are_few(digits: Data) -> None:
    few = digits.with_labels(60, draw="stratified")
    assert Ridge().fit(few).evaluate(digits.test)["accuracy"] > 0.78
    assert Ridge(penalty=1e6).fit(few).evaluate(digits.test)["accuracy"] < 0.78


def test_probe_of_a_network_forgets_to_within_its_word(digits: Data) -> None:
    """The features of forgotten rows are computed anew, among others than before."""
    rows = digits.select(np.arange(len(digits)) % 2 == 0)
    gone = np.zeros(len(rows), bool)
    gone[np.flatnonzero(rows.part[rows.rows] == 0)[5:60:9]] = True
    start = SimCLR(batch_size=32).fit(digits.select(np.arange(len(digits)) % 2 == 1), budget=3)
    for method in (Ridge(), Ridge(penalty=1.0)):
        forgot = method.forget(method.fit(rows, start), rows, gone)
        expected = _head(method.fit(rows.select(~gone), start)).coefficients
        furthest = (_head(forgot).coefficients - expected).abs().max() / expected.abs().max()
        assert float(furthest) < 1e-8
    taught = (digits.part[digits.rows] == 0) & (np.arange(len(digits)) % 2 == 1)
    with pytest.raises(NeedsError, match=r"rows shaped simclr\(batch_size=32\), too"):
        Ridge().forget(Ridge().fit(digits, start), digits, taught)


def test_pixels_that_only_forgotten_rows_had_leave_no_weight(digits: Data) -> None:
    """A border pixel that is black but in one row: the variance it leaves must be nothing, not a rounding error."""
    training = np.flatnonzero(digits.part[digits.rows] == 0)
    used = _pixels(digits.select(training)) > 0
    rare = int(np.flatnonzero(used.sum(0) == 1)[0])
    gone = np.zeros(len(digits), bool)
    gone[training[used[:, rare]]] = True
    model = Ridge().fit(digits)
    forgot = Ridge().forget(model, digits, gone)
    assert float(_head(model).coefficients[:, rare].abs().max()) > 0
    assert float(_head(forgot).coefficients[:, rare].abs().max()) == 0
    expected = _head(Ridge().fit(digits.select(~gone)))
    for name, tensor in expected.state_dict().items():
        apart = (tensor.double() - _head(forgot).state_dict()[name].double()).abs().max()
        assert float(apart) <= 1e-8 * float(tensor.double().abs().max()), name


def test_rounding_that_would_show_is_refused(cancer: Data) -> None:
    """Thirty numbers that nearly follow from each other, and next to no penalty: sums alone do not say the weights."""
    gone = np.zeros(len(cancer), bool)
    gone[np.flatnonzero(cancer.part[cancer.rows] == 0)[:4]] = True
    method = Ridge(penalty=1e-6, standardise=False)
    with pytest.raises(NeedsError, match="cannot forget these rows to within 1e-8: the features depend on each other"):
        method.forget(method.fit(cancer), cancer, gone)


@pytest.mark.quick
def test_condition_is_that_of_the_matrix() -> None:
    factor = torch.randn(40, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    matrix = factor @ factor.T + 0.1 * torch.eye(40, dtype=torch.float64)
    found = condition_of(matrix, torch.linalg.cholesky(matrix))
    assert found == pytest.approx(float(torch.linalg.cond(matrix)), rel=0.1)


def test_without_a_penalty_to_speak_of_it_is_least_squares(diabetes: Data) -> None:
    model = Ridge(penalty=1e-9).fit(diabetes)
    reference = LinearRegression().fit(_table(diabetes.training), diabetes.training.take("label"))
    np.testing.assert_allclose(model.predict(diabetes.test), reference.predict(_table(diabetes.test)), rtol=1e-5)


@pytest.mark.parametrize("kind", ["sentences", "tones"])
def test_raw_text_and_sound_are_told_apart(kind: str, request: pytest.FixtureRequest) -> None:
    data: Data = request.getfixturevalue(kind)
    assert Ridge().fit(data).evaluate(data.test)["accuracy"] > 0.9


# --- more features than rows, and many classes ---------------------------------------------------------


def _read(features: np.ndarray, labels: np.ndarray, kind: str) -> Data:  # type: ignore[type-arg]
    columns = [Column("x", "number", features), Column("label", kind, labels)]  # type: ignore[arg-type]
    return Data.from_columns(columns, {"input": ["x"], "label": ["label"]})


def _wide(rows: int, width: int, kind: str) -> Data:
    rng = np.random.default_rng(rows)
    features = rng.normal(size=(rows, width)).astype(np.float32).astype(np.float64)
    features[:, 3] = 2.5
    numbers = features[:, :10].sum(1) + rng.normal(size=rows)
    return _read(features, numbers if kind == "number" else np.digitize(numbers, [-2, 2]), kind)


@pytest.mark.parametrize("kind", ["number", "category"])
def test_with_more_features_than_rows_it_is_that_of_scikit_learn(kind: str) -> None:
    data = _wide(40, 90, kind)
    model = Ridge(penalty=3.0).fit(data)
    assert _head(model).dual
    features, labels = data.take("x"), data.take("label")
    scaled = StandardScaler().fit_transform(features)
    if kind == "number":
        assert model.target is not None
        said = _said(model, features)[:, 0] * model.target.scale + model.target.mean
        np.testing.assert_allclose(said, Reference(alpha=3.0).fit(scaled, labels).predict(scaled), rtol=1e-8)
    else:
        expected = RidgeClassifier(alpha=3.0).fit(scaled, labels).decision_function(scaled)
        np.testing.assert_allclose(_said(model, features), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("rows", [40, 200])
@pytest.mark.parametrize("kind", ["number", "category"])
def test_both_forms_choose_the_penalty_by_the_definition(rows: int, kind: str) -> None:
    data = _wide(rows, 90, kind)
    features = StandardScaler().fit_transform(data.take("x"))
    labels = data.take("label")
    wanted = labels[:, None] if kind == "number" else 2.0 * (labels[:, None] == np.arange(3)) - 1
    wanted = wanted - wanted.mean(0)
    scores = {}
    for share in GRID:
        penalty = share * rows  # the mean eigenvalue of standardised features
        hat = features @ np.linalg.solve(features.T @ features + penalty * np.eye(90), features.T)
        freedom = 1 - (1 + np.trace(hat)) / rows
        if freedom > 0:
            scores[penalty] = ((wanted - hat @ wanted) ** 2).sum() / rows / freedom**2
    head = _head(Ridge().fit(data))
    assert head.dual == (rows < 90)
    assert float(head.chosen) == pytest.approx(min(scores, key=scores.__getitem__))


@pytest.mark.parametrize("penalty", [None, 1.0])
def test_rows_leave_the_dual_form_without_a_trace(penalty: float | None, tmp_path: Path) -> None:
    data = _wide(60, 90, "category")
    gone = np.arange(60) % 7 == 0
    method = Ridge(penalty=penalty)
    model = mw.load(method.fit(data).save(tmp_path / "model"))
    forgot, expected = method.forget(model, data, gone), method.fit(data.select(~gone))
    assert len(_head(forgot).rows) == int((~gone).sum())
    for name, tensor in expected.network.state_dict().items():
        assert torch.equal(tensor, forgot.network.state_dict()[name]), name


def test_a_form_that_the_rows_left_would_not_have_is_refused() -> None:
    data = _wide(92, 90, "number")
    gone = np.arange(92) < 3
    with pytest.raises(NeedsError, match="89 rows would be left, fewer than features"):
        Ridge(penalty=50.0).forget(Ridge(penalty=50.0).fit(data), data, gone)


def test_many_classes_are_no_matrix_of_rows_by_classes() -> None:
    rng = np.random.default_rng(0)
    codes = np.concatenate([np.arange(1500), rng.integers(0, 1500, 1500)])
    features = (rng.normal(size=(1500, 12))[codes] + rng.normal(size=(3000, 12))).astype(np.float32).astype(np.float64)
    data = _read(features, codes, "category")
    model = Ridge(penalty=2.0).fit(data)
    assert max(tensor.numel() for tensor in model.network.state_dict().values()) == 1500 * 12
    scaled = StandardScaler().fit_transform(features)
    expected = RidgeClassifier(alpha=2.0).fit(scaled, codes).decision_function(scaled)
    np.testing.assert_allclose(_said(model, features), expected, rtol=1e-7, atol=1e-9)
    gone = np.arange(3000) == 1600
    forgot, anew = Ridge(penalty=2.0).forget(model, data, gone), Ridge(penalty=2.0).fit(data.select(~gone))
    apart = (_head(forgot).coefficients - _head(anew).coefficients).abs().max()
    assert float(apart) < 1e-8 * float(_head(anew).coefficients.abs().max())


def test_thousands_of_columns_take_seconds() -> None:
    """In the primal form, by all eigenvectors, a minute of processor time."""
    data = _wide(600, 5000, "category")
    began = time.process_time()
    model = Ridge().fit(data)
    assert time.process_time() - began < 15
    assert model.evaluate(data)["accuracy"] > 0.9


def test_only_the_smaller_side_is_bounded() -> None:
    assert Ridge().fit(_wide(30, 9000, "number")).evaluate(_wide(30, 9000, "number"))["r2"] > 0.5
    with pytest.raises(NeedsError, match="8,193 features of 8,193 rows; 8,192 of either are the most"):
        RidgeHead(8193, 1, None, True, False).add(torch.zeros(8193, 8193), torch.zeros(8193))
