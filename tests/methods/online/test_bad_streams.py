"""Streams as they should not come: each is refused or survived, and the reason said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.errors import DataError, ModelError, NeedsError, TrainingError
from manyways.methods.online.online_sgd import OnlineSGD
from manyways.methods.supervised.supervised import Supervised

from .conftest import Arrays, Table, fit, rows, same, saved


def test_other_columns_are_refused_by_name(elec: Arrays, table: Table) -> None:
    model = OnlineSGD().fit(table(elec[0][:100, :3], elec[1][:100]))
    with pytest.raises(DataError, match=r"lacks the input 'x2' that the model learned from; its inputs are x0, x1\."):
        OnlineSGD().fit(table(elec[0][100:200, :2], elec[1][100:200]), model)
    with pytest.raises(DataError, match=r"has the input 'x3' .*input=\[\"x0\", \"x1\", \"x2\"\]"):
        OnlineSGD().fit(table(elec[0][100:200, :4], elec[1][100:200]), model)
    data = table(elec[0][100:200, :2], elec[1][100:200], x2=np.array(["a", "b"] * 50, object))
    with pytest.raises(DataError, match=r'x2\' was a number .* it is a category\..*kinds=\{"x2": "number"\}'):
        OnlineSGD().fit(data, model)


def test_another_label_is_refused(elec: Arrays, table: Table) -> None:
    inputs, labels = elec[0][:100], elec[1][:100]
    model = OnlineSGD().fit(table(inputs, labels))
    other = table(inputs, labels)
    renamed = Data.from_columns(
        [*other.inputs, replace(other.label, name="class")], {"input": other.roles["input"], "label": ["class"]}
    )
    with pytest.raises(DataError, match="predicts 'label', and the label of data is 'class'"):
        OnlineSGD().fit(renamed, model)
    with pytest.raises(DataError, match=r'was a category so far.*kinds=\{"label": "category"\}'):
        OnlineSGD().fit(table(inputs, labels.astype(float)), model)
    words = np.array([f"{label}" for label in labels], object)
    again = OnlineSGD().fit(table(inputs, words), model)  # "1" is the class 1
    assert again.target is not None
    assert again.target.classes == (0, 1)
    words[50:] = "other"
    with pytest.raises(DataError, match="of the type int so far.*they are str"):
        OnlineSGD().fit(table(inputs, words), model)


def test_a_number_that_is_none_is_named_with_its_row(elec: Arrays, table: Table) -> None:
    inputs = elec[0][:3000].copy()
    inputs[2345, 4] = np.nan
    with pytest.raises(NeedsError, match=r"1 of 3,000 rows \(2345; .*in 'x4'.*bad_rows=\"skip\""):
        OnlineSGD().fit(table(inputs, elec[1][:3000]))
    labels = elec[0][:3000, 0].copy()
    labels[77] = np.inf
    with pytest.raises(DataError, match="'label' is infinite in row 77"):
        OnlineSGD().fit(table(elec[0][:3000], labels))


def test_a_label_that_is_out_of_all_proportion_ends_the_training(elec: Arrays, table: Table) -> None:
    labels = elec[0][:100, 0].copy()
    labels[40] = 1e200
    with pytest.raises(TrainingError, match="row 40 .* too far from its label .*1e"):
        OnlineSGD().fit(table(elec[0][:100], labels))


def test_a_stream_may_begin_with_one_class(elec: Arrays, table: Table) -> None:
    labels = np.concatenate([np.zeros(50, np.int64), elec[1][50:400]])
    data = table(elec[0][:400], labels)
    first = fit(OnlineSGD(), table(elec[0][:50], labels[:50]))
    assert (first.predict(data) == 0).all()
    whole, gone_on = fit(OnlineSGD(), data), fit(OnlineSGD(), table(elec[0][50:400], labels[50:]), first)
    assert same(whole, gone_on)


def test_standardising_is_not_changed_on_the_way(elec: Arrays, table: Table) -> None:
    data = table(elec[0][:100], elec[1][:100])
    with pytest.raises(ModelError, match=r"OnlineSGD\.standardise must be True"):
        OnlineSGD(standardise=False).fit(data, OnlineSGD().fit(data))


def test_text_is_refused_without_a_model_that_embeds_it(sentences: Data, digits: Data) -> None:
    with pytest.raises(NeedsError, match=r"the text 'text' .*simclr >> online-sgd"):
        OnlineSGD().fit(sentences)
    assert (
        fit(OnlineSGD(), sentences, Supervised().fit(sentences, budget=15)).evaluate(sentences.test)["accuracy"] > 0.6
    )


def test_features_of_a_model_are_a_stream_too(digits: Data, tmp_path: Path) -> None:
    start = Supervised().fit(digits.with_labels(200, draw="stratified"), budget=20)
    training = rows(digits.training, 0, 900)
    whole = fit(OnlineSGD(), training, start)
    half = saved(fit(OnlineSGD(), rows(training, 0, 500), start), tmp_path)
    assert same(whole, fit(OnlineSGD(), rows(training, 500, 900), half))
    assert whole.evaluate(digits.test)["accuracy"] > 0.85
    assert [stage.title for stage in whole.lineage.stages()] == ["online-sgd", "supervised"]


def test_without_numba_it_says_what_to_install(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("manyways.methods.online._method.find_spec", lambda name: None)
    with pytest.raises(NeedsError, match=r"pip install 'manyways\[online\]'"):
        OnlineSGD().fit(digits)
