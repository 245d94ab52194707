"""Answers of an oracle, which labels the rows that active learning asks about."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manyways.data.questions import Skipped
from manyways.errors import DataError


def answers_of(given: Any, count: int, classes: tuple[Any, ...]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Labels from an oracle, [count], of the classes' own type, and True for each that it is sure of.

    It may name a class that no row had yet, and answer SKIPPED. Of labels with a structure `classes` is empty: their
    kind says what is none.

    Raises:
        DataError: There is another number of answers, or one is no label: nothing, or a value of another type.
    """
    answers = given.tolist() if isinstance(given, np.ndarray) else given
    answers = list(answers) if isinstance(answers, Iterable) and not isinstance(answers, str) else [answers]
    if len(answers) != count:
        raise DataError(f"The oracle was asked for {count} labels and gave {len(answers)}.")
    answers = [each.item() if isinstance(each, np.generic) else each for each in answers]
    sure = np.array([not isinstance(each, Skipped) for each in answers], bool)
    labels = [each for each in answers if not isinstance(each, Skipped)]
    types = {type(classes[0])} if classes else set(map(type, labels)) - {type(None)}
    if strange := [each for each in labels if each not in classes and type(each) not in types]:
        raise DataError(
            f"The oracle answered {strange[0]!r}, which is no label: it gives one for each row that it is asked about, "
            f"such as {', '.join(map(repr, classes[:5]))}."
        )
    out = np.empty(count, object)
    out[:] = answers
    return out, sure
