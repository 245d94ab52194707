"""Generating text, and scoring answers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from manyways.models.abilities.base import Ability, Saved, words

if TYPE_CHECKING:
    from manyways.data.read import Source

LONGEST = 128
"""Tokens of an answer, unless another number is asked for."""


@runtime_checkable
class Generates(Protocol):
    """A language model that generates text."""

    def generate(
        self, prompts: str | Sequence[str], *, longest: int = LONGEST, temperature: float = 0.0,
        top_k: int | None = None, top_p: float | None = None, seed: int = 0,
    ) -> list[str]:  # fmt: skip
        """The completion of each of `prompts`, up to the end token or `longest` tokens.

        Args:
            prompts: Texts to go on from.
            longest: Tokens at most.
            temperature: 0 takes the most probable token; 1 samples from the model's own distribution.
            top_k: Sample only from the k most probable tokens.
            top_p: Sample only from the fewest tokens that hold a share p in (0, 1].
            seed: The same seed, the same text.
        """

    def replies(self, conversations: Sequence[Sequence[Mapping[str, Any]]], **options: Any) -> list[str]:
        """The assistant's next turn in each of `conversations`, in the model's chat template; options of `generate`."""


@runtime_checkable
class Scores(Protocol):
    """A reward model, which scores answers; or a language model, which compares them."""

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> NDArray[np.float32]:
        """The reward of each completion to its prompt, float32 [prompts]; only differences of rewards mean anything."""

    def margins(self, source: "Source") -> NDArray[np.float32]:
        """By how much each row's chosen answer is worth more to the model than the rejected one, float32 [rows]."""


def _generate(saved: Saved) -> tuple[str, ...]:
    return "generate", saved.folder, "--prompt", saved.beginning


def _score(saved: Saved) -> tuple[str, ...]:
    return "predict", saved.folder, saved.source, "--out", "predictions.csv"


GENERATE = Ability("generate", Generates, words("generate"), "generate", "pretrain", _generate, 40)
SCORE = Ability("score", Scores, words("score"), "score", "reward-model", _score, 70)
