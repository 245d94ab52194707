"""Sampling: answers to prompts, all answers to a prompt side by side over one pass of it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from manyways.models.language.ends import Ends
from manyways.models.language.forward import plain
from manyways.models.language.generation import generate, padded_on_the_left
from manyways.models.language.probe import attends_only, evaluating, shares_cache

Pick = Callable[[Tensor, Tensor], Tensor]

LEAVE = 0.75
"""Answers that ended leave the batch as soon as those that go on fit into this share of it."""


@torch.no_grad()
def sample(
    network: Any, prompts: Sequence[Sequence[int]], *, count: int, longest: int, ends: Ends, padding: int,
    temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None, rng: torch.Generator | None = None,
) -> list[list[list[int]]]:  # fmt: skip
    """`count` answers to each prompt: token ids, up to and with what ends each of them.

    prompts: one token each at least. longest: the most tokens of an answer. temperature: 0 takes the most probable
    token. top_k, top_p: only the k most probable tokens, or the fewest that hold a share p (Holtzman et al. 2020).
    rng: a generator on the CPU; what an answer draws from it does not depend on when the others end.
    """
    network = plain(network)
    pick = partial(choose, temperature=temperature, top_k=top_k, top_p=top_p)
    sampled = torch.full((len(prompts) * count, longest), padding)
    with evaluating(network):
        if shares_cache(network):
            _sample_side_by_side(network, prompts, count, ends, padding, pick, rng, sampled)
        else:
            owners = torch.arange(len(sampled)).view(len(prompts), count)
            for rows in _alike(network, prompts):
                generated = generate([prompts[row] for row in rows], network, count, longest, ends, padding, pick, rng)
                sampled[owners[rows].flatten(), : generated.shape[1]] = generated
    answers = [ends.cut(row) for row in sampled.tolist()]
    return [answers[at : at + count] for at in range(0, len(answers), count)]


def _sample_side_by_side(
    network: Any, prompts: Sequence[Sequence[int]], count: int, ends: Ends, padding: int, pick: Pick,
    rng: torch.Generator | None, sampled: Tensor,
) -> None:  # fmt: skip
    """Fill `sampled` [answers, longest], all answers to a prompt over one pass of it."""
    batch = _Batch(network, prompts, count, padding)
    logits = batch.first
    for step in range(sampled.shape[1]):
        # Drawn for all answers, those that ended too, so that each has a stream of its own.
        dice = torch.rand(len(sampled), generator=rng, dtype=torch.float64)[batch.owners].to(logits.device)
        tokens = pick(logits.flatten(0, 1), dice.flatten()).view_as(dice).cpu()
        sampled[batch.owners[batch.going], step] = tokens[batch.going]
        batch.going[batch.going.clone()] = ~ends.reached(sampled[batch.owners[batch.going], : step + 1])
        if step + 1 == sampled.shape[1] or not bool(batch.going.any()):
            break
        logits = batch.read(batch.shrink(tokens))


def _alike(network: Any, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """Positions of prompts that `network` may read side by side: all, or those of one length if padding reaches it."""
    if attends_only(network):
        return [list(range(len(prompts)))]
    found: dict[int, list[int]] = {}
    for row, prompt in enumerate(prompts):
        found.setdefault(len(prompt), []).append(row)
    return list(found.values())


def choose(
    logits: Tensor, dice: Tensor, temperature: float, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """One token of each row of `logits` [rows, vocabulary]; `dice` in [0, 1), float64 [rows], says which."""
    if temperature == 0:
        return logits.argmax(1)
    logits = logits.float() / temperature
    if top_k is not None and top_k < logits.shape[1]:
        least = logits.topk(top_k, 1).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    if top_p is not None and top_p < 1:
        ordered, places = logits.softmax(1).sort(1, descending=True)
        unneeded = ordered.cumsum(1) - ordered >= top_p
        logits = logits.masked_fill(torch.zeros_like(unneeded).scatter(1, places, unneeded), float("-inf"))
    below = logits.softmax(1).double().cumsum(1)
    return (below <= dice[:, None] * below[:, -1:]).sum(1)


class _Batch:
    """Answers under way, in lines: the answers to a prompt stand side by side and share its cache.

    owners: which answer stands in each place, int64 [lines, side by side]. going: which have not ended. Both on the
    CPU. first: the logits of every answer's first token, [lines, side by side, vocabulary].
    """

    def __init__(self, network: Any, prompts: Sequence[Sequence[int]], count: int, padding: int) -> None:
        from manyways.models.language.cache import cache_word, shared_cache

        self.network, self.padding, self.cache_word = network, padding, cache_word(network)
        self.device = next(network.parameters()).device
        ids, self.seen = padded_on_the_left(prompts, padding)
        self.width = ids.shape[1]
        positions = (self.seen.cumsum(1) - 1).clamp_min(0)
        output = self._forward(ids, self.seen.long(), positions, shared_cache(), logits_to_keep=1)
        self.cache: Any = output[self.cache_word]
        self.first: Tensor = output.logits[:, -1:].expand(-1, count, -1)
        self.owners = torch.arange(len(prompts) * count).view(len(prompts), count)
        self.lengths, self.spoken = self.seen.sum(1), 0
        self.going = torch.ones_like(self.owners, dtype=torch.bool)

    def read(self, tokens: Tensor) -> Tensor:
        """The logits of what follows `tokens` [lines, side by side]; they go into the cache."""
        tokens = tokens.where(self.going, self.padding)
        positions = (self.lengths + self.spoken)[:, None].expand_as(tokens)
        self.spoken += 1
        logits: Tensor = self._forward(tokens, self._mask(), positions, self.cache).logits
        return logits

    def shrink(self, tokens: Tensor) -> Tensor:
        """Let answers that ended leave where that makes the batch much smaller; `tokens` without theirs."""
        going = self.going.sum(1)
        lines, beside = going.nonzero()[:, 0], int(going.max())
        if len(lines) * beside > LEAVE * tokens.numel():
            return tokens
        order = (~self.going[lines]).int().argsort(dim=1, stable=True)[:, :beside]
        for layer in self.cache.layers:
            layer.keep(lines.to(self.device), order.to(self.device), self.width, tokens.shape[1])
        self.seen, self.lengths = self.seen[lines], self.lengths[lines]
        self.owners, self.going, tokens = (each[lines].gather(1, order) for each in (self.owners, self.going, tokens))
        return tokens

    def _mask(self) -> Tensor:
        """Mask of the next tokens, bool [lines, 1, side by side, places]: their prompt and their own answer."""
        lines, beside = self.owners.shape
        own = torch.eye(beside, dtype=torch.bool).repeat(1, self.spoken).expand(lines, -1, -1)
        return torch.cat([self.seen[:, None].expand(-1, beside, -1), own], 2)[:, None]

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, **more: Any) -> Any:
        return self.network(
            input_ids=ids.to(self.device), attention_mask=mask.to(self.device), position_ids=positions.to(self.device),
            use_cache=True, **{self.cache_word: cache}, **more,
        )  # fmt: skip
