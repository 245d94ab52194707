"""Linear chains over the words of a sentence: which tag may follow which, how probable it is, and the best path.

All of float32 or float64 tensors. Sentences are padded behind their words; their first word is always there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manyways.data.sentences import is_bio

NEVER = -1e4
"""The score of what may not be."""


@dataclass(frozen=True, eq=False)
class Chain:
    """Scores of a first tag [tags], of a tag behind another [before, after], and of a last tag [tags]."""

    start: Tensor
    step: Tensor
    end: Tensor

    def scaled(self, factor: float) -> "Chain":
        """The chain with all scores times `factor`."""
        return Chain(self.start * factor, self.step * factor, self.end * factor)


def legal_chain(tags: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """Scores, 0 or `NEVER`, of first tags and of steps between the `tags` of BIO; None where they mark no spans."""
    if not is_bio(tags):
        return None
    start = np.array([NEVER if tag[0] == "I" else 0 for tag in tags], np.float32)
    step = [[NEVER if after[0] == "I" and before[1:] != after[1:] else 0 for after in tags] for before in tags]
    return start, np.array(step, np.float32)


def log_partition(logits: Tensor, mask: Tensor, chain: Chain) -> Tensor:
    """The logarithm of the sum over all paths of the exponential of their scores [rows] (the forward algorithm).

    Args:
        logits: Scores of tags [rows, words, tags].
        mask: True where there is a word [rows, words].
        chain: Scores of steps.
    """
    alpha = chain.start + logits[:, 0]
    for place in range(1, logits.shape[1]):
        further = (alpha[:, :, None] + chain.step).logsumexp(1) + logits[:, place]
        alpha = torch.where(mask[:, place, None], further, alpha)
    return (alpha + chain.end).logsumexp(1)


def path_scores(logits: Tensor, codes: Tensor, mask: Tensor, chain: Chain) -> Tensor:
    """The score [rows] of the path of the tags `codes` [rows, words], which are known where there is a word."""
    codes = codes.where(mask, 0)
    each = logits.gather(2, codes[..., None])[..., 0] * mask
    steps = chain.step[codes[:, :-1], codes[:, 1:]] * mask[:, 1:]
    last = codes.gather(1, mask.sum(1, keepdim=True).clamp_min(1) - 1)[:, 0]
    return chain.start[codes[:, 0]] + each.sum(1) + steps.sum(1) + chain.end[last]


def negative_log_likelihood(logits: Tensor, codes: Tensor, mask: Tensor, chain: Chain) -> Tensor:
    """The negative log-likelihood [rows] of the tags `codes`, summed over those that are not known, whose code is -1.

    Lafferty, McCallum & Pereira (ICML 2001); of partial annotation Tsuboi et al. (COLING 2008).
    """
    known = codes >= 0
    partition = log_partition(logits, mask, chain)
    if bool((known | ~mask).all()):
        return partition - path_scores(logits, codes, mask, chain)
    only = torch.full_like(logits, NEVER).scatter(2, codes.clamp_min(0)[..., None], 0.0)
    return partition - log_partition(torch.where(known[..., None], logits + only, logits), mask, chain)


def log_marginals(logits: Tensor, mask: Tensor, chain: Chain) -> Tensor:
    """The log-probability of each tag of each word [rows, words, tags] (the forward-backward algorithm)."""
    forward = [chain.start + logits[:, 0]]
    for place in range(1, logits.shape[1]):
        further = (forward[-1][:, :, None] + chain.step).logsumexp(1) + logits[:, place]
        forward.append(torch.where(mask[:, place, None], further, forward[-1]))
    backward = [chain.end.expand_as(forward[0])]
    for place in range(logits.shape[1] - 1, 0, -1):
        nearer = (chain.step + (logits[:, place] + backward[-1])[:, None]).logsumexp(2)
        backward.append(torch.where(mask[:, place, None], nearer, backward[-1]))
    return (torch.stack(forward, 1) + torch.stack(backward[::-1], 1)).log_softmax(2)


def best_paths(logits: Tensor, mask: Tensor, chain: Chain) -> tuple[Tensor, Tensor]:
    """The tags [rows, words] of the path with the highest score (Viterbi 1967), 0 behind the words, and that score."""
    alpha = chain.start + logits[:, 0]
    stay = torch.arange(logits.shape[2], device=logits.device).expand_as(alpha)
    back = []
    for place in range(1, logits.shape[1]):
        best, before = (alpha[:, :, None] + chain.step).max(1)
        alpha = torch.where(mask[:, place, None], best + logits[:, place], alpha)
        back.append(torch.where(mask[:, place, None], before, stay))
    score, tag = (alpha + chain.end).max(1)
    path = [tag]
    for before in reversed(back):
        path.append(before.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1], 1) * mask, score
