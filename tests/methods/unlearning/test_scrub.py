"""SCRUB: max steps and min steps in rounds, and a class that is forgotten while the others stay."""

import numpy as np
import pytest

from manyways.data.data import Data
from manyways.errors import NeedsError
from manyways.methods.supervised.supervised import Supervised
from manyways.methods.unlearning.scrub import SCRUB

from .conftest import Case


def test_a_class_is_forgotten_as_if_it_had_not_been_there(one_class: Case) -> None:
    made = SCRUB(learning_rate=2e-3).forget(one_class.model, one_class.data, one_class.rows)
    gone, kept, like = one_class.scores(made, "accuracy")
    before = one_class.scores(one_class.model, "accuracy")
    assert gone < 0.1
    assert kept > before[1] - 0.03
    assert like > before[2] - 0.03


@pytest.mark.quick
def test_rounds_begin_with_passes_over_what_is_to_be_forgotten() -> None:
    """60 steps in 6 rounds; 90 rows are three batches of 32."""
    rising = [SCRUB().rising(step, 60, 90) for step in range(60)]
    assert rising == ([True] * 3 + [False] * 7) * 3 + [False] * 30
    assert sum(SCRUB().rising(step, 60, 10_000) for step in range(60)) == 15, "half of a round at most"
    assert not SCRUB().rising(5, 6, 90), "the last round repairs"


def test_a_class_is_doubted_from_the_first_step(one_class: Case) -> None:
    """A student that still is its teacher knows which way to go: not towards more certainty."""
    model = SCRUB(rounds=1, batch_size=8).forget(one_class.model, one_class.data, one_class.rows, budget=4)
    before, after = (one_class.scores(each, "log_loss") for each in (one_class.model, model))
    assert after[0] > 1.2 * before[0]


def test_without_max_steps_nothing_is_forgotten(one_class: Case) -> None:
    """As many rounds as are too short for one."""
    model = SCRUB(rounds=60).forget(one_class.model, one_class.data, one_class.rows, budget=50)
    assert one_class.scores(model, "accuracy")[0] > 0.9


def test_numbers_are_refused(diabetes: Data) -> None:
    rows = (diabetes.part[diabetes.rows] == 0) & (np.arange(len(diabetes)) % 9 == 0)
    with pytest.raises(NeedsError, match="it needs classes"):
        SCRUB().forget(Supervised().fit(diabetes, budget=2), diabetes, rows)
