"""Sentence pairs: a sentence encoder from texts that belong together, or from scores of how alike they are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.errors import DataError
from manyways.methods.ablations import exchanged
from manyways.methods.bases.gradient import Batch
from manyways.methods.bases.sampled import Sampled
from manyways.methods.bases.sentences import SentenceLearner, SentenceMethod
from manyways.methods.fields import Interval
from manyways.methods.method import Ablations
from manyways.methods.needs import Input
from manyways.methods.needs.texts import TextPairs
from manyways.methods.recommendations import Recommendation
from manyways.models.model import Model
from manyways.training.samplers import Epochs, NoDuplicates

RANKING, COSENT = "ranking", "cosent"
VALIDATED = 500
"""Validation pairs that are looked at: to read all of a thousand takes as long as twenty steps."""


def ranking_loss(anchors: Tensor, candidates: Tensor, temperature: float) -> Tensor:
    """Multiple-negatives ranking (Henderson et al. 2017): each anchor picks out its own text among all candidates.

    Args:
        anchors: Vectors of length 1 [pairs, width].
        candidates: Vectors of length 1; the first ones are the partners of the anchors, others are no one's.
        temperature: Divides the cosine similarities.
    """
    return cross_entropy(anchors @ candidates.T / temperature, torch.arange(len(anchors), device=anchors.device))


def cosent_loss(similarities: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """CoSENT (Su 2022): log(1 + Σ exp((cosᵢ − cosⱼ) / T)) over pairs of pairs where j has the higher score.

    Args:
        similarities: Cosines of the pairs [pairs].
        scores: How alike they are, on any scale [pairs].
        temperature: Divides the differences of cosines.
    """
    differences = (similarities[:, None] - similarities[None]) / temperature
    ordered = scores[:, None] < scores[None]
    return torch.cat([differences.new_zeros(1), differences[ordered]]).logsumexp(0)


class SentencePairLearner(SentenceLearner):
    """A learner of pairs of texts, in the order anchor, partner, hard negative.

    Attributes:
        scores: The label of each training row, float32 [rows]; None where pairs simply belong together.
        pool: The positions of the rows that are learned from.
    """

    scores: Tensor | None = None
    pool: RowNumbers

    @property
    def validation(self) -> Data | None:
        """Some of the validation pairs, evenly spread: those with a label that may be seen where labels are learned."""
        rows = self.data.validation
        rows = rows if self.scores is None else rows.select(rows.labelled)
        rows = rows.select(np.unique(np.linspace(0, len(rows) - 1, min(len(rows), VALIDATED)).astype(int)))
        return rows if len(rows) > 1 else None


@dataclass(frozen=True, kw_only=True)
class SentencePairs(Sampled[SentencePairLearner], SentenceMethod[SentencePairLearner]):
    """Learn to embed texts from pairs of them: those that belong together lie near each other.

    Without a label every row is a pair, told from the texts of all other rows in its batch, in which no text stands
    twice: such rows are left to other batches, unless `sampler` is another. A label that is a number says how alike the
    two texts are, and the cosines learn its order.
    """

    batch_size: Annotated[int, Interval("[2, inf)")] = 32
    """Pairs in a batch: each is told from all others in it."""
    loss_type: Literal["auto", "ranking", "cosent"] = "auto"
    """Loss: ranking picks the partner out of all texts of a batch (multiple negatives), cosent puts cosines in the
    order of the label. auto: cosent where there is a label, else ranking."""
    negative: str | None = None
    """Input with a text that does not belong to the pair and is easily taken for the partner: a hard negative."""

    needs: ClassVar = (Input, TextPairs)
    suggests: ClassVar = ("sentence-pairs",)
    recommends: ClassVar = {"several": Recommendation("an encoder of texts learns from pairs of them", 24)}
    paper: ClassVar = (
        "Reimers & Gurevych, Sentence-BERT, EMNLP 2019; Henderson et al., Efficient natural language response "
        "suggestion for Smart Reply (2017); Su, CoSENT (2022); Gao et al., Scaling deep contrastive learning batch "
        "size under memory limited setup, RepL4NLP 2021"
    )

    field_trials: ClassVar = {
        "loss_type": "Without a label there is one loss, and with one the other.",
        "negative": "It names a third text, of which a trial has none.",
        "sampler": {"sampler": "epochs"},
    }

    @classmethod
    def example_data(cls) -> Data:
        """Pairs of texts about the same three things in other words, of which some stand in several pairs."""
        rng = np.random.default_rng(0)
        picks = rng.permuted(np.tile(np.arange(48), (200, 1)), axis=1)[:, :3]
        picks = np.concatenate([picks, picks[:60]])
        here, there = ("red", "blue", "old", "new"), ("rot", "blau", "alt", "neu")
        sides = [
            [" ".join(rng.permutation([*(f"{words[pick % 4]}{pick}" for pick in row), *frame])) for row in picks]
            for words, frame in ((here, ("the", "see")), (there, ("ein",)))
        ]
        sides[0][200:] = sides[0][:60]
        columns = [Column(name, "text", as_objects(side)) for name, side in zip("ab", sides, strict=True)]
        return Data.from_columns(columns, {"input": ["a", "b"]}, name="pairs")

    @classmethod
    def for_trial(cls, data: Data, folder: Path) -> Self:
        return cls(batch_size=16, size=0.5)

    def ablations(self, data: Data) -> Ablations:
        last = data.label.name if data.has("label") else data.roles["input"][-1]
        rows = data.rows[data.part[data.rows] == 0]
        what = "scores of its pairs" if data.has("label") else "texts that belong together"
        return {what: (self, exchanged(data, last, rows))}

    def lacks_of(self, data: Data) -> str | None:
        if reason := super().lacks_of(data):
            return reason
        names = [column.name for column in data.inputs]
        if self.negative is not None and self.negative not in names:
            return f"negative={self.negative!r} is no input of {data.name}; inputs are {', '.join(names)}."
        texts = [name for name in names if name != self.negative]
        if len(texts) != 2:
            return (
                f"it compares two texts of each row, and there are {len(texts)} ({', '.join(texts)}). Name two, "
                'input=("…", "…"), or the one with hard negatives by the field negative.'
            )
        return self._lacks_label(data)

    def _lacks_label(self, data: Data) -> str | None:
        """The reason why the labels of `data` do not suit the loss; None if they do."""
        if self.loss_type != COSENT and not data.has("label"):
            return None
        if not data.has("label"):
            return 'cosent learns from scores of pairs, and no column has the role label. Name it: label="…".'
        if self.negative is not None:
            return f"hard negatives are of ranking, and the label {data.label.name!r} makes it cosent. Leave one out."
        if self.loss_type == RANKING:
            return (
                f"ranking takes each row for a pair that belongs together, and the label {data.label.name!r} says how "
                "much it does. Read the rows that do alone, without the label: label=(); or learn by cosent."
            )
        if len(data.labels) > 1 or data.label.kind != "number":
            return (
                f"its label must be one number, how alike the two texts are; {data.labels[0].name!r} is "
                f"{'one of several' if len(data.labels) > 1 else f'of the kind {data.label.kind}'}. If its values are "
                f'numbers: kinds={{"{data.labels[0].name}": "number"}}; to learn from pairs without it: label=().'
            )
        return _lacks_order(data)

    def begin(self, data: Data, model: Model | None, seed: int) -> SentencePairLearner:
        learner = super().begin(data, model, seed)
        learner.columns = tuple(sorted(learner.columns, key=lambda name: name == self.negative))
        learner.pool = learner.everything
        if data.has("label"):
            rows = learner.training_data
            scores = rows.take(rows.label.name).astype(np.float64)
            learner.scores = torch.from_numpy(np.where(rows.labelled, scores, np.nan)).float()
            learner.pool = np.flatnonzero(rows.labelled)
        else:
            _refuse_one_text(learner, data)
        self.put_sampler(learner, NoDuplicates if learner.scores is None else Epochs)
        return learner

    def draw(self, learner: SentencePairLearner, step: int, rng: torch.Generator) -> Batch:
        rows = learner.pick(learner.pool, self.examples_per_step(learner), step)
        inputs = learner.take(rows)
        batch: Batch = {"texts": torch.cat([inputs[name] for name in learner.columns])}
        if learner.scores is not None:
            batch["scores"] = learner.scores[torch.from_numpy(rows)].to(learner.device)
        return {**batch, "pairs": len(rows)}

    def contrast(self, vectors: Tensor, batch: Batch) -> Tensor:
        anchors, others = vectors[: batch["pairs"]], vectors[batch["pairs"] :]
        if "scores" not in batch:
            return ranking_loss(anchors, others, self.temperature)
        return cosent_loss((anchors * others).sum(1), batch["scores"], self.temperature)

    def rows_reached(self, learner: SentencePairLearner, steps: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return super().rows_reached(learner, steps) & (learner.data.labelled | (learner.scores is None))

    def examples_per_step(self, learner: SentencePairLearner) -> int:
        # Twice in a batch, a pair would be its own stranger.
        return min(self.rows_in_batch(learner), max(2, len(learner.pool)))


def _refuse_one_text(learner: SentencePairLearner, data: Data) -> None:
    """Raise DataError where all rows hold the same text on a side, so that nothing is told apart."""
    numbers = learner.identities()
    names = list(learner.encoding.encoders)
    for name in learner.columns[:2]:
        side = numbers[:, names.index(name)]
        if len(side) < 2 or bool((side == side[0]).all()):
            raise DataError(
                f"All {len(side):,} training rows of {data.name} hold the same text in {name!r}, so that there is "
                'nothing to tell apart. Name another input: input=("…", "…").'
            )


def _lacks_order(data: Data) -> str | None:
    """The reason why the scores of the labelled training rows have no order; None if they have."""
    values = data.training.take(data.label.name)[data.training.labelled].astype(np.float64)
    if len(values) > 1 and np.isfinite(values).all() and values.min() < values.max():
        return None
    return (
        f"it learns the order of scores, and those of the {len(values):,} labelled training rows in "
        f"{data.label.name!r} are all the same or not finite. Label pairs that are more and less alike."
    )
