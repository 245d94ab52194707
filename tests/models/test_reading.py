"""A model reads rows as it learned them, in whatever form they come, and says what it never saw."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import manyways as mw
from manyways.errors import DataError, DataWarning
from manyways.models.model import Model

RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=80).round(3)
CODES = np.arange(80) % 2 + 1
LABELS = np.where(CODES == 2, "yes", "no")
Rows = dict[str, Any]


def csv(rows: Rows, path: Path) -> Any:
    pl.DataFrame(rows).write_csv(path.with_suffix(".csv"))
    return path.with_suffix(".csv")


def tsv(rows: Rows, path: Path) -> Any:
    pl.DataFrame(rows).write_csv(path.with_suffix(".tsv"), separator="\t")
    return path.with_suffix(".tsv")


def jsonl(rows: Rows, path: Path) -> Any:
    path.with_suffix(".jsonl").write_text(
        "\n".join(json.dumps(row) for row in pl.DataFrame(rows).to_dicts()), encoding="utf-8"
    )
    return path.with_suffix(".jsonl")


def parquet(rows: Rows, path: Path) -> Any:
    pl.DataFrame(rows).write_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def pandas(rows: Rows, path: Path) -> Any:
    return pd.DataFrame(rows)


def mapping(rows: Rows, path: Path) -> Any:
    return rows


FORMS: tuple[Callable[[Rows, Path], Any], ...] = (csv, tsv, jsonl, parquet, pandas, mapping)
WAYS: dict[str, Callable[[np.ndarray], list[Any]]] = {
    "whole": lambda codes: (codes - 1).tolist(),
    "text": lambda codes: [str(code - 1) for code in codes],
    "decimal": lambda codes: (codes - 1.0).tolist(),
    "truth": lambda codes: (codes == 2).tolist(),
    "True": lambda codes: [str(code == 2) for code in codes],
    "true": lambda codes: [str(code == 2).lower() for code in codes],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """A model for each way to write the categories at fit, from a file in which that way is kept."""
    folder = tmp_path_factory.mktemp("learned")
    method = mw.parse_method("ridge")
    return {
        way: method.fit(mw.read(jsonl({"flag": write(CODES), "num": NUMBERS, "label": LABELS}, folder / way)))
        for way, write in WAYS.items()
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("asked", WAYS)
@pytest.mark.parametrize("learned", WAYS)
def test_a_category_is_the_same_in_every_form_and_way(
    models: dict[str, Model], learned: str, asked: str, form: Callable[[Rows, Path], Any], tmp_path: Path
) -> None:
    source = form({"flag": WAYS[asked](CODES), "num": NUMBERS}, tmp_path / "t")
    assert (models[learned].predict(source) == LABELS).all()
    assert (models[learned].predict(mw.read(source, kinds={"flag": "category"})) == LABELS).all()


@pytest.mark.parametrize("form", FORMS)
def test_labels_are_the_same_in_every_form(form: Callable[[Rows, Path], Any], tmp_path: Path) -> None:
    model = mw.parse_method("ridge").fit(mw.read({"x": CODES * 1.5, "label": CODES}))
    assert model.target is not None
    assert model.target.classes == (1, 2)
    for labels in (CODES.tolist(), [str(code) for code in CODES], [f"{code}.0" for code in CODES]):
        found = model.evaluate(form({"x": CODES * 1.5, "label": labels}, tmp_path / "t"))
        assert found["accuracy"] == 1
    assert model.predict(form({"x": [1.5, 3.0]}, tmp_path / "u")).tolist() == [1, 2], "labels as training wrote them"
    truth = mw.parse_method("ridge").fit(mw.read({"x": CODES * 1.5, "label": CODES == 2}))
    for labels in ((CODES - 1).tolist(), [str(code == 2) for code in CODES]):
        assert truth.evaluate(form({"x": CODES * 1.5, "label": labels}, tmp_path / "v"))["accuracy"] == 1


def test_parts_of_several_forms_are_one_table(tmp_path: Path) -> None:
    train = parquet({"flag": CODES == 2, "num": NUMBERS, "label": CODES}, tmp_path / "train")
    test = csv({"flag": [str(code == 2) for code in CODES], "num": NUMBERS, "label": CODES}, tmp_path / "test")
    data = mw.read(train, test=test)
    assert mw.parse_method("ridge").fit(data).evaluate(data.test)["accuracy"] == 1
    words = mw.read(train, test=jsonl({"flag": CODES - 1, "num": NUMBERS, "label": CODES.astype(str)}, tmp_path / "w"))
    assert words.classes == ("1", "2")
    assert mw.parse_method("ridge").fit(words).evaluate(words.test)["accuracy"] == 1


def test_numbers_in_text_are_numbers_where_the_model_learned_numbers() -> None:
    frame = pd.DataFrame({"num": NUMBERS, "b": NUMBERS[::-1].copy()})
    frame["label"] = np.where(frame.num > 0, "up", "down")
    model = mw.parse_method("ridge").fit(mw.read(frame))
    right = model.predict(frame)
    text = frame.assign(num=frame.num.astype(str))
    assert (model.predict(text) == right).all()
    assert model.evaluate(text) == model.evaluate(frame)
    comma = frame.assign(num=[f"{value:.3f}".replace(".", ",") for value in frame.num])
    assert (model.predict(comma) == right).all()
    with pytest.raises(DataError, match=r"'num' was left out when the rows were read: it names each row .*kinds=\{"):
        model.predict(mw.read(text))
    assert (model.predict(mw.read(text, kinds={"num": "number"})) == right).all()
    with pytest.raises(DataError, match="learned from numbers in the column 'num', and row 3 .* holds 'hot'. Correct"):
        model.predict(text.assign(num=[*text.num[:3], "hot", *text.num[4:]]))
    with pytest.raises(DataError, match=r"no column 'num' for the role input; columns are b, label"):
        model.predict(frame.drop(columns="num"))


def test_a_label_in_text_is_a_number_where_the_model_predicts_one(tmp_path: Path) -> None:
    model = mw.parse_method("ridge").fit(mw.read({"x": NUMBERS, "label": 2 * NUMBERS + 0.25}))
    comma = [f"{2 * value + 0.25:.3f}".replace(".", ",") for value in NUMBERS]
    assert model.evaluate({"x": NUMBERS, "label": comma})["r2"] > 0.99
    whole = model.evaluate({"x": [0.5, 1.0, 2.5], "label": [1, 2, 5]})  # which alone would be classes
    assert whole["r2"] > 0.9


def test_labels_by_their_own_name_are_found(tmp_path: Path) -> None:
    rows = {"x": CODES * 1.5, "species": LABELS, "colour": LABELS[::-1]}
    one = mw.parse_method("ridge").fit(mw.read(rows, label="species", input="x"))
    assert one.evaluate(csv(rows, tmp_path / "t"))["accuracy"] == 1
    two = mw.parse_method("multi-task(size=0.25)").fit(mw.read(rows, label=("species", "colour")), budget="2 steps")
    assert {"accuracy of species", "accuracy of colour"} <= set(two.evaluate(csv(rows, tmp_path / "t")))


def test_what_was_never_seen_is_counted_and_said() -> None:
    model = mw.parse_method("ridge").fit(mw.read({"store": LABELS, "num": NUMBERS, "label": LABELS}))
    new = {"store": ["yes", "maybe", "maybe", "never", "no"], "num": [0.5] * 5, "label": ["yes"] * 3 + ["no"] * 2}
    said = (
        r"3 of 5 values of 'store' in data were never seen in training, .*'maybe' 2 times, 'never' 1 time.*It knows 2"
    )
    for ask in (model.predict, model.probabilities, model.evaluate):
        with pytest.warns(DataWarning, match=said):
            ask(new)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict({"store": ["yes", " no "], "num": [0.5, 1.5]})


def test_several_labels_and_committees_say_it_too() -> None:
    data = mw.read({"store": LABELS, "num": NUMBERS, "a": LABELS, "b": LABELS[::-1]}, label=("a", "b"))
    two = mw.parse_method("multi-task(size=0.25)").fit(data, budget="2 steps")
    with pytest.warns(DataWarning, match="1 of 2 values of 'store'"):
        two.predict({"store": ["yes", "x"], "num": [0.5, 0.5]})
    rare = {"store": ["once", *LABELS[1:]], "num": NUMBERS, "label": LABELS}
    sharded = mw.parse_method("sharded(shards=2, method=ridge)").fit(mw.read(rare))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sharded.predict({"store": ["once", "no"], "num": [0.5, 0.5]})  # one of the members saw it
    with pytest.warns(DataWarning, match="1 of 2 values of 'store'"):
        sharded.predict({"store": ["x", "no"], "num": [0.5, 0.5]})


def test_many_categories_are_learned_and_said() -> None:
    stores = np.array([f"S{at % 200:03}" for at in RNG.permutation(2400)], object)
    good = {f"S{at:03}": "hi" if RNG.random() < 0.5 else "lo" for at in range(200)}
    noise = RNG.normal(size=2400)
    data = mw.read({"store": stores, "noise": noise, "label": [good[store] for store in stores]}).with_test(0.2)
    for method in ("ridge", "naive-bayes", "linear-probe"):
        model = mw.parse_method(method).fit(data)
        assert model.evaluate(data.test)["accuracy"] == 1, method
        assert "shared_features" not in model.lineage.facts
    many = np.array([f"S{at % 1500}" for at in range(6000)], object)
    table = mw.read({"store": many, "label": np.where(np.arange(6000) % 1500 < 700, "lo", "hi")})
    shared = mw.parse_method("ridge").fit(table)
    assert shared.lineage.facts["shared_features"]["store"].startswith(
        "1,500 of its 1,500 categories share 1,024 features, 4 each by hashing"
    )
    assert shared.evaluate(table)["accuracy"] > 0.8
