"""Rollouts: answers that the network under training samples, with their rewards."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from manyways.data.data import Data
from manyways.errors import DataError, ParameterError
from manyways.methods.bases._reward_names import Reward
from manyways.methods.bases._rewards import Judge
from manyways.methods.bases.language import LanguageLearner, copy_of
from manyways.models.language.adapters import has_adapters, without_adapters
from manyways.models.language.forward import token_log_probabilities
from manyways.models.language.packing import Answer, Group, Packed
from manyways.models.language.rows import Reader, strings
from manyways.models.language.sampling import sample
from manyways.models.language_model import LanguageModel

NOTHING = -1
"""Stands where an answer has no token."""


class RolloutLearner(LanguageLearner):
    """Prompts, who rewards the answers to them, and the last rollout: state, so that its later steps can be resumed.

    prompt_rows: positions of the prompts, int64 [prompts]. tokens: of answers, int64 [prompts, group, longest], the end
    token last where it was sampled, NOTHING behind it. rewards: float32 [prompts, group]. old, referred: log p of each
    token by the network that sampled it, and by the reference, float32 [prompts, group, longest].
    """

    prompt_rows: Tensor
    tokens: Tensor
    rewards: Tensor
    old: Tensor
    referred: Tensor

    def __init__(
        self, start: LanguageModel, network: nn.Module, data: Data, seed: int, reader: Reader, reward: Reward,
        shape: tuple[int, int, int], temperature: float, referring: bool,
    ) -> None:  # fmt: skip
        super().__init__(start, network, data, seed)
        prompts, group, longest = shape
        self.temperature, self.ends = temperature, reader.ends
        self.prompts, kept = read_prompts(reader, data.training, longest)
        rows = data.training.select(kept)
        self.judge = Judge(reward, rows, prompt_texts(reader, rows, self.prompts))
        self.positions = np.arange(len(self.prompts), dtype=np.int64)
        # Beside adapters the start is there already: the same network without them.
        copied = referring and not has_adapters(network)
        self.reference = copy_of(start.network).requires_grad_(False).eval() if copied else None
        self.register_buffer("prompt_rows", torch.zeros(prompts, dtype=torch.long))
        self.register_buffer("tokens", torch.full(shape, NOTHING))
        self.register_buffer("rewards", torch.zeros(prompts, group))
        self.register_buffer("old", torch.zeros(shape))
        self.register_buffer("referred", torch.zeros(shape if referring else 0))

    @property
    def validation(self) -> None:
        """None: what completions are given there says nothing about rewards."""
        return

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.network.eval()  # dropout would train another policy than the one that samples
        if self.reference is not None:
            self.reference.eval()
        return self

    def roll_out(self, rows: NDArray[np.int64], rng: torch.Generator) -> None:
        """Sample answers to the prompts at positions `rows`, and have them rewarded."""
        group, longest = self.tokens.shape[1:]
        answers = sample(
            self.network, [self.prompts[row] for row in rows], count=group, longest=longest, ends=self.ends,
            padding=self.padding, temperature=self.temperature, rng=rng,
        )  # fmt: skip
        tokens = torch.full(self.tokens.shape, NOTHING)
        for row, each in enumerate(answers):
            for at, ids in enumerate(each):
                tokens[row, at, : len(ids)] = torch.tensor(ids)
        texts = [self.ends.text(ids) for each in answers for ids in each]
        self.judge.to(self.device)
        rewards = self.judge(np.repeat(rows, group), texts)
        self.prompt_rows.copy_(torch.from_numpy(rows))
        self.tokens.copy_(tokens)
        self.rewards.copy_(rewards.view_as(self.rewards))
        if len(self.referred):
            self._refer()

    @torch.no_grad()
    def _refer(self) -> None:
        """Let the reference say how probable the rollout's tokens are."""
        everything = torch.ones(len(self.prompt_rows), dtype=torch.bool, device=self.device)
        packed = self.packed(everything)
        if self.reference is not None:
            self.referred[self.token_mask] = self.log_probabilities(self.reference, packed)
            return
        with without_adapters(self.network):
            self.referred[self.token_mask] = self.log_probabilities(self.network, packed)

    @property
    def token_mask(self) -> Tensor:
        """The places of the rollout that hold a token, bool [prompts, group, longest]."""
        return self.tokens != NOTHING

    @property
    def unequal(self) -> Tensor:
        """The prompts that have answers of different rewards, bool [prompts]; at least one prompt is marked."""
        found = (self.rewards != self.rewards[:, :1]).any(1)
        found[0] |= ~found.any()  # a pass over nothing has no gradient
        return found

    def packed(self, which: Tensor) -> Packed:
        """The prompts of the rollout in the mask `which`, all answers to a prompt in one group."""
        prompt_rows, tokens = self.prompt_rows[which].tolist(), self.tokens[which].tolist()
        groups = [
            Group(self.prompts[row], [Answer([token for token in ids if token != NOTHING]) for ids in answers])
            for row, answers in zip(prompt_rows, tokens, strict=True)
        ]
        return self.pack(groups)

    def log_probabilities(self, network: Any, packed: Packed) -> Tensor:
        """Log-probabilities of the answers' tokens, at the temperature of the sampling, float32 [answer tokens]."""
        return token_log_probabilities(network, packed, temperature=self.temperature)


def read_prompts(reader: Reader, data: Data, longest: int) -> tuple[list[list[int]], NDArray[np.int64]]:
    """The tokens of prompts that leave room for `longest` more, and the positions of their rows.

    Raises ParameterError where the model reads no more than `longest`, DataError where prompts are too long.
    """
    room = reader.context - longest
    if room < 1:
        raise ParameterError(
            f"longest must be below the {reader.context} tokens that the model reads, prompt and answer together; got "
            f"{longest}."
        )
    prompts = [ids or [reader.end] for ids in replace(reader, context=1 << 62).prompts(data)]
    lengths = np.array(list(map(len, prompts)))
    long = np.flatnonzero(lengths > room)
    everything = np.arange(len(prompts))
    if not len(long) or reader.too_long == "cut":
        return [ids[-room:] for ids in prompts], everything
    kept = np.flatnonzero(lengths <= room)
    if reader.too_long == "skip" and len(kept):
        return [prompts[row] for row in kept], kept
    worst = int(lengths.argmax())
    raise DataError(
        f"{data.name} has {len(long)} of {len(prompts)} prompts that leave no room for an answer of {longest} tokens "
        f"in the {reader.context} that the model reads; the longest is row {data.rows[worst]} (rows count from 0) with "
        f'{lengths[worst]}. Shorten them, lower longest=, or let the method cut them: too_long="cut".'
    )


def prompt_texts(reader: Reader, data: Data, prompts: Sequence[Sequence[int]]) -> list[str]:
    """The prompts as text: the column as it stands; of a conversation what its template makes."""
    if data.has("messages"):
        return [str(reader.tokenizer.decode(ids, skip_special_tokens=False)) for ids in prompts]
    return strings(data, data.roles["prompt"][0], np.arange(len(data)))
