"""The allowance of labels: spent by `reveal` and by answers, kept by all that is made of the data."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.label_notes import LabelNotes
from manyways.data.transport import load_table, save_table
from manyways.data.visibility import metered
from manyways.errors import DataError

pytestmark = pytest.mark.quick


def table(rows: int = 40) -> Data:
    label = np.array(["a", "b"] * (rows // 2), object)
    columns = [Column("x", "number", np.arange(float(rows))), Column("y", "category", label)]
    return Data.from_columns(columns, {"input": ["x"], "label": ["y"]}, name="toy")


def few(allowance: int = 5) -> Data:
    return table().with_labels(10, allowance=allowance)


def hidden(data: Data) -> np.ndarray:  # type: ignore[type-arg]
    return np.flatnonzero(~data.labelled)


def test_reveal_spends_the_allowance_and_stops_at_its_end() -> None:
    data = few()
    more = data.reveal(hidden(data)[:3])
    assert (data.allowance, more.allowance) == (5, 2)
    assert more.reveal(np.flatnonzero(more.labelled)).allowance == 2, "what is seen already is free"
    with pytest.raises(DataError, match=r"3 labels of toy are to be revealed, and 2 more may be\. Ask for fewer"):
        more.reveal(hidden(more)[:3])
    assert table().with_labels(10).reveal(np.arange(40)).labelled.all(), "without an allowance there is no limit"


def test_an_oracles_answers_spend_it_and_a_models_guesses_do_not() -> None:
    data, labels = few(), np.array(["a", "a"], object)
    assert data.with_label_values(hidden(data)[:2], labels).allowance == 3
    guessed = data.with_label_values(hidden(data)[:2], labels, guessed=True)
    assert guessed.allowance == 5
    assert guessed.labelled.sum() == 12
    assert guessed.truly_labelled.sum() == 10
    answered = guessed.with_label_values(hidden(data)[:2], labels)
    assert answered.allowance == 3, "an answer to what was guessed is an answer"
    assert answered.truly_labelled.sum() == 12
    with pytest.raises(DataError, match="hold a guess in place of their label"):
        guessed.reveal(hidden(data)[:1])
    with pytest.raises(DataError, match="6 labels of toy are to be revealed, and 5 more may be"):
        data.with_label_values(hidden(data)[:6], np.array(["a"] * 6, object))


OPERATIONS: list[Callable[[Data], Data]] = [
    lambda data: data.select(np.arange(30)),
    lambda data: data.without(data.ids[:2]),
    lambda data: data.with_inputs(["x"]),
    lambda data: data.with_test(0.2),
    lambda data: data.with_validation(0.2),
    lambda data: data.with_last_as_test(0.2),
    lambda data: data.with_clients(2),
    lambda data: data.with_forgotten(np.array([0])),
    lambda data: data.with_label("y"),
    lambda data: data.training,
    lambda data: data.hide(np.array([0])),
    lambda data: data.with_labels(10),
]


@pytest.mark.parametrize("change", OPERATIONS)
def test_every_operation_keeps_it(change: Callable[[Data], Data]) -> None:
    data = metered(few().with_label_values(np.array([39]), np.array(["a"], object), guessed=True), 5)
    assert change(data).allowance == data.allowance == 5
    assert change(data).meter is data.meter


def test_it_crosses_to_another_process(tmp_path: Path) -> None:
    data = few().with_label_values(np.array([39]), np.array(["a"], object), guessed=True)
    loaded = load_table(save_table(data, tmp_path / "table"))
    assert loaded.allowance == 5
    assert np.array_equal(loaded.truly_labelled, data.truly_labelled)
    assert load_table(save_table(table(), tmp_path / "other")).allowance is None


def test_another_draw_pays_for_the_labels_that_it_shows() -> None:
    data = few(30)
    assert data.with_labels(15).allowance == 25, "ten of fifteen were seen"
    other = data.with_labels(10, seed=1)
    fresh = 10 - int((other.labelled & data.labelled).sum())
    assert other.allowance == 30 - fresh
    with pytest.raises(DataError, match="30 labels of toy are to be revealed, and 29 more may be"):
        few(29).with_labels(40)


def test_an_allowance_can_only_become_less() -> None:
    assert few(5).with_allowance(2).allowance == 2
    with pytest.raises(DataError, match="from 0 to 5, which is what is left; got 6"):
        few(5).with_allowance(6)
    with pytest.raises(DataError, match="from 0; got -1"):
        table().with_allowance(-1)


def test_within_a_fit_all_copies_spend_from_one_meter() -> None:
    """Two copies of the same data each have an allowance of five; together they have five as well."""
    data = metered(few(), 0)
    first, second = hidden(data)[:4], hidden(data)[4:8]
    data.reveal(first)
    data.reveal(first)  # the same labels again are free
    with pytest.raises(DataError, match=r"4 more labels of toy are asked for, and 4 of the 5 that this training may"):
        data.reveal(second)
    outside = few()
    outside.reveal(first)
    outside.reveal(second)  # of data that no fit was given, each copy is its own


def test_notes_bring_what_was_learned_to_data_of_the_same_table() -> None:
    data = few(8)
    rows = hidden(data)
    after = data.reveal(rows[:2]).with_label_values(rows[2:4], np.array(["a", "z"], object))
    after = after.with_label_values(rows[4:6], np.array(["b", "b"], object), guessed=True)
    notes = LabelNotes.from_json(json.loads(json.dumps(LabelNotes.between(data, after).to_json())), "here")
    again = notes.on(data)
    assert again.take("y").tolist() == after.take("y").tolist()
    assert np.array_equal(again.truly_labelled, after.truly_labelled)
    assert np.array_equal(again.labelled, after.labelled)
    assert again.allowance == after.allowance == 4
    assert notes.on(again).allowance == 4, "what is known already is not paid again"
    without = notes.on(data, guesses=False)
    assert without.labelled.sum() == 14
    some = data.select(rows[1:3])
    assert notes.on(some).labelled.tolist() == [True, True]


@pytest.mark.parametrize("broken", [{"answers": []}, {"revealed": ["1"]}, {"revealed": None}])
def test_damaged_notes_are_refused_by_name(broken: dict[str, object]) -> None:
    data = few()
    after = data.with_label_values(hidden(data)[:2], np.array(["z", "z"], object))
    saved = LabelNotes.between(data, after).to_json()
    with pytest.raises(DataError, match="labels.json"):
        LabelNotes.from_json({**saved, **broken}, "labels.json")
