"""Packing: answers share their prompt's forward pass, and short rows share a line of the batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ids = NDArray[np.int64]
NO_PARENT = -1


@dataclass(frozen=True)
class Answer:
    """One answer to a prompt: its tokens, and which of them are to be said (None: all)."""

    ids: Sequence[int]
    mask: Sequence[bool] | None = None


@dataclass(frozen=True)
class Group:
    """A prompt, maybe empty, with all its answers."""

    prompt: Sequence[int]
    answers: Sequence[Answer]

    def __len__(self) -> int:
        return len(self.prompt) + sum(len(answer.ids) for answer in self.answers)


@dataclass(frozen=True)
class Packed:
    """Groups side by side in lines of one length.

    ids, positions, segments, parents: int64 [lines, length]. A token sees the earlier tokens of its own segment and of
    the segment's parent, so that each answer sees its prompt and no other answer; segment 0 is padding.
    sources, targets, owners: int64 [said tokens]: where in the flattened batch the hidden state stands that says a
    token, the token, and which answer (counted over all groups) it belongs to. answers: how many there are.
    ends: int64 [answers]: where in the flattened batch each answer's last token stands.
    packed: whether lines hold several segments; else each is one sequence, an answer behind its prompt, and a network
    reads it by its own mask and positions.
    """

    ids: Tensor
    positions: Tensor
    segments: Tensor
    parents: Tensor
    sources: Tensor
    targets: Tensor
    owners: Tensor
    ends: Tensor
    answers: int
    packed: bool = True

    def mask(self) -> Tensor | None:
        """Attention mask, bool [lines, 1, length, length]; None where plain causal attention is the same."""
        if bool((self.segments == 1).all()):
            return None
        segments, parents = self.segments, self.parents
        same = segments[:, :, None] == segments[:, None, :]
        above = parents[:, :, None] == segments[:, None, :]
        length = segments.shape[1]
        earlier = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
        return ((same | above) & earlier)[:, None]

    def to(self, device: torch.device) -> "Packed":
        """The same batch on `device`."""
        moved: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **moved)


def pack(groups: Sequence[Group], padding: int, packed: bool = True) -> Packed:
    """Lay out `groups`, the longest first, into as few lines as first-fit finds; the longest sets their length.

    packed: False gives every answer, with its prompt before it, a line of its own.
    """
    if not packed:
        groups = [_alone(group.prompt, answer) for group in groups for answer in group.answers]
    length = max((len(group) for group in groups), default=1)
    first = np.cumsum([0, *(len(group.answers) for group in groups)])
    lines: list[_Line] = []
    for at in sorted(range(len(groups)), key=lambda at: (-len(groups[at]), at)):
        line = next((line for line in lines if packed and line.used + len(groups[at]) <= length), None)
        if line is None:
            line = _Line(len(lines), length, padding)
            lines.append(line)
        line.add(groups[at], int(first[at]))
    answers = [np.concatenate(parts) for parts in zip(*(part for line in lines for part in line.mask), strict=True)]
    order = np.argsort(answers[2], kind="stable")
    ends = np.concatenate([line.ends for line in lines])
    laid = {name: torch.from_numpy(np.stack([getattr(line, name) for line in lines])) for name in _Line.NAMES}
    sources, targets, owners = (torch.from_numpy(each[order]) for each in answers)
    return Packed(
        **laid,
        sources=sources,
        targets=targets,
        owners=owners,
        ends=torch.from_numpy(ends[np.argsort(ends[:, 0], kind="stable"), 1]),
        answers=int(first[-1]),
        packed=packed,
    )


def _alone(prompt: Sequence[int], answer: Answer) -> Group:
    """One sequence of `prompt` and `answer`, of which the answer's targets are predicted."""
    kept = [True] * len(answer.ids) if answer.mask is None else answer.mask
    return Group((), [Answer([*prompt, *answer.ids], [*[False] * len(prompt), *kept])])


class _Line:
    """One line of a batch while it is filled."""

    NAMES = ("ids", "positions", "segments", "parents")

    def __init__(self, number: int, length: int, padding: int) -> None:
        self.start, self.used, self.count = number * length, 0, 0
        self.ids = np.full(length, padding, np.int64)
        self.positions = np.zeros(length, np.int64)
        self.segments = np.zeros(length, np.int64)
        self.parents = np.full(length, NO_PARENT, np.int64)
        self.mask: list[tuple[Ids, Ids, Ids]] = [(np.empty(0, np.int64),) * 3]
        self.ends: NDArray[np.int64] = np.empty((0, 2), np.int64)

    def add(self, group: Group, first: int) -> None:
        prompt_end = self._write(group.prompt, 0, NO_PARENT)
        parent = self.count if len(group.prompt) else NO_PARENT
        for number, answer in enumerate(group.answers, first):
            begin = self.used
            end = self._write(answer.ids, len(group.prompt), parent)
            here = np.arange(begin, end, dtype=np.int64)
            before = here - 1
            if len(here):
                before[0] = prompt_end - 1 if len(group.prompt) else -1
            keep = np.ones(len(here), bool) if answer.mask is None else np.asarray(answer.mask, bool)
            keep = keep & (before >= 0)
            targets = np.asarray(answer.ids, np.int64)
            owners = np.full(int(keep.sum()), number, np.int64)
            self.mask.append((self.start + before[keep], targets[keep], owners))
            last = end - 1 if len(here) else prompt_end - 1
            self.ends = np.concatenate([self.ends, [[number, self.start + last]]])

    def _write(self, ids: Sequence[int], position: int, parent: int) -> int:
        begin, end = self.used, self.used + len(ids)
        if len(ids):
            self.count += 1
            self.ids[begin:end] = ids
            self.positions[begin:end] = np.arange(position, position + len(ids))
            self.segments[begin:end] = self.count
            self.parents[begin:end] = parent
            self.used = end
        return end


def per_answer(values: Tensor, batch: Packed) -> Tensor:
    """The sum of `values` [said tokens] over each answer [answers]."""
    return torch.zeros(batch.answers, dtype=values.dtype, device=values.device).index_add(0, batch.owners, values)


def answer_lengths(batch: Packed) -> Tensor:
    """The number of said tokens of each answer, float32 [answers]."""
    return per_answer(torch.ones_like(batch.targets, dtype=torch.float32), batch)
