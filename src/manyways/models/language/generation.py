"""Sampling through transformers' own generation, for networks whose caches are of another kind than keys and values."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from manyways.models.language.ends import Ends


def generate(
    prompts: Sequence[Sequence[int]], network: Any, count: int, longest: int, ends: Ends, padding: int,
    pick: Callable[[Tensor, Tensor], Tensor], rng: torch.Generator | None,
) -> Tensor:  # fmt: skip
    """`count` answers to each of `prompts`, int64 [prompts * count, at most `longest`], padded behind their end.

    pick: takes one token of each row of logits, by numbers in [0, 1). What a checkpoint states of sampling is left out.
    """
    from transformers import LogitsProcessorList, StoppingCriteriaList

    ids, seen = padded_on_the_left(prompts, padding)
    device = next(network.parameters()).device

    def chosen(_: Tensor, logits: Tensor) -> Tensor:
        dice = torch.rand(len(logits), generator=rng, dtype=torch.float64).to(logits.device)
        return torch.full_like(logits, float("-inf")).scatter(1, pick(logits, dice)[:, None], 0.0)

    def ended(ids_so_far: Tensor, _: Tensor, **__: Any) -> Tensor:
        return ends.reached(ids_so_far[:, ids.shape[1] :])

    with _nothing_stated(network, longest, ends.tokens, padding):
        output: Tensor = network.generate(
            inputs=ids.repeat_interleave(count, 0).to(device),
            attention_mask=seen.long().repeat_interleave(count, 0).to(device),
            logits_processor=LogitsProcessorList([chosen]),
            stopping_criteria=StoppingCriteriaList([ended] if ends.words else []),
        )
    return output[:, ids.shape[1] :].cpu()


def padded_on_the_left(prompts: Sequence[Sequence[int]], padding: int) -> tuple[Tensor, Tensor]:
    """`prompts` with their last tokens in one place, int64 [prompts, longest], and where tokens are, bool."""
    width = max(map(len, prompts))
    ids, seen = torch.full((len(prompts), width), padding), torch.zeros(len(prompts), width, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        seen[row, width - len(prompt) :] = True
    return ids, seen


@contextmanager
def _nothing_stated(network: Any, longest: int, ends: Collection[int], padding: int) -> Iterator[None]:
    """Let `network` generate greedily up to `longest` tokens; its own generation config is put back afterwards."""
    from transformers import GenerationConfig

    stated = network.generation_config
    network.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=longest, eos_token_id=sorted(ends), pad_token_id=padding, do_sample=False
    )
    try:
        yield
    finally:
        network.generation_config = stated
