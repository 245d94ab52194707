"""Episodes: small tasks of telling a few classes apart, drawn from many (Vinyals et al., NeurIPS 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.data import Data
from manyways.data.encoding import Encoded
from manyways.data.notation import is_missing
from manyways.data.storage import RowNumbers
from manyways.errors import DataError

Inputs = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Draw:
    """Rows of some episodes: positions int64 [episodes, ways, rows], and quarter turns [episodes, ways]."""

    positions: NDArray[np.int64]
    turns: NDArray[np.int64]

    def split(self, shots: int) -> "tuple[Draw, Draw]":
        """The first `shots` rows of every class, which are learned from, and the rest, which are asked."""
        return Draw(self.positions[..., :shots], self.turns), Draw(self.positions[..., shots:], self.turns)

    def __getitem__(self, episodes: NDArray[np.int64]) -> "Draw":
        """Some of the episodes."""
        return Draw(self.positions[episodes], self.turns[episodes])


@dataclass(frozen=True, eq=False)
class Episodes:
    """Sampler of episodes: the positions of the rows of each class, and the classes of each task.

    The classes of an episode are all of one task. quarter_turns: 4 makes four classes of each, its images turned by 0°,
    90°, 180° and 270° (Santoro et al. 2016); 1 leaves them as they are.
    """

    rows: Sequence[RowNumbers]
    names: Sequence[str]
    tasks: Sequence[NDArray[np.int64]]
    task_names: Sequence[str]
    source: str
    quarter_turns: int = 1

    @staticmethod
    def of(data: Data, *, hidden: bool = False, quarter_turns: int = 1) -> "Episodes":
        """The classes of the rows of `data` whose label may be seen, or is known where `hidden`, by their task.

        Without the role task all rows are of one. Positions count the rows of `data`.

        Raises:
            DataError: A row has no task.
        """
        labelled = np.flatnonzero(data.known if hidden else data.labelled)
        labels = data.take(data.label.name)[labelled]
        group = np.zeros(len(labelled), object)
        if data.has("task"):
            (column,) = data.roles["task"]
            group = data.take(column)[labelled].astype(object)
            if (lost := is_missing(group)).any():
                raise DataError(
                    f"{int(lost.sum())} of {len(labelled)} labelled rows of {data.name} have no task in the column "
                    f"{column!r}; name theirs, or leave those rows out."
                )
        by_task: dict[tuple[Any, Any], list[int]] = {}
        for position, task, label in zip(labelled.tolist(), group.tolist(), labels.tolist(), strict=True):
            by_task.setdefault((task, label), []).append(position)
        keys = sorted(by_task, key=lambda key: (str(key[0]), str(type(key[1])), key[1]))
        tasks: dict[Any, list[int]] = {}
        for number, (task, _) in enumerate(keys):
            tasks.setdefault(task, []).append(number)
        return Episodes(
            [np.array(by_task[key]) for key in keys],
            [str(label) for _, label in keys],
            [np.array(members) for members in tasks.values()],
            [f"the task {task!r} of {data.name}" if data.has("task") else data.name for task in tasks],
            data.name,
            quarter_turns,
        )

    @property
    def fewest_classes(self) -> int:
        """Number of classes of the task that has fewest."""
        return min((len(members) for members in self.tasks), default=0) * self.quarter_turns

    @property
    def fewest_rows(self) -> int:
        """Number of rows of the class that has fewest."""
        return min(map(len, self.rows), default=0)

    def lacking(self, ways: int, shots: int, queries: int) -> str | None:
        """The reason why episodes of so many classes and rows cannot be drawn, with what to type; None if they can."""
        if not self.rows:
            return f"episodes are made of labelled rows, and {self.source} has none. Label some rows."
        few = [task for task, members in enumerate(self.tasks) if len(members) * self.quarter_turns < ways]
        if few:
            have = len(self.tasks[few[0]]) * self.quarter_turns
            others = f", and {len(few) - 1} more of {len(self.tasks)} tasks have too few" if len(few) > 1 else ""
            least = self.fewest_classes
            advice = f"Ask for fewer: ways={least}" if least > 1 else "Give it more classes, or leave its rows out"
            return (
                f"episodes of {ways} classes are asked for, and {self.task_names[few[0]]} has {have}{others}. {advice}."
            )
        short = [task for task, members in enumerate(self.rows) if len(members) < shots + queries]
        if short:
            task, have = short[0], len(self.rows[short[0]])
            return (
                f"an episode takes {shots} + {queries} labelled rows of a class (shots and queries), and "
                f"{self.names[task]!r} in {self.source} has {have}"
                f"{f'; {len(short)} of {len(self.rows)} classes have too few' if len(short) > 1 else ''}. "
                f"Ask for fewer, or leave such classes out."
            )
        return None

    def check(self, ways: int, shots: int, queries: int) -> None:
        """Raise DataError where `lacking` says why."""
        if reason := self.lacking(ways, shots, queries):
            raise DataError(f"{reason[0].upper()}{reason[1:]}")

    def draw(self, episodes: int, ways: int, rows: int, rng: torch.Generator) -> Draw:
        """So many episodes of `ways` classes with `rows` rows of each, no row twice in a class; all from `rng`."""

        def some(count: int, size: int) -> NDArray[np.int64]:
            chosen: NDArray[np.int64] = torch.randperm(count, generator=rng)[:size].numpy()
            return chosen

        positions = np.empty((episodes, ways, rows), np.int64)
        turns = np.empty((episodes, ways), np.int64)
        for episode in range(episodes):
            members = self.tasks[int(some(len(self.tasks), 1)[0])]
            which, turns[episode] = np.divmod(some(len(members) * self.quarter_turns, ways), self.quarter_turns)
            for way, number in enumerate(members[which]):
                positions[episode, way] = self.rows[number][some(len(self.rows[number]), rows)]
        return Draw(positions, turns)


def batch_of(rows: Encoded, drawn: Draw, device: torch.device) -> dict[str, Any]:
    """The rows of each episode, class after class: `inputs` and `labels`, both [episodes, ways × rows, …].

    A class is called by its place in the episode.
    """
    episodes, ways, each = drawn.positions.shape
    inputs = turned(rows.batch(drawn.positions.reshape(-1), device), drawn.turns.repeat(each))
    labels = torch.arange(ways, device=device).repeat_interleave(each).expand(episodes, -1)
    return {
        "inputs": {name: tensor.view(episodes, ways * each, *tensor.shape[1:]) for name, tensor in inputs.items()},
        "labels": labels,
    }


def minibatches_of(
    rows: Encoded, drawn: Draw, count: int, size: int, rng: torch.Generator, device: torch.device
) -> dict[str, Any]:
    """Return `count` minibatches of each episode: `inputs` and `labels`, both [episodes, count, size, …].

    They are the rows of the episode in random orders, each once before any comes again; of fewer rows than `size` a
    minibatch has them all.
    """
    episodes, ways, each = drawn.positions.shape
    size = min(size, ways * each)
    needed = count * size
    rounds = -(-needed // (ways * each))
    orders = [
        torch.cat([torch.randperm(ways * each, generator=rng) for _ in range(rounds)])[:needed].view(count, size)
        for _ in range(episodes)
    ]
    order, episode = torch.stack(orders).to(device), torch.arange(episodes, device=device)[:, None, None]
    batch = batch_of(rows, drawn, device)
    return {
        "inputs": {name: tensor[episode, order] for name, tensor in batch["inputs"].items()},
        "labels": batch["labels"][episode, order],
    }


def turned(inputs: Inputs, turns: NDArray[np.int64]) -> Inputs:
    """Images [rows, C, H, W], H = W, turned by `turns` [rows] quarters; other inputs as they are."""
    if not turns.any():
        return inputs
    out = dict(inputs)
    for name, tensor in inputs.items():
        if tensor.ndim == 4:
            images = tensor.clone()
            for quarter in (1, 2, 3):
                which = torch.from_numpy(np.flatnonzero(turns == quarter)).to(tensor.device)
                images[which] = tensor[which].rot90(quarter, (2, 3))
            out[name] = images
    return out
