"""LanguageModel: a network over tokens, saved as the transformers library loads it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from manyways.checked_json import Described, brief, described
from manyways.damaged import damaged
from manyways.data.tasks import task_numbers
from manyways.errors import DataError, ModelError, ParameterError
from manyways.models.abilities.language import LONGEST
from manyways.models.evaluation import Evaluation
from manyways.models.language.adapters import BASE, base_of, has_adapters, merged, write_adapters
from manyways.models.language.conversations import messages_of
from manyways.models.language.forward import plain
from manyways.models.language.judgements import judged
from manyways.models.language.nats import nats_of_answers, nats_of_hidden, nats_of_text
from manyways.models.language.packing import Group
from manyways.models.language.precision import narrowest
from manyways.models.language.probe import packs
from manyways.models.language.rows import Reader, TooLong, text_columns
from manyways.models.language.sampling import sample
from manyways.models.language.scoring import (
    answer_scores,
    mean_log_probabilities,
    of_each_answer,
    pseudo_values_of_pairs,
    scored,
    scores_of_judged,
    scores_of_pairs,
)
from manyways.models.language.tokenizers import token_ids
from manyways.models.lineage import Lineage
from manyways.models.model import Model

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.data.read import Source
    from manyways.models.predictor import Predictor

PROMPTS_AT_ONCE = 32
DTYPES = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16", "float64")}
ABLE = {
    "causal": frozenset({"generate", "embed"}), "masked": frozenset({"fill", "embed"}), "reward": frozenset({"score"}),
}  # fmt: skip
"""Abilities of a model by its objective."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LanguageModel(Model):
    """A transformers network and its tokenizer.

    Attributes:
        network: The network.
        tokenizer: Its tokenizer.
        objective: causal (predicts the next token), masked (fills in) or reward (scores answers).
        columns: Text columns that it read, for methods that start from its features.
        base: Checkpoint that its adapters are for, where it is one; a network with adapters and no such base is saved
            with the weights they are for.
    """

    kind: ClassVar[str] = "language-model"
    network: nn.Module = field(repr=False)
    tokenizer: Any = field(repr=False)
    objective: str = "causal"
    columns: tuple[str, ...] = ()
    base: str | None = None

    @property
    def context(self) -> int:
        """The most tokens that it reads."""
        from manyways.models.language.architectures import context_of

        return context_of(plain(self.network))

    @cached_property
    def _reader(self) -> Reader:
        from manyways.models.language.architectures import stated_ends

        masked = self.objective == "masked"
        return Reader(self.tokenizer, self.context, "cut", stated_ends(plain(self.network)), framed=masked)

    def reader(self, too_long: TooLong = "cut") -> Reader:
        """Reader of rows as tokens; rows that are too long are cut, or what `too_long` says."""
        return self._reader if too_long == "cut" else replace(self._reader, too_long=too_long)

    def generate(
        self, prompts: str | Sequence[str], *, longest: int = LONGEST, temperature: float = 0.0,
        top_k: int | None = None, top_p: float | None = None, seed: int = 0,
    ) -> list[str]:  # fmt: skip
        if "generate" not in self.gives:
            self._cannot("generate")
        texts = [prompts] if isinstance(prompts, str) else list(prompts)
        begun = self.reader().begun
        ids = [begun(row) for row in token_ids(self.tokenizer, texts)]
        return self._say(ids, longest, temperature, top_k, top_p, seed)

    def _say(
        self, prompts: Sequence[Sequence[int]], longest: int = LONGEST, temperature: float = 0.0,
        top_k: int | None = None, top_p: float | None = None, seed: int = 0,
    ) -> list[str]:  # fmt: skip
        """Texts that follow each of `prompts`, which are tokens; long ones lose their beginning."""
        reader, padding = self.reader(), int(self.tokenizer.pad_token_id)
        room = max(1, self.context - longest, self.context // 2)
        rng = torch.Generator().manual_seed(seed)
        texts: list[str] = []
        for at in range(0, len(prompts), PROMPTS_AT_ONCE):
            # A network has to read something before it can say something.
            asked = [row[-room:] or [reader.end] for row in prompts[at : at + PROMPTS_AT_ONCE]]
            answers = sample(
                self.network, asked, count=1, longest=min(longest, self.context - max(map(len, asked))),
                ends=reader.ends, padding=padding, temperature=temperature, top_k=top_k, top_p=top_p, rng=rng,
            )  # fmt: skip
            texts += [reader.ends.text(answer[0]) for answer in answers]
        return texts

    def reply(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> str:
        """The assistant's next turn in a conversation.

        Args:
            messages: `{"role": …, "content": …}`, the last of which is answered. Special tokens in a content are text.
            **options: Options of `generate`.

        Raises:
            DataError: The messages are no conversation, or the chat template refuses them.
        """
        return self.replies([messages], **options)[0]

    def replies(self, conversations: Sequence[Sequence[Mapping[str, Any]]], **options: Any) -> list[str]:
        """The assistant's next turn in each of `conversations`; see `reply`."""
        if "generate" not in self.gives:
            self._cannot("generate")
        chat, where = self.reader().chat, "the conversation"
        ids = [chat.prompt(messages_of(json.dumps(list(talk)), where), where) for talk in conversations]
        return self._say(ids, **options)

    def predict(self, source: "Source") -> NDArray[Any]:
        """Answers to each row's prompt or conversation, by the most probable tokens."""
        from manyways.data.read import as_data

        data = as_data(source)
        if "generate" not in self.gives:
            self._cannot("predict")
        if not (data.has("prompt") or data.has("messages")):
            raise DataError(
                f'{data.name} has no prompts to answer. Name their column: prompt="…" or messages="…", with one of '
                f"{', '.join(data.columns)}."
            )
        said = np.empty(len(data), object)
        said[:] = self._say(self.reader().prompts(data))
        return said

    def able(self, words: frozenset[str]) -> frozenset[str]:
        return words & ABLE[self.objective]

    @property
    def metric(self) -> str | None:
        return "preference_accuracy" if self.objective == "reward" else "nats_per_token"

    def metric_on(self, data: "Data") -> str | None:
        prefers = self.objective != "masked" and (_has_pairs(data) or judged(data) is not None)
        return "preference_accuracy" if prefers else self.metric

    def score(self, prompts: Sequence[str], completions: Sequence[str]) -> NDArray[np.float32]:
        """The reward of each completion to its prompt, float32 [prompts]; only differences of rewards mean anything.

        Raises:
            ModelError: It is no reward model.
            ParameterError: There is not one completion to each prompt.
        """
        if "score" not in self.gives:
            self._cannot("score")
        if isinstance(prompts, str) or isinstance(completions, str) or len(prompts) != len(completions):
            raise ParameterError(
                f"score takes two lists of one length; got {_described(prompts)} and {_described(completions)}. Write "
                "score([prompt], [completion])."
            )
        return self._values(self.reader().answered(prompts, completions)).numpy()

    def evaluate(self, source: "Source") -> dict[str, float]:
        """Scores on the rows of `source`, by their roles.

        chosen and rejected: preference_accuracy, the share of pairs in which the chosen answer is worth more, and
        margin, by how much. What an answer is worth is its score, or without scores the mean log p of its tokens; the
        model that training began with is not asked. Answers with a label that judges them: the same over all pairs of
        a desirable and an undesirable one. Answers to prompts, or else running text: nats_per_token, perplexity and
        nats_per_character, which alone compares models with different tokens; where rows are of several tasks, also
        the nats_per_token of each, and mean_nats_per_token, in which each task counts the same. A reward model has none
        of these, a masked one only the first two of text.
        """
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: "Source", metric: str) -> Evaluation:
        from manyways.data.read import as_data

        data = as_data(source)
        preferred, reader = Evaluation({}), self.reader()
        with torch.inference_mode():
            if self.objective == "masked":
                return Evaluation(nats_of_hidden(self.network, reader, data) if text_columns(data) else {})
            if _has_pairs(data):
                values = self._values(reader.pairs(data))
                preferred = Evaluation(scores_of_pairs(values), pseudo_values_of_pairs(metric, values))
            elif found := judged(data):
                brief, good = found
                preferred = Evaluation(scores_of_judged(self._values(reader.answers(brief)), good))
            if self.objective == "reward":
                return preferred
            if data.has("completion") or data.has("messages"):
                nats = nats_of_answers(self.network, reader, data)
            elif text_columns(data):
                nats = nats_of_text(self.network, reader, data)
            else:
                return preferred
            read = nats.evaluation(metric, task_numbers(data, some_may_lack=True) if data.has("task") else None)
            return Evaluation({**preferred.scores, **read.scores}, preferred.rows if read.rows is None else read.rows)

    def margins(self, source: "Source") -> NDArray[np.float32]:
        """Reward of each row's chosen answer less that of the rejected one, float32 [rows].

        The reward is that of `evaluate`.

        Raises:
            DataError: The rows are no pairs.
        """
        from manyways.data.read import as_data

        data = as_data(source)
        if self.objective == "masked":
            self._cannot("score")
        if not _has_pairs(data):
            raise DataError(
                f'{data.name} has no pairs of answers. Name their columns: chosen="…" and rejected="…", out of '
                f"{', '.join(data.columns)}."
            )
        values = self._values(self.reader().pairs(data)).numpy()
        return np.asarray(values[0::2] - values[1::2])

    def log_probabilities(self, source: "Source") -> NDArray[np.float32]:
        """The mean log-probability of the tokens of each row's answer, or of its running text, float32 [rows].

        Raises:
            ModelError: The model does not predict the next token.
        """
        from manyways.data.read import as_data

        if self.objective != "causal":
            self._cannot("generate")
        groups, padding = self.reader().answers_or_text(as_data(source)), int(self.tokenizer.pad_token_id)
        with torch.inference_mode():
            return of_each_answer(self.network, groups, padding, mean_log_probabilities).numpy()

    def _values(self, groups: Sequence[Group]) -> torch.Tensor:
        """Rewards of answers, float32 [answers]."""
        padding = int(self.tokenizer.pad_token_id)
        if self.objective == "reward":
            return of_each_answer(self.network, scored(groups, padding), padding, answer_scores)
        return of_each_answer(self.network, groups, padding, mean_log_probabilities)

    def embed(self, source: "Source") -> NDArray[np.float32]:
        from manyways.data.read import as_data

        data = as_data(source)
        return self.as_predictor(data).embed(data)

    def as_predictor(self, data: "Data | None" = None) -> "Predictor":
        """The network's mean hidden states as features of the text columns that it read, else of those of `data`."""
        from manyways.models.language.features import as_predictor

        columns = self.columns or (text_columns(data) if data is not None else ())
        if not columns:
            raise ModelError(
                f"{self.lineage.title} has read no column of text, so it is not known what its features are of. Name "
                'one: text="…" or input="…".'
            )
        merged = self.merged()
        return as_predictor(merged.network, self.tokenizer, self.context, columns, self.lineage)

    def merged(self) -> "LanguageModel":
        """The same model with its adapters added to the weights they stand beside; itself where it has none."""
        if not has_adapters(self.network):
            return self
        return replace(self, network=merged(self.network).eval(), base=None)

    def write(self, folder: Path) -> dict[str, Any]:
        from manyways.models.backbones._checkpoints import quiet

        network: Any = self.network
        dtype = str(plain(network).dtype).removeprefix("torch.")
        own = {"objective": self.objective, "columns": list(self.columns), "dtype": dtype}
        with quiet():
            self.tokenizer.save_pretrained(folder)
            if has_adapters(network):
                return own | write_adapters(network, folder, self.base, self.tokenizer)
            saved: Any = narrowest(network)
            saved.save_pretrained(folder)
        return own

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "LanguageModel":
        from manyways.models.language.architectures import load_network

        description = described(saved, f"the description of the language model in {folder}", ModelError)
        objective, dtype = description.get("objective", str), description.get("dtype", str, "float32")
        if objective not in ABLE or dtype not in DTYPES:
            raise ModelError(
                f"{folder} is said to hold a model that is {brief(objective)} in {brief(dtype)}; objectives "
                f"{', '.join(ABLE)}, numbers are {', '.join(DTYPES)}."
            )
        base = description.object("base") if "base" in saved else Described({}, "", ModelError)
        place = base.get("place", str, None)
        network, tokenizer = load_network(str(folder), objective, base.get("fingerprint", str, None), DTYPES[dtype])
        return cls(
            network=network.eval(), tokenizer=tokenizer, objective=objective,
            columns=tuple(description.all("columns", str)), base=None if place == BASE else place, gives=gives,
            lineage=lineage,
        )  # fmt: skip


def from_checkpoint(checkpoint: str, objective: str = "causal", dtype: torch.dtype = torch.float32) -> LanguageModel:
    """The language model of a transformers folder, .gguf file or Hub name.

    Raises:
        ModelError: The network cannot be loaded, or cannot be read aright.
    """
    from manyways.models.language.architectures import load_network
    from manyways.models.saving import checkpoint_lineage

    network, tokenizer = load_network(checkpoint, objective, dtype=dtype)
    if objective != "masked":
        try:  # one that cannot be read aright is refused before anything is learned
            with damaged(f"The network of {checkpoint} cannot read tokens", ModelError, "Its config is another's."):
                packs(network)
        except ModelError as error:
            if checkpoint in str(error):
                raise
            raise ModelError(f"{checkpoint} cannot be used. {error}") from error
    base = base_of(Path(checkpoint)) if has_adapters(network) else checkpoint
    return LanguageModel(
        network=network.eval(), tokenizer=tokenizer, objective=objective, base=base, gives=ABLE[objective],
        lineage=checkpoint_lineage(checkpoint),
    )  # fmt: skip


def _has_pairs(data: "Data") -> bool:
    return data.has("chosen") and data.has("rejected")


def _described(given: Sequence[str]) -> str:
    return "a text" if isinstance(given, str) else f"{len(given)} texts"
