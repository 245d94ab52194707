"""Log-probabilities of rows in nats: of answers to prompts, running text, and tokens hidden from a model."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.models.language.conversations import conversations, holds_conversations
from manyways.models.language.forward import answer_log_probabilities
from manyways.models.language.masking import fill_in_loss, hide_tokens, padded
from manyways.models.language.packing import answer_lengths
from manyways.models.language.rows import Reader, strings, text_columns
from manyways.models.language.scoring import of_each_answer, tokens_at_once
from manyways.randomness import generator

if TYPE_CHECKING:
    from manyways.data.data import Data

LONGEST_WINDOW = 2048


def nats_of_answers(network: Any, reader: Reader, data: "Data") -> dict[str, float]:
    """nats_per_token, perplexity and nats_per_character of the completions of `data`, or of the assistant's turns."""
    groups, padding = reader.answers(data), int(reader.tokenizer.pad_token_id)
    nats = -float(of_each_answer(network, groups, padding, answer_log_probabilities).double().sum())
    tokens = int(of_each_answer(network, groups, padding, lambda _, batch: answer_lengths(batch)).double().sum())
    return {**_means(nats, tokens), "nats_per_character": nats / max(1, _characters_said(data))}


def nats_of_text(network: Any, reader: Reader, data: "Data") -> dict[str, float]:
    """nats_per_token, perplexity and nats_per_character of the text columns of `data`, each token said once.

    It is read in windows of the model's context, of 2,048 tokens at most.
    """
    stream, device = np.asarray(reader.texts(data).values[:], np.int64), _device(network)
    nats, tokens = 0.0, 0
    for ids in windows(stream, min(reader.context, LONGEST_WINDOW), tokens_at_once(network)):
        given = torch.from_numpy(ids).to(device)
        logits = network(input_ids=given[:, :-1], use_cache=False).logits.float().flatten(0, 1)
        wanted = given[:, 1:].flatten()
        nats += float((logits.logsumexp(1) - logits.gather(1, wanted[:, None])[:, 0]).sum())
        tokens += len(wanted)
    characters = sum(len(str(value)) for name in text_columns(data) for value in data.take(name))
    return {**_means(nats, tokens), "nats_per_character": nats / max(1, characters)}


def nats_of_hidden(network: Any, reader: Reader, data: "Data") -> dict[str, float]:
    """nats_per_token and perplexity of the tokens that are hidden in the text of `data`; they are always the same."""
    rows, device, tokenizer = reader.texts(data), _device(network), reader.tokenizer
    nats, tokens = 0.0, 0
    each = max(1, tokens_at_once(network) // reader.context)
    for at in range(0, len(rows), each):
        whole = padded([rows[row] for row in range(at, min(at + each, len(rows)))], reader.context, tokenizer)
        hidden = hide_tokens(whole, tokenizer, generator(at), share=0.15, whole=True)
        nats += float(fill_in_loss(network, hidden.to(device), tokenizer).sum())
        tokens += len(hidden.targets)
    return _means(nats, tokens)


def windows(stream: NDArray[np.int64], context: int, tokens: int) -> Iterator[NDArray[np.int64]]:
    """`stream` cut into windows of `context` + 1 that overlap by one, in batches of about `tokens`; the rest alone."""
    whole = max(0, (len(stream) - 1) // context)
    starts = np.arange(whole) * context
    for at in range(0, whole, max(1, tokens // context)):
        yield stream[starts[at : at + max(1, tokens // context), None] + np.arange(context + 1)]
    if len(rest := stream[whole * context :]) > 1:
        yield rest[None]


def _characters_said(data: "Data") -> int:
    """Characters of all completions of `data`, or of all turns of the assistant."""
    role = "messages" if data.has("messages") else "completion"
    everything = np.arange(len(data))
    if holds_conversations(data, role):
        talks = conversations(data, role, everything)
        return sum(len(turn["content"]) for talk in talks for turn in talk if turn["role"] == "assistant")
    return sum(map(len, strings(data, data.roles[role][0], everything)))


def _means(nats: float, tokens: int) -> dict[str, float]:
    mean = nats / max(1, tokens)
    return {"nats_per_token": mean, "perplexity": math.exp(min(mean, 700.0))}


def _device(network: Any) -> torch.device:
    device: torch.device = next(network.parameters()).device
    return device
