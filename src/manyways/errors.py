"""Errors, all in one grammar: what is wrong, where, what is allowed, what was given, what to type instead."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class ManywaysError(ValueError):
    """Anything that Manyways refuses; its message is written for the person who reads it."""


class DataError(ManywaysError):
    """The data cannot be read, or a row, column or role in it is not usable."""


class ParameterError(ManywaysError):
    """A hyper-parameter or option is unknown, of the wrong type or out of its range."""


class NeedsError(ManywaysError):
    """A method lacks what it needs: a role in the data, or a model to start from."""


class ModelError(ManywaysError):
    """A model folder or a checkpoint is damaged, or a model does not fit the data or the request."""


class StoreError(ManywaysError):
    """The store cannot be read or written, lacks what is asked for, or a model in it cannot be learned again.

    `model` is the model that was learned and could not be kept, where there is one.
    """

    model: Any = None


class TrainingError(ManywaysError):
    """Training cannot go on: the loss is not finite, the disk is full."""


class AnswersAwaited(ManywaysError):
    """A person is asked for labels, and has not given them yet: not a fault, but the end of what can be done for now.

    Attributes:
        path: The file with the questions.
        count: The number of rows that wait for an answer.
    """

    def __init__(self, message: str, path: Path, count: int) -> None:
        super().__init__(message)
        self.path, self.count = path, count


class DataWarning(UserWarning):
    """Data can be used, but something in it tells the model nothing; how much of what is in the message."""


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` where a name close to `given` is allowed, else an empty string."""
    close = difflib.get_close_matches(given, list(allowed), 1, 0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
