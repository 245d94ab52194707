"""Answers that were judged: desirable or not."""

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data

WORDS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def desirable(data: Data) -> NDArray[np.bool_] | None:
    """Desirability of each row's answer by its label: a boolean, 1 or 0, or the word; None if it says more.

    Labels that may not be seen are looked at, too: leave out such rows.
    """
    words = [str(value).strip().lower() for value in data.take(data.label.name).tolist()]
    if not set(words) <= set(WORDS):
        return None
    return np.fromiter((WORDS[word] for word in words), bool, len(words))


def judged(data: Data) -> tuple[Data, NDArray[np.bool_]] | None:
    """The rows whose label may be seen and whether their answers are desirable; None where answers are not judged."""
    if not (data.has("label") and (data.has("completion") or data.has("messages"))):
        return None
    shown = data.select(data.labelled)
    good = desirable(shown)
    return None if good is None else (shown, good)
