"""Log-probabilities of rows in nats: of answers to prompts, running text, and tokens hidden from a model."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.tasks import TaskNumbers
from manyways.metrics import metric_of
from manyways.models.evaluation import Evaluation
from manyways.models.language.conversations import conversations, holds_conversations
from manyways.models.language.forward import answer_log_probabilities
from manyways.models.language.masking import fill_in_loss, hide_tokens, padded
from manyways.models.language.packing import answer_lengths
from manyways.models.language.rows import Reader, strings, text_columns
from manyways.models.language.scoring import of_each_answer, tokens_at_once
from manyways.pseudo_values import Floats, ratio_pseudo_values, spread_over
from manyways.randomness import generator

if TYPE_CHECKING:
    from manyways.data.data import Data

LONGEST_WINDOW = 2048


@dataclass(frozen=True, eq=False)
class Nats:
    """Nats, tokens and characters of each row, float [rows]."""

    nats: Floats
    tokens: Floats
    characters: Floats

    def evaluation(self, metric: str, tasks: TaskNumbers | None = None) -> Evaluation:
        """nats_per_token, perplexity and nats_per_character of all rows, and pseudo-values of one of them.

        Of rows of several `tasks` also the nats_per_token of each, and their mean.
        """
        nats, tokens = float(self.nats.sum()), int(self.tokens.sum())
        scores = {**_means(nats, tokens), "nats_per_character": nats / max(1, int(self.characters.sum()))}
        if tasks is not None:
            return self._by_task(metric, tasks, scores)
        return self._of_all(metric, scores)

    def _by_task(self, metric: str, tasks: TaskNumbers, scores: dict[str, float]) -> Evaluation:
        means: dict[str, float] = {}
        rows = []
        for number, name in enumerate(tasks.names):
            own = tasks.numbers == number
            if self.tokens[own].sum():
                means[name] = float(self.nats[own].sum() / self.tokens[own].sum())
                rows.append(spread_over(ratio_pseudo_values(self.nats[own], self.tokens[own]), own))
        named = {metric_of("nats_per_token", name): value for name, value in means.items()}
        if not means:
            return self._of_all(metric, scores)
        whole = {**scores, "mean_nats_per_token": float(np.mean(list(means.values()))), **named}
        if metric in named:
            return Evaluation(whole, rows[list(named).index(metric)])
        if metric == "mean_nats_per_token":
            return Evaluation(whole, np.mean(rows, axis=0))
        return Evaluation(whole, self._of_all(metric, scores).rows)

    def _of_all(self, metric: str, scores: dict[str, float]) -> Evaluation:
        below = {"nats_per_character": self.characters, "nats_per_token": self.tokens, "perplexity": self.tokens}
        if metric not in below:
            return Evaluation(scores)
        rows = ratio_pseudo_values(self.nats, below[metric])
        if metric == "perplexity":
            rows = scores[metric] * (1 + rows - scores["nats_per_token"])
        return Evaluation(scores, rows)


def nats_of_answers(network: Any, reader: Reader, data: "Data") -> Nats:
    """Nats of the completions of `data`, or of the assistant's turns."""
    groups, padding = reader.answers(data), int(reader.tokenizer.pad_token_id)
    nats = -of_each_answer(network, groups, padding, answer_log_probabilities).double().numpy()
    tokens = of_each_answer(network, groups, padding, lambda _, batch: answer_lengths(batch)).double().numpy()
    row = np.repeat(np.arange(len(groups)), [len(group.answers) for group in groups])
    return Nats(_by_row(row, nats, len(data)), _by_row(row, tokens, len(data)), _characters_said(data))


def nats_of_text(network: Any, reader: Reader, data: "Data") -> Nats:
    """Nats of the text columns of `data`, each token said once.

    It is read in windows of the model's context, of 2,048 tokens at most.
    """
    texts, device = reader.texts(data), _device(network)
    stream, losses = np.asarray(texts.values[:], np.int64), []
    for ids in windows(stream, min(reader.context, LONGEST_WINDOW), tokens_at_once(network)):
        given = torch.from_numpy(ids).to(device)
        logits = network(input_ids=given[:, :-1], use_cache=False).logits.float().flatten(0, 1)
        wanted = given[:, 1:].flatten()
        losses.append((logits.logsumexp(1) - logits.gather(1, wanted[:, None])[:, 0]).cpu())
    nats = torch.cat(losses).double().numpy() if losses else np.empty(0)
    row = np.repeat(np.arange(len(texts)), texts.lengths)[1:]  # the first token of all follows none
    characters = np.sum([[len(str(value)) for value in data.take(name)] for name in text_columns(data)], axis=0)
    tokens = _by_row(row, np.ones(len(row)), len(texts))
    return Nats(_by_row(row, nats, len(texts)), tokens, np.asarray(characters, np.float64))


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


def _by_row(row: NDArray[np.int64], values: Floats, count: int) -> Floats:
    return np.asarray(np.bincount(row, values, count), np.float64)


def _characters_said(data: "Data") -> Floats:
    """Characters of each completion of `data`, or of the assistant's turns of each conversation, [rows]."""
    role = "messages" if data.has("messages") else "completion"
    everything = np.arange(len(data))
    if holds_conversations(data, role):
        talks = conversations(data, role, everything)
        lengths = [sum(len(turn["content"]) for turn in talk if turn["role"] == "assistant") for talk in talks]
    else:
        lengths = list(map(len, strings(data, data.roles[role][0], everything)))
    return np.asarray(lengths, np.float64)


def _means(nats: float, tokens: int) -> dict[str, float]:
    mean = nats / max(1, tokens)
    return {"nats_per_token": mean, "perplexity": math.exp(min(mean, 700.0))}


def _device(network: Any) -> torch.device:
    device: torch.device = next(network.parameters()).device
    return device
