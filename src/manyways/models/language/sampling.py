"""Sampling: answers to prompts, several per prompt from one pass over it."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from manyways.models.language.packing import plain


@torch.no_grad()
def sample(
    network: Any, prompts: Sequence[Sequence[int]], *, count: int, longest: int, end: int, padding: int,
    temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None, rng: torch.Generator | None = None,
) -> list[list[list[int]]]:  # fmt: skip
    """`count` answers to each prompt: token ids, the `end` token included where it was said.

    longest: the most tokens of an answer. temperature: 0 takes the most probable token. top_k, top_p: only the k most
    probable tokens, or the fewest that hold a share p (Holtzman et al. 2020). rng: a generator on the CPU.
    """
    network = plain(network)
    was_training = network.training
    network.eval()  # dropout would sample from another policy than the one that is trained
    device = next(network.parameters()).device
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), padding, device=device)
    seen = torch.zeros(len(prompts), width, dtype=torch.long, device=device)
    for row, prompt in enumerate(prompts):  # padded on the left, so that all answers begin at one place
        ids[row, width - len(prompt) :] = torch.tensor(prompt, device=device)
        seen[row, width - len(prompt) :] = 1
    first = network(
        input_ids=ids, attention_mask=seen, position_ids=(seen.cumsum(1) - 1).clamp_min(0), use_cache=True,
        logits_to_keep=1,
    )  # fmt: skip
    cache = copy.copy(first.past_key_values)
    cache.batch_repeat_interleave(count)
    seen = seen.repeat_interleave(count, 0)
    logits = first.logits[:, -1].repeat_interleave(count, 0)
    position = seen.sum(1)
    done = torch.zeros(len(seen), dtype=torch.bool, device=device)
    said: list[Tensor] = []
    for _ in range(longest):
        token = torch.where(done, padding, choose(logits, temperature, top_k, top_p, rng))
        said.append(token)
        done = done | (token == end)
        if bool(done.all()) or len(said) == longest:
            break
        seen = torch.cat([seen, torch.ones_like(seen[:, :1])], 1)
        output = network(
            input_ids=token[:, None], attention_mask=seen, position_ids=position[:, None], past_key_values=cache,
            use_cache=True,
        )  # fmt: skip
        logits, position = output.logits[:, -1], position + 1
    network.train(was_training)
    answers = [_until(row, end) for row in torch.stack(said, 1).tolist()]
    return [answers[at : at + count] for at in range(0, len(answers), count)]


def choose(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, rng: torch.Generator | None
) -> Tensor:
    """One token of each row of `logits` [rows, vocabulary]."""
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
    probabilities = logits.softmax(1)
    return torch.multinomial(probabilities.cpu(), 1, generator=rng)[:, 0].to(logits.device)


def _until(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids
