"""Sampling: answers to prompts, all answers to a prompt side by side over one pass of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from manyways.models.language.packing import plain

LEAVE = 0.75
"""Answers that ended leave the batch as soon as those that go on fit into this share of it."""


@torch.no_grad()
def sample(
    network: Any, prompts: Sequence[Sequence[int]], *, count: int, longest: int, end: int, padding: int,
    temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None, rng: torch.Generator | None = None,
) -> list[list[list[int]]]:  # fmt: skip
    """`count` answers to each prompt: token ids, the `end` token included where it was said.

    prompts: one token each at least. longest: the most tokens of an answer. temperature: 0 takes the most probable
    token. top_k, top_p: only the k most probable tokens, or the fewest that hold a share p (Holtzman et al. 2020).
    rng: a generator on the CPU; what an answer draws from it does not depend on when the others end.
    """
    network = plain(network)
    said = torch.full((len(prompts) * count, longest), padding, dtype=torch.long)
    with _evaluating(network):
        batch = _Batch(network, prompts, count, padding)
        logits = batch.first
        for step in range(longest):
            # Drawn for all answers, those that ended too, so that each has a stream of its own.
            dice = torch.rand(len(said), generator=rng, dtype=torch.float64)[batch.owners].to(logits.device)
            tokens = choose(logits.flatten(0, 1), dice.flatten(), temperature, top_k, top_p).view_as(dice).cpu()
            said[batch.owners[batch.going], step] = tokens[batch.going]
            batch.going &= tokens != end
            if step + 1 == longest or not bool(batch.going.any()):
                break
            logits = batch.read(batch.shrink(tokens))
    answers = [_until(row, end) for row in said[:, : step + 1].tolist()]
    return [answers[at : at + count] for at in range(0, len(answers), count)]


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

    Networks whose layers do not simply see all that came before get a line for each answer, and a cache of their own.

    owners: which answer stands in each place, int64 [lines, side by side]. going: which have not ended. Both on the
    CPU. first: the logits of every answer's first token, [lines, side by side, vocabulary].
    """

    def __init__(self, network: Any, prompts: Sequence[Sequence[int]], count: int, padding: int) -> None:
        from manyways.models.language.cache import cache_word, shared_cache

        self.network, self.padding, self.cache_word = network, padding, cache_word(network)
        self.device = next(network.parameters()).device
        self.width = width = max(map(len, prompts))
        ids = torch.full((len(prompts), width), padding)
        seen = torch.zeros(len(prompts), width, dtype=torch.bool)
        for row, prompt in enumerate(prompts):  # padded on the left, so that all answers begin at one place
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            seen[row, width - len(prompt) :] = True
        shared = shared_cache(network)
        positions = (seen.cumsum(1) - 1).clamp_min(0)
        output = self._forward(ids, seen.long(), positions, shared, logits_to_keep=1)
        self.cache: Any = output[self.cache_word]
        self.shares = shared is not None
        self.first: Tensor = output.logits[:, -1:]
        self.owners = torch.arange(len(prompts) * count).view(len(prompts), count)
        if self.shares:
            self.first = self.first.expand(-1, count, -1)
        else:
            self.cache.batch_repeat_interleave(count)
            self.first, seen, self.owners = (
                self.first.repeat_interleave(count, 0), seen.repeat_interleave(count, 0), self.owners.view(-1, 1),
            )  # fmt: skip
        self.seen, self.lengths, self.spoken = seen, seen.sum(1), 0
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
        if self.shares:
            for layer in self.cache.layers:
                layer.keep(lines.to(self.device), order.to(self.device), self.width, tokens.shape[1])
        else:
            self.cache.batch_select_indices(lines.to(self.device))
        self.seen, self.lengths = self.seen[lines], self.lengths[lines]
        self.owners, self.going, tokens = (each[lines].gather(1, order) for each in (self.owners, self.going, tokens))
        return tokens

    def _mask(self) -> Tensor:
        """What the next tokens see: bool [lines, 1, side by side, places], or int64 [lines, places] for own lines."""
        lines, beside = self.owners.shape
        if not self.shares:
            return torch.cat([self.seen, self.seen.new_ones(lines, self.spoken)], 1).long()
        own = torch.eye(beside, dtype=torch.bool).repeat(1, self.spoken).expand(lines, -1, -1)
        return torch.cat([self.seen[:, None].expand(-1, beside, -1), own], 2)[:, None]

    def _forward(self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, **more: Any) -> Any:
        return self.network(
            input_ids=ids.to(self.device), attention_mask=mask.to(self.device), position_ids=positions.to(self.device),
            use_cache=True, **{self.cache_word: cache}, **more,
        )  # fmt: skip


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Without dropout, which would sample from another policy than the one that is trained."""
    was_training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was_training)


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids
