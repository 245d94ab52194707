"""NaiveBayes: scikit-learn's Gaussian, multinomial and categorical models, each where it is the natural one."""

import numpy as np
import torch
from sklearn.naive_bayes import CategoricalNB, GaussianNB

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.methods.self_supervised.simclr import SimCLR
from manyways.methods.supervised.naive_bayes import NaiveBayes
from manyways.models.model import Model


def _pixels(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return (data.take("image") / np.float32(255)).reshape(len(data), -1).astype(np.float64)


def _categories() -> Data:
    """Three columns of categories and two of numbers, 400 rows of three classes."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, 400)
    columns = [
        Column(
            f"category {at}", "category",
            np.array([f"v{value}" for value in (classes + rng.integers(0, 4, 400)) % (5 + at)], object),
        )
        for at in range(3)
    ]  # fmt: skip
    columns += [Column(f"number {at}", "number", rng.normal(classes * 0.7, 1.0 + at)) for at in range(2)]
    columns.append(Column("label", "category", np.array([f"class {code}" for code in classes], object)))
    roles = {"input": [column.name for column in columns[:-1]], "label": ["label"]}
    return Data.from_columns(columns, roles, name="categories").with_test(0.25)


def _inputs(data: Data, names: tuple[str, ...]) -> Data:
    """`data` with only those columns as inputs."""
    columns = [data.columns[name] for name in (*names, "label")]
    return Data.from_columns(columns, {"input": names, "label": ["label"]}, part=data.part)


def _joint(model: Model, data: Data) -> np.ndarray:  # type: ignore[type-arg]
    """log p(class, row), float64 [rows, classes]."""
    features = model.embed(data)
    assert model.network.head is not None
    return model.network.head(torch.from_numpy(features)).numpy()


def test_is_gaussian_for_pixels(digits: Data) -> None:
    reference = GaussianNB().fit(_pixels(digits.training), digits.training.take("label"))
    model = NaiveBayes().fit(digits)
    expected = reference.predict_joint_log_proba(_pixels(digits.test))
    np.testing.assert_allclose(_joint(model, digits.test), expected, rtol=1e-8)
    assert np.array_equal(model.predict(digits.test), reference.predict(_pixels(digits.test)))


def test_is_categorical_for_categories_and_adds_numbers_up() -> None:
    data = _categories()
    names = tuple(column.name for column in data.inputs)
    words, numbers = _inputs(data, names[:3]), _inputs(data, names[3:])

    def codes(rows: Data) -> np.ndarray:  # type: ignore[type-arg]
        return np.stack([[int(value[1:]) for value in rows.take(name)] for name in names[:3]], 1)

    def table(rows: Data) -> np.ndarray:  # type: ignore[type-arg]
        return np.stack([rows.take(name) for name in names[3:]], 1).astype(np.float32).astype(np.float64)

    labels = data.training.take("label")
    categorical = CategoricalNB().fit(codes(data.training), labels)
    gaussian = GaussianNB().fit(table(data.training), labels)
    by_words = categorical.predict_joint_log_proba(codes(data.test))
    by_numbers = gaussian.predict_joint_log_proba(table(data.test))
    np.testing.assert_allclose(_joint(NaiveBayes().fit(words), words.test), by_words, rtol=1e-8)
    np.testing.assert_allclose(_joint(NaiveBayes().fit(numbers), numbers.test), by_numbers, rtol=1e-8)
    both = by_words + by_numbers - np.log(gaussian.class_prior_)  # each has counted how frequent the classes are
    np.testing.assert_allclose(_joint(NaiveBayes().fit(data), data.test), both, rtol=1e-8)


def test_a_category_that_only_forgotten_rows_had_is_forgotten() -> None:
    data = _categories()
    column = data.columns["category 0"]
    values = np.array(column.values, copy=True)
    rare = np.flatnonzero(data.part == 0)[[4, 9]]
    values[rare] = "a secret name"
    columns = [Column(column.name, "category", values), *(c for c in data.columns.values() if c.name != column.name)]
    data = Data.from_columns(columns, data.roles, part=data.part)
    gone = np.zeros(len(data), bool)
    gone[rare] = True
    model = NaiveBayes().fit(data)
    assert "a secret name" in str(model.inputs.to_json())  # type: ignore[attr-defined]
    forgot, expected = NaiveBayes().forget(model, data, gone), NaiveBayes().fit(data.select(~gone))
    assert "a secret name" not in str(forgot.inputs.to_json())  # type: ignore[attr-defined]
    assert forgot.inputs.to_json() == expected.inputs.to_json()  # type: ignore[attr-defined]
    assert np.array_equal(_joint(forgot, data.test), _joint(expected, data.test))


def test_a_class_without_labels_is_never_predicted(digits: Data) -> None:
    without = digits.hide(np.flatnonzero((digits.take("label") == 3) & (digits.part[digits.rows] == 0)))
    model = NaiveBayes().fit(without)
    assert model.target is not None
    assert len(model.target.classes) == 10
    assert 3 not in model.predict(digits.test)
    assert np.isfinite(model.outputs(digits.test)).all()


def test_smoothing_matters(sentences: Data) -> None:
    few = sentences.with_labels(6, draw="stratified")
    few_words, many = (NaiveBayes(smoothing=rows).fit(few).outputs(few.test) for rows in (1, 9))
    assert np.abs(few_words).max() > np.abs(many).max()
    assert not np.array_equal(few_words, many)


def test_works_on_the_features_of_a_model(digits: Data) -> None:
    few = digits.with_labels(100, draw="stratified")
    start = SimCLR(batch_size=32).fit(few, budget=3)
    shown = few.training.select(few.training.labelled)
    reference = GaussianNB().fit(start.embed(shown).astype(np.float64), shown.take("label"))
    model = NaiveBayes().fit(few, start)
    agree = model.predict(digits.test) == reference.predict(start.embed(digits.test).astype(np.float64))
    assert agree.mean() > 0.99  # features of a row may differ in the last bit by the rows beside it


def test_sound_is_told_apart(tones: Data) -> None:
    assert NaiveBayes().fit(tones).evaluate(tones.test)["accuracy"] > 0.9
