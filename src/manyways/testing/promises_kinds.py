"""Promises about all kinds of rows: a table, texts, images and sounds, wherever the method learns from them."""

from manyways.testing.promises_answers import rows_are_answered_alone
from manyways.testing.promises_saving import saved_and_loaded_same_answers
from manyways.testing.suite import on_every_kind
from manyways.testing.trial import Trial, difference, other_hidden_labels, other_test_rows, require


@on_every_kind
def only_training_rows_and_visible_labels_are_seen(trial: Trial) -> None:
    """What test rows hold, and which the hidden labels are, makes no difference."""
    changed = other_hidden_labels(other_test_rows(trial.data), trial.reference)
    wrong = difference(trial.reference, trial.fit(changed))
    require(wrong is None, f"with other test rows, and hidden labels of one class, the weights are others: {wrong}.")


@on_every_kind
def answers_are_the_same_alone_and_after_saving(trial: Trial) -> None:
    """What the model says of a row does not depend on other rows, nor on whether it was saved and loaded."""
    rows_are_answered_alone(trial)
    saved_and_loaded_same_answers(trial)
