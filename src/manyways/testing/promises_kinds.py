"""Promises about all kinds of rows: a table, texts, images and sounds, wherever the method learns from them."""

import warnings

from manyways.errors import DataWarning
from manyways.testing.promises_answers import rows_are_answered_alone
from manyways.testing.promises_saving import saved_and_loaded_same_answers
from manyways.testing.suite import on_every_kind
from manyways.testing.trial import Trial, difference, other_hidden_labels, other_test_rows, require


@on_every_kind
def only_training_rows_and_visible_labels_are_seen(trial: Trial) -> None:
    """Values of test rows, and the hidden labels, make no difference."""
    changed = other_hidden_labels(other_test_rows(trial.data), trial.reference)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # that rows are unlike all others is said
        wrong = difference(trial.reference, trial.fit(changed))
    require(wrong is None, f"with other test rows, and hidden labels of one class, the weights are others: {wrong}.")


@on_every_kind
def answers_are_the_same_alone_and_after_saving(trial: Trial) -> None:
    """Answers to a row depend neither on other rows, nor on whether the model was saved and loaded."""
    rows_are_answered_alone(trial)
    saved_and_loaded_same_answers(trial)
