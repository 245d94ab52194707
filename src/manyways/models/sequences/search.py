"""Search for the best sequence: greedily, or with a beam (Graves, 2012; length penalty of Wu et al., 2016)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.models.sequences.base import SequenceDecoder

SPARED = 0.25
"""Share of the rows that must have ended before the others go on without them."""


@dataclass(frozen=True)
class Ends:
    """The tokens at the ends of sequences, and those that are never written.

    Attributes:
        start: Before the first token.
        end: Behind the last one.
        never: Tokens that are never written: padding, start, mask.
        first: Tokens that every sequence begins with, which some checkpoints were trained to.
    """

    start: int
    end: int
    never: tuple[int, ...] = ()
    first: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sequences:
    """Sequences that a search gave: tokens without start and end, and the mean log-probability of one, end included."""

    tokens: list[NDArray[np.int64]]
    log_probs: NDArray[np.float64]


def search(
    decoder: SequenceDecoder[Any],
    memory: Tensor,
    mask: Tensor | None,
    ends: Ends,
    longest: int,
    beams: int = 1,
    length_penalty: float = 1.0,
) -> Sequences:
    """The best sequence for each row of `memory` [rows, tokens, width].

    Args:
        decoder: It, in evaluation.
        memory: What was read.
        mask: True where a row has a token; None: everywhere.
        ends: Special tokens.
        longest: Tokens after which a sequence is cut.
        beams: Sequences of a row that are followed; 1: the most probable token is taken each time.
        length_penalty: The exponent of the length that a sequence's log-probability is divided by; 0: none.
    """
    if mask is not None:
        # Tokens of several inputs lie side by side, so that a mask has holes: columns of nothing are left out.
        columns = mask.any(0).nonzero()[:, 0]
        memory, mask = memory[:, columns], mask[:, columns]
        mask = None if bool(mask.all()) else mask
    if beams == 1:
        return greedy(decoder, memory, mask, ends, longest)
    return beam(decoder, memory, mask, ends, longest, beams, length_penalty)


@torch.no_grad()
def greedy(decoder: SequenceDecoder[Any], memory: Tensor, mask: Tensor | None, ends: Ends, longest: int) -> Sequences:
    """The sequences whose every token is the most probable one."""
    rows = len(memory)
    state = decoder.begin(memory, mask)
    written = torch.full((rows, longest + 1), ends.end, device=memory.device)
    sums = torch.zeros(rows, device=memory.device)
    going = torch.arange(rows, device=memory.device)
    last = torch.full((rows,), ends.start, device=memory.device)
    for place in range(longest):
        log_probs = _allowed(decoder.step(last[:, None], state)[:, 0], ends, place)
        best, last = log_probs.max(1)
        open_ = written[going, place - 1] != ends.end if place else torch.ones_like(last, dtype=torch.bool)
        last = last.where(open_, ends.end)
        sums[going] += best.where(open_, 0.0)
        written[going, place] = last
        open_ = last != ends.end
        count = int(open_.sum())
        if not count:
            break
        if count <= (1 - SPARED) * len(going):
            kept = open_.nonzero()[:, 0]
            state.keep_rows(kept)
            going, last = going[kept], last[kept]
    return _cut(written.cpu().numpy(), sums.double().cpu().numpy(), ends.end)


@torch.no_grad()
def beam(
    decoder: SequenceDecoder[Any],
    memory: Tensor,
    mask: Tensor | None,
    ends: Ends,
    longest: int,
    beams: int,
    length_penalty: float,
) -> Sequences:
    """The sequences of the highest log-probability by length among those that a beam finds.

    Of the best continuations of a row those that end go to its finished ones, of which it keeps as many as beams; a row
    is done when it has as many, or at `longest`.
    """
    rows, device = len(memory), memory.device
    state = decoder.begin(memory, mask, beams)
    best = torch.full((rows, longest + 1), ends.end, device=device)
    best_score, best_sum = torch.full((rows,), -torch.inf, device=device), torch.zeros(rows, device=device)
    finished = torch.zeros(rows, dtype=torch.int64, device=device)
    going = torch.arange(rows, device=device)
    sums = torch.full((rows, beams), -torch.inf, device=device)
    sums[:, 0] = 0.0
    last = torch.full((rows, beams), ends.start, device=device)
    written = torch.full((rows, beams, longest + 1), ends.end, device=device)

    def finish(which: Tensor, totals: Tensor, sequences: Tensor, length: int) -> None:
        """Let the sequences [going, longest + 1] of rows `which` be their best ones where they score higher."""
        scores = totals / length**length_penalty
        better = which & (scores > best_score[going])
        places = going[better]
        best[places], best_score[places], best_sum[places] = sequences[better], scores[better], totals[better]

    for place in range(longest):
        log_probs = _allowed(decoder.step(last, state), ends, place)
        count, vocabulary = len(going), log_probs.shape[2]
        totals, flat = (sums[:, :, None] + log_probs).flatten(1).topk(2 * beams, dim=1)
        origin, token = flat // vocabulary, flat % vocabulary
        ending = token == ends.end
        within = ending[:, :beams] & torch.isfinite(totals[:, :beams])
        for rank in range(beams):
            if bool(within[:, rank].any()):
                ended = written[torch.arange(count, device=device), origin[:, rank]]
                finish(within[:, rank], totals[:, rank], ended, place + 1)
        finished[going] += within.sum(1)
        # Among twice as many at least `beams` go on: each beam ends in one way only.
        order = ending.to(torch.int8).argsort(dim=1, stable=True)[:, :beams]
        sums, origin, last = totals.gather(1, order), origin.gather(1, order), token.gather(1, order)
        written = written.gather(1, origin[:, :, None].expand(-1, -1, longest + 1))
        written[:, :, place] = last
        kept = (finished[going] < beams).nonzero()[:, 0]
        if not len(kept):
            return _cut(best.cpu().numpy(), best_sum.double().cpu().numpy(), ends.end)
        state.keep_sequences((torch.arange(count, device=device)[:, None] * beams + origin).flatten())
        if len(kept) < count:
            state.keep_rows(kept)
            going, last, sums, written = going[kept], last[kept], sums[kept], written[kept]
    for rank in range(beams):
        finish(torch.isfinite(sums[:, rank]), sums[:, rank], written[:, rank], longest)
    return _cut(best.cpu().numpy(), best_sum.double().cpu().numpy(), ends.end)


def _allowed(logits: Tensor, ends: Ends, place: int) -> Tensor:
    """Log-probabilities of logits [..., vocabulary] at a `place`, −∞ for tokens that are not written there."""
    if place < len(ends.first):
        log_probs = torch.full_like(logits, -torch.inf, dtype=torch.float32)
        log_probs[..., ends.first[place]] = 0.0
        return log_probs
    logits = logits.float()
    if ends.never:
        logits[..., list(ends.never)] = -torch.inf
    return logits.log_softmax(-1)


def _cut(written: NDArray[np.int64], sums: NDArray[np.float64], end: int) -> Sequences:
    """The tokens of each row before its first `end`, and their mean log-probability."""
    lengths = (written == end).argmax(1)
    counted = np.minimum(lengths + 1, written.shape[1] - 1).clip(1)
    return Sequences([row[:length] for row, length in zip(written, lengths, strict=True)], sums / counted)
