"""GradientAscent: what is to be forgotten gets worse, what is to stay does not, in classifiers and language models."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.read import read
from manyways.errors import DataError, NeedsError
from manyways.methods.language.pretrain import Pretrain
from manyways.methods.language.sft import SFT
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.unlearning.gradient_ascent import GradientAscent
from manyways.methods.unlearning.npo import NPO
from manyways.methods.unlearning.scrub import SCRUB
from manyways.models.saving import load_model

from .conftest import Case, case_of, pets


def test_a_class_is_forgotten_as_if_it_had_not_been_there(one_class: Case) -> None:
    made = GradientAscent(learning_rate=5e-4).forget(one_class.model, one_class.data, one_class.rows)
    gone, kept, like = one_class.scores(made, "accuracy")
    before = one_class.scores(one_class.model, "accuracy")
    assert gone < 0.1
    assert kept > before[1] - 0.05
    assert like > before[2] - 0.05


def test_the_rows_that_stay_hold_the_model(one_class: Case) -> None:
    """With their term, many steps cost the rows that stay less than without it."""
    forget = [
        GradientAscent(learning_rate=5e-4, retain_weight=weight).forget(
            one_class.model, one_class.data, one_class.rows, budget=80
        )
        for weight in (0.0, 1.0)
    ]
    alone, held = (one_class.scores(model, "accuracy")[1] for model in forget)
    assert held > alone + 0.05


def test_marked_rows_are_forgotten_by_fit_too(one_class: Case) -> None:
    marked = one_class.data.with_forgotten(one_class.rows)
    ways = [
        GradientAscent().fit(marked, one_class.model, budget=5),
        GradientAscent().forget(one_class.model, one_class.data, one_class.rows, budget=5),
    ]
    assert np.array_equal(ways[0].outputs(one_class.gone), ways[1].outputs(one_class.gone))
    chain = (Supervised(augment=False, size=0.5) >> GradientAscent()).fit(marked, budget=10)
    assert chain.lineage.parents[0].facts == {"forgotten": int(one_class.rows.sum()), "proof": False}


def test_it_says_that_nothing_is_proved(one_class: Case) -> None:
    made = GradientAscent().forget(one_class.model, one_class.data, one_class.rows, budget=2)
    assert made.lineage.facts == {"forgotten": int(one_class.rows.sum()), "proof": False}
    listed = {row.tobytes() for row in made.lineage.rows}
    assert all(row.tobytes() in listed for row in one_class.gone.ids)


@pytest.mark.parametrize("kind", ["cancer", "sentences", "tones", "diabetes"])
def test_tables_text_sound_and_numbers(kind: str, request: pytest.FixtureRequest) -> None:
    data: Data = request.getfixturevalue(kind)
    training = data.part[data.rows] == 0
    rows = training & (np.cumsum(training) % 8 == 3)
    case = case_of(data, rows, Supervised(augment=False), 60)
    made = GradientAscent(learning_rate=1e-3).forget(case.model, data, rows, budget=15)
    name = "root_mean_squared_error" if kind == "diabetes" else "log_loss"
    assert case.scores(made, name)[0] > case.scores(case.model, name)[0]


def test_a_language_model_forgets_answers_and_running_text(real_data: Callable[[str], Path]) -> None:
    start, data, rows = load_model(real_data("tinystories-656K")), pets(), np.arange(48) % 6 == 2
    whole = [f"{a}{b}" for a, b in zip(data.take("prompt"), data.take("completion"), strict=True)]
    told = [
        (SFT(learning_rate=2e-3).fit(data, start, budget=25), data),
        (Pretrain(learning_rate=2e-3, context=32).fit(text := read({"text": whole}), start, budget=15), text),
    ]
    for model, source in told:
        made = GradientAscent(batch_size=8, learning_rate=5e-4).forget(model, source, rows, budget=8)
        before, after = (each.evaluate(source.select(rows))["nats_per_token"] for each in (model, made))
        assert after > before + 0.2


def test_what_is_to_be_forgotten_must_be_said(one_class: Case) -> None:
    data, model = one_class.data, one_class.model
    with pytest.raises(NeedsError, match=r'no column has the role forget\. Name it: forget="…"'):
        GradientAscent().fit(data, model)
    with pytest.raises(NeedsError, match="none of the 1,348 training rows are marked"):
        GradientAscent().fit(data.with_forgotten(np.zeros(len(data), bool)), model)
    with pytest.raises(NeedsError, match="all of the 1,348 training rows are marked"):
        GradientAscent().fit(data.with_forgotten(np.ones(len(data), bool)), model)
    with pytest.raises(NeedsError, match="no row that is to be forgotten has a label"):
        GradientAscent().forget(model, data.hide(one_class.rows), one_class.rows)


@pytest.mark.quick
def test_marks_are_read_from_a_column() -> None:
    table = {"x": np.arange(40.0), "label": ["a", "b"] * 20, "erase": ["true", "false"] + ["no"] * 38}
    data = read(table, forget="erase")
    assert data.forgotten.tolist() == [True] + [False] * 39
    odd = read({**table, "erase": ["maybe"] + ["no"] * 39}, forget="erase")
    with pytest.raises(DataError, match="'erase' says which rows are to be forgotten, so it must hold true or false"):
        _ = odd.forgotten
    taken = Data.from_columns([Column("forget", "number", np.arange(3.0))], {"input": ["forget"]})
    with pytest.raises(DataError, match="has a column 'forget' of another role"):
        taken.with_forgotten(np.array([0]))


def test_marks_are_part_of_the_fingerprint_and_not_of_the_ids(one_class: Case) -> None:
    data = one_class.data
    marked, other = data.with_forgotten(one_class.rows), data.with_forgotten(np.array([0]))
    assert len({data.fingerprint, marked.fingerprint, other.fingerprint}) == 3
    assert np.array_equal(data.ids, marked.ids)
    assert other.forgotten.sum() == 1
    assert marked.with_forgotten(np.array([0])).fingerprint == other.fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("method", [GradientAscent(), NPO(beta=1.0), SCRUB()], ids=str)
@pytest.mark.parametrize("what", ["a class", "one in a hundred"])
def test_garments_are_forgotten(method: GradientAscent, what: str, real_data: Callable[[str], Path]) -> None:
    data = read(real_data("fashion-mnist"))
    some = np.random.default_rng(0).permutation(np.flatnonzero(data.part == 0))[:5000]
    data = data.select(np.concatenate([some, np.flatnonzero(data.part == 2)[:2000]]))
    training = data.part[data.rows] == 0
    rows = training & ((data.take("label") == 2) if what == "a class" else (np.cumsum(training) % 100 == 7))
    case = case_of(data, rows, Supervised(augment=False, size=0.5), 500)
    made = method.forget(case.model, data, rows)
    before, after, without = (case.scores(model, "accuracy") for model in (case.model, made, case.without))
    assert abs(after[0] - without[0]) < abs(before[0] - without[0])
    assert after[1] > before[1] - 0.04
    assert after[2] > before[2] - 0.03
