"""Rewards of completions: a function's, a model's, or whether they are the completion of the data."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.errors import DataError, TrainingError
from manyways.methods.bases._reward_names import Reward, find_reward, name_of, short, wanted
from manyways.models.language.rows import strings
from manyways.models.model import Model

LARGEST = float(np.finfo(np.float32).max)


def exact_match(completions: Sequence[str], truth: Sequence[str]) -> list[float]:
    """1 where a completion is the truth, blanks around both aside, else 0."""
    return [float(said.strip() == true.strip()) for said, true in zip(completions, truth, strict=True)]


def likeness(completions: Sequence[str], completion: Sequence[str]) -> list[float]:
    """The likeness of a completion to that of the data, in [0, 1] (Ratcliff & Obershelp 1988)."""
    return [SequenceMatcher(None, said, true).ratio() for said, true in zip(completions, completion, strict=True)]


def completions_of(data: Data) -> list[str]:
    """The completion of each row. Raises DataError where one is missing, so that no answer could be right."""
    texts = strings(data, data.roles["completion"][0], np.arange(len(data)))
    if empty := [row for row, text in enumerate(texts) if not text.strip()]:
        raise DataError(
            f"{data.name} has {len(empty)} of {len(texts)} rows without a completion to compare with, the first is row "
            f"{data.rows[empty[0]]} (rows count from 0). Fill them in, leave them out, or give a reward."
        )
    return texts


class Judge:
    """Gives the rewards of completions to rows of a table.

    reward: a function, or its name as "package.module:function"; a model that scores, or its folder; None compares with
    the data's own completions. A function gets, by name and as far as it asks for them, `prompts`, `completions` and
    every column of the table, each a list with a value per completion, and gives as many numbers.
    Raises ParameterError where the reward fits neither the table nor its task.
    """

    def __init__(self, reward: Reward, data: Data, prompts: Sequence[str]) -> None:
        self.data, self.prompts = data, prompts
        self.resolved = find_reward(reward)
        self.name = name_of(reward)
        self.wanted: list[str] = []
        if self.resolved is None:
            self.truth = completions_of(data)
        elif not isinstance(self.resolved, Model):
            self.wanted = wanted(self.resolved, self.name, data)

    def __call__(self, rows: NDArray[np.int64], completions: Sequence[str]) -> Tensor:
        """The reward of each of `completions` to the rows at positions `rows`, float32.

        Raises TrainingError, with the row, where the function raises or gives anything but a finite number for each.
        """
        if self.resolved is None:
            return torch.tensor(exact_match(completions, [self.truth[row] for row in rows]))
        try:
            given = self._ask(rows, completions)
        except Exception as error:
            raise self._raised(error, rows, completions) from error
        return self._checked(given, rows, completions)

    def to(self, device: torch.device) -> None:
        """Let a model score on `device`. The model that was given stays where it is."""
        if isinstance(self.resolved, Model) and next(self.resolved.network.parameters()).device != device:
            self.resolved = replace(self.resolved, network=copy.deepcopy(self.resolved.network).to(device))

    def _ask(self, rows: NDArray[np.int64], completions: Sequence[str]) -> Any:
        prompts = [self.prompts[row] for row in rows]
        if isinstance(self.resolved, Model):
            return self.resolved.score(prompts, list(completions))
        assert self.resolved is not None
        held = {"prompts": prompts, "completions": list(completions)}
        return self.resolved(**{name: held[name] if name in held else self._column(name, rows) for name in self.wanted})

    def _column(self, name: str, rows: NDArray[np.int64]) -> list[Any]:
        values = self.data.columns[name].take(self.data.rows[rows])
        if name in self.data.roles.get("label", ()):  # a label that may not be seen is not told here either
            values = values.astype(object)
            values[~self.data.labelled[rows]] = None
        return list(values.tolist() if values.ndim == 1 else values)

    def _checked(self, given: Any, rows: NDArray[np.int64], completions: Sequence[str]) -> Tensor:
        if hasattr(given, "tolist"):  # an array, a tensor, a series
            given = given.tolist()
        several = isinstance(given, Sequence) and not isinstance(given, str)
        if not several or len(given) != len(completions):
            got = f"{len(given)} values" if several else repr(given)
            raise TrainingError(
                f"{self.name} must give a list of {len(completions)} numbers for {len(completions)} completions; got "
                f"{short(got)}."
            )
        numbers = [_number(value) for value in given]
        for at, number in enumerate(numbers):
            if number is None:
                raise TrainingError(
                    f"{self.name} must give a finite number for every completion; got {short(repr(given[at]))} for "
                    f"{self._place(rows[at], completions[at])}."
                )
        return torch.tensor(numbers, dtype=torch.float32)

    def _raised(self, error: Exception, rows: NDArray[np.int64], completions: Sequence[str]) -> TrainingError:
        """The error to raise for an `error`: that of the first completion which raises alone, where one does."""
        place = f"all {len(completions)} completions of a step, though for none alone"
        for at in range(len(completions)):
            try:
                self._ask(rows[at : at + 1], completions[at : at + 1])
            except Exception as alone:
                error, place = alone, self._place(rows[at], completions[at])
                break
        return TrainingError(f"{self.name} raised {type(error).__name__}: {error}, for {place}.")

    def _place(self, row: np.int64, completion: str) -> str:
        return (
            f"row {self.data.rows[row]} of {self.data.name} (rows count from 0), the prompt "
            f"{short(self.prompts[int(row)])!r} and the completion {short(completion)!r}"
        )


def _number(value: Any) -> float | None:
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    return float(value) if isinstance(value, int | float) and abs(value) <= LARGEST else None
