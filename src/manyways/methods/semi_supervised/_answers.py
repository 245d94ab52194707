"""Answers of a language model to prompts without one, as completions to learn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.storage import RowNumbers
from manyways.errors import DataError
from manyways.methods.bases._rewards import Judge
from manyways.methods.bases._rollouts import prompt_texts, read_prompts
from manyways.models.language.ends import Ends
from manyways.models.language.forward import token_log_probabilities
from manyways.models.language.packing import Answer, Group, answer_lengths, pack, per_answer
from manyways.models.language.probe import packs
from manyways.models.language.rows import strings
from manyways.models.language.sampling import sample
from manyways.models.language_model import LanguageModel
from manyways.models.model import Model
from manyways.randomness import generator

CHUNK = 32
"""Prompts that are answered side by side."""


@dataclass(frozen=True)
class Asking:
    """Settings by which prompts are answered, and answers are kept.

    Attributes:
        samples: Answers to each prompt, of which the best is kept.
        longest: The most tokens of an answer.
        temperature: Temperature of sampling.
        reward: A function or a model that rewards answers; None: how sure the model is of them.
        least: Least reward, or confidence, with which an answer is kept.
    """

    samples: int
    longest: int
    temperature: float
    reward: str | Callable[..., Any] | Model | None
    least: float


def completion_of(data: Data) -> str:
    """The column of the completions."""
    return data.roles["completion"][0]


def without_answer(data: Data) -> RowNumbers:
    """The positions of the training rows whose completion is missing or blank."""
    texts = strings(data, completion_of(data), np.arange(len(data)))
    blank = np.array([not text.strip() for text in texts], bool)
    return np.flatnonzero(blank & (data.part[data.rows] == TRAINING))


def answered_part(data: Data) -> Data:
    """The rows of `data` but for training rows without an answer."""
    which = np.ones(len(data), bool)
    which[without_answer(data)] = False
    return data.select(which)


def with_answers(data: Data, model: LanguageModel, asking: Asking, device: str, seed: int) -> Data:
    """`data` with the answers of `model` as the completions of prompts without one, where they are good enough."""
    rows = without_answer(data)
    if not len(rows):
        return data
    unanswered = data.select(rows)
    reader = replace(model.reader(), too_long="skip")
    try:
        prompts, kept = read_prompts(reader, unanswered, asking.longest)
    except DataError:  # none leaves room for an answer
        return data
    unanswered, rows = unanswered.select(kept), rows[kept]
    judge = (
        None if asking.reward is None else Judge(asking.reward, unanswered, prompt_texts(reader, unanswered, prompts))
    )
    if judge is not None:
        judge.to(torch.device(device))
    network = model.network.to(device)
    network.eval()
    best: list[str | None] = []
    for start in range(0, len(prompts), CHUNK):
        part = prompts[start : start + CHUNK]
        answers = sample(
            network, part, count=asking.samples, longest=asking.longest, ends=reader.ends, padding=padding_of(model),
            temperature=asking.temperature, rng=generator(seed, start),
        )  # fmt: skip
        ended = np.array([[_ended(ids, reader.ends) for ids in each] for each in answers])
        texts = [[reader.ends.text(ids) for ids in each] for each in answers]
        if judge is None:
            scores = _confidences(network, part, answers, padding_of(model))
        else:
            which = np.repeat(np.arange(start, start + len(part)), asking.samples)
            scores = judge(which, [text for each in texts for text in each]).cpu().numpy().astype(np.float64)
        scores = scores.reshape(len(part), asking.samples)
        blank = np.array([[not text.strip() for text in each] for each in texts])
        scores = np.where(ended & ~blank, scores, -np.inf)  # what was cut off is no answer
        first = scores.argmax(1)
        best += [texts[at][pick] if scores[at, pick] >= asking.least else None for at, pick in enumerate(first)]
    network.cpu()
    good = np.array([text is not None for text in best], bool)
    if not good.any():
        return data
    return _with_completions(data, data.rows[rows[good]], [text for text in best if text is not None])


def _with_completions(data: Data, rows: RowNumbers, texts: Sequence[str]) -> Data:
    """`data` with `texts` as the completions in `rows` of its table."""
    column = data.columns[completion_of(data)]
    values = np.array(column.values[np.arange(len(column))], dtype=object)
    absent = None if column.absent is None else column.absent.copy()
    for row, text in zip(rows.tolist(), texts, strict=True):
        values[row] = text
        if absent is not None:
            absent[row] = False
    filled = replace(column, values=values, absent=absent)
    return replace(data, columns={**data.columns, column.name: filled}, origin=None)


def padding_of(model: LanguageModel) -> int:
    """The token that fills lines up."""
    return int(model.tokenizer.pad_token_id)


def _ended(ids: list[int], ends: Ends) -> bool:
    return bool(ids) and bool(ends.reached(torch.tensor([ids]))[0])


@torch.no_grad()
def _confidences(
    network: Any, prompts: list[list[int]], answers: list[list[list[int]]], padding: int
) -> NDArray[np.float64]:
    """Exp of the mean log-probability of the tokens of each answer, its end included, in (0, 1]."""
    groups = [
        Group(prompt, [Answer(ids) for ids in each if ids]) for prompt, each in zip(prompts, answers, strict=True)
    ]
    there = np.array([bool(ids) for each in answers for ids in each])
    confidences = np.zeros(len(there))
    if there.any():
        batch = pack([group for group in groups if group.answers], padding, packs(network))
        batch = batch.to(next(network.parameters()).device)
        means = per_answer(token_log_probabilities(network, batch), batch) / answer_lengths(batch)
        confidences[there] = means.exp().double().cpu().numpy()
    return confidences
