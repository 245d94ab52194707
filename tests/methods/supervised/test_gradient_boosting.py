"""GradientBoosting: what scikit-learn's histogram trees say, from arrays, of tables as they are."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import manyways as mw
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.errors import DataError, DataWarning, NeedsError
from manyways.methods.supervised.gradient_boosting import GradientBoosting
from manyways.models.saving import load_model

NAMES = [f"store {number:03}" for number in range(40)]


def shops(rows: int = 600, label: str = "classes", seed: int = 0) -> Data:
    """Two numbers, one with gaps, and a category with gaps that says most; three classes, a number or label sets."""
    rng = np.random.default_rng(seed)
    size, place, noise = rng.normal(size=rows), rng.integers(0, len(NAMES), rows), rng.normal(0, 0.3, rows)
    worth = 2.0 * (place % 3) + size + noise
    shown = np.where(rng.random(rows) < 0.2, np.nan, size)
    stores = np.array(NAMES, object)[place]
    stores[rng.random(rows) < 0.1] = None
    labels = {
        "classes": np.array(["low", "middle", "high"], object)[np.digitize(worth, [1, 3])],
        "number": worth,
        "sets": np.array(["|".join(w for w, on in (("big", a), ("far", b)) if on) or "|" for a, b in
                          zip(size > 0, place % 3 == 2, strict=True)], object),
    }  # fmt: skip
    kind = {"classes": "category", "number": "number", "sets": "several"}[label]
    columns = [
        Column("size", "number", shown), Column("noise", "number", noise), Column("store", "category", stores),
        Column("label", kind, labels[label]),
    ]  # fmt: skip
    roles = {"input": ["size", "noise", "store"], "label": ["label"]}
    return Data.from_columns(columns, roles, name="shops").with_test(0.25)


def as_matrix(data: Data, names: list[str] = NAMES) -> np.ndarray:  # type: ignore[type-arg]
    """Numbers as they are and the place of each store among the names, NaN where there is none."""
    places = [np.nan if name not in names else names.index(name) for name in data.take("store").tolist()]
    return np.column_stack([data.take("size"), data.take("noise"), places])


@pytest.mark.parametrize("rows", [40, 600])
def test_says_what_scikit_learn_says_of_gaps_and_categories(rows: int, tmp_path: Path) -> None:
    data = shops(rows)
    names = sorted({name for name in data.training.take("store").tolist() if name})
    reference = HistGradientBoostingClassifier(categorical_features=[2], max_iter=15, random_state=5)
    reference.fit(as_matrix(data.training, names), data.training.take("label"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # few rows hold few of the stores
        model = GradientBoosting(max_iter=15).fit(data, seed=5)
        loaded = load_model(model.save(tmp_path / "model"))
        wanted = reference.predict_proba(as_matrix(data.test, names))
        for each in (model, loaded):
            assert np.abs(each.probabilities(data.test) - wanted).max() < 1e-12
            assert each.predict(data.test).tolist() == reference.predict(as_matrix(data.test, names)).tolist()
        assert model.probabilities(data.test).tobytes() == loaded.probabilities(data.test).tobytes()


def test_says_the_numbers_that_scikit_learn_says_bitwise() -> None:
    data = shops(label="number")
    reference = HistGradientBoostingRegressor(categorical_features=[2], max_iter=20, random_state=0)
    reference.fit(as_matrix(data.training), data.training.take("label"))
    model = GradientBoosting(max_iter=20).fit(data)
    assert model.predict(data.test).tolist() == reference.predict(as_matrix(data.test)).tolist()
    assert model.evaluate(data.test)["r2"] == pytest.approx(
        reference.score(as_matrix(data.test), data.test.take("label"))
    )


def test_two_classes_take_one_tree_a_round(digits: Data) -> None:
    data = digits.select(np.isin(digits.take("label"), [3, 8]))
    pixels = [each.take("image").reshape(len(each), -1) / np.float32(255) for each in (data.training, data.test)]
    reference = HistGradientBoostingClassifier(max_iter=10, random_state=0)
    reference.fit(pixels[0].astype(np.float64), data.training.take("label"))
    model = GradientBoosting(max_iter=10).fit(data)
    wanted = reference.predict_proba(pixels[1].astype(np.float64))
    known = [list(model.target.classes).index(each) for each in (3, 8)]
    assert np.abs(model.probabilities(data.test)[:, known] - wanted).max() < 1e-9


def test_quantiles_are_scikit_learns_and_bound_their_share_of_the_rows() -> None:
    data = shops(1200, "number")
    low, high = (GradientBoosting(quantile=share, max_iter=40).fit(data) for share in (0.1, 0.9))
    reference = HistGradientBoostingRegressor(
        loss="quantile", quantile=0.9, categorical_features=[2], max_iter=40, random_state=0
    ).fit(as_matrix(data.training), data.training.take("label"))
    assert high.predict(data.test).tolist() == reference.predict(as_matrix(data.test)).tolist()
    truth = data.training.take("label")
    assert 0.7 < np.mean((low.predict(data.training) <= truth) & (truth <= high.predict(data.training))) < 0.9
    with pytest.raises(NeedsError, match="a quantile is of numbers, and the label 'label' is none"):
        GradientBoosting(quantile=0.5).fit(shops())
    with pytest.raises(NeedsError, match="has no classes to weigh"):
        GradientBoosting(class_weight="balanced").fit(data)


def test_label_sets_are_learned_one_class_against_the_rest(tmp_path: Path) -> None:
    data = shops(label="sets")
    model = GradientBoosting(max_iter=20).fit(data)
    assert model.evaluate(data.test)["mean_average_precision"] > 0.9
    big = np.array(["big" in each for each in data.training.take("label").tolist()])
    reference = HistGradientBoostingClassifier(categorical_features=[2], max_iter=20, random_state=0)
    reference.fit(as_matrix(data.training), big)
    wanted = reference.predict_proba(as_matrix(data.test))[:, 1]
    at = model.target.classes.index("big")
    assert np.abs(model.probabilities(data.test)[:, at] - wanted).max() < 1e-12
    loaded = load_model(model.save(tmp_path / "model"))
    assert loaded.probabilities(data.test).tobytes() == model.probabilities(data.test).tobytes()


def test_more_categories_than_a_split_can_tell_apart_share_the_last_one() -> None:
    rng = np.random.default_rng(0)
    place = np.concatenate([np.repeat(np.arange(253), 12), np.arange(253, 600)])
    stores = np.array([f"s{each:04}" for each in place], object)
    labels = np.where((place % 2 == 0) ^ (rng.random(len(place)) < 0.02), "even", "odd").astype(object)
    columns = [Column("store", "category", stores), Column("label", "category", labels)]
    data = Data.from_columns(columns, {"input": ["store"], "label": ["label"]})
    model = GradientBoosting(min_samples_leaf=1).fit(data)
    assert np.mean(model.predict(data)[:3036] == labels[:3036]) > 0.95
    # The 254th most frequent has a code of its own, the 346 others are one and answered alike.
    assert len({*map(tuple, model.probabilities(data)[-346:].tolist())}) == 1


def test_weights_and_class_weights_are_scikit_learns() -> None:
    data = shops()
    weights = np.random.default_rng(1).random(len(data.part)) * 2
    weighed = Data.from_columns(
        [*data.columns.values(), Column("weight", "number", weights)], {**data.roles, "weight": ["weight"]},
        part=data.part,
    )  # fmt: skip
    reference = HistGradientBoostingClassifier(
        categorical_features=[2], max_iter=5, random_state=0, class_weight="balanced"
    )
    kept = weighed.training
    reference.fit(as_matrix(kept), kept.take("label"), sample_weight=kept.take("weight"))
    model = GradientBoosting(max_iter=5, class_weight="balanced").fit(weighed)
    wanted = reference.predict_proba(as_matrix(data.test))
    order = [reference.classes_.tolist().index(each) for each in model.target.classes]
    assert np.abs(model.probabilities(weighed.test) - wanted[:, order]).max() < 1e-12


def test_rows_of_a_file_are_learned_from_with_their_gaps(tmp_path: Path) -> None:
    lines = ["size,store,label", *(f"{'' if n % 5 == 0 else n % 7},{'ab'[n % 2]},{'uv'[n % 2]}" for n in range(120))]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match='bad_rows="keep" for methods that learn from missing values'):
        mw.read(tmp_path / "rows.csv")
    data = mw.read(tmp_path / "rows.csv", bad_rows="keep")
    model = GradientBoosting(max_iter=5).fit(data)
    assert model.predict(tmp_path / "rows.csv").tolist() == ["u", "v"] * 60
    assert model.evaluate(tmp_path / "rows.csv")["accuracy"] == 1
    assert model.lineage.rows.shape == (120, 2)
    with pytest.raises(NeedsError, match=r"each cell, and 24 of 120 rows \(0, 5, .*'size'.*bad_rows=\"fill\""):
        mw.Supervised().fit(data, budget=1)


def test_texts_and_early_stops_without_rows_are_refused() -> None:
    data = shops(40)
    with pytest.raises(NeedsError, match="early_stopping out"):
        GradientBoosting(early_stopping=True).fit(data.with_labels(3, draw="stratified"))
    texts = np.array([f"these are the words {number}" for number in range(len(data.part))], object)
    columns = [*data.columns.values(), Column("says", "text", texts)]
    mixed = Data.from_columns(columns, {**data.roles, "input": ["noise", "says"]}, part=data.part)
    with pytest.raises(NeedsError, match=r"'says' is text\. From text learns linear, or name the other inputs: input="):
        GradientBoosting().fit(mixed)


def test_of_a_stream_it_predicts_the_last_fifth_as_scikit_learn_does(real_data: Callable[[str], Path]) -> None:
    """The stream elec, its last fifth for testing: scikit-learn's accuracy, above 71%."""
    import polars as pl

    table = pl.read_csv(real_data("drift-streams") / "elec.csv.gz")
    names = table.columns
    columns = [Column(name, "number", table[name].cast(pl.Float64).to_numpy()) for name in names[:-1]]
    columns.append(Column("label", "category", table[names[-1]].cast(pl.String).to_numpy().astype(object)))
    part = np.zeros(len(table), np.uint8)
    part[-len(table) // 5 :] = 2
    data = Data.from_columns(columns, {"input": names[:-1], "label": ["label"]}, part=part)
    assert GradientBoosting(max_iter=60).fit(data).evaluate(data.test)["accuracy"] > 0.71
