"""Trees: the head and the relation of each word of a sentence (dependency parsing)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.checked_json import described
from manyways.data.categories import as_objects
from manyways.data.data import Data
from manyways.data.kinds.sentences import TREE
from manyways.data.sentences import split_tree
from manyways.data.targets._arborescence import best_tree
from manyways.data.targets._word_labels import (
    UNKNOWN,
    WordLabelTarget,
    as_long,
    geometric,
    known_words,
    lengths_in,
    mean_per_row,
    words_of,
    write_columns,
)
from manyways.data.targets.base import CONFIDENCE, CONSISTENCY, DISTILLATION, PSEUDO_LABELS, Recipe
from manyways.data.targets.classes import classes_from_json, refuse_strange
from manyways.data.targets.structured import Prediction, Structure
from manyways.errors import ModelError
from manyways.metrics import Metric

LAS = Metric("las", low=0, high=1, fraction=True)
UAS = Metric("uas", low=0, high=1, fraction=True)


class RelationScores(Protocol):
    """The part of a head that scores relations once the heads are known."""

    def relations(self, dependents: Tensor, governors: Tensor) -> Tensor:
        """Scores of relations [rows, words, relations], of features of words and of their heads."""


@dataclass(frozen=True, eq=False)
class TreeScores(Structure):
    """Scores of heads for words, and what relations are scored of.

    Attributes:
        arcs: The score of each head for each word, [rows, words, 1 + words], the root first.
        mask: True where there is a word, [rows, words].
        dependents: Features of words that have a head, [rows, words, width].
        governors: Features of the root and of words that are heads, [rows, 1 + words, width].
        scorer: The head that scores relations.
    """

    arcs: Tensor
    mask: Tensor
    dependents: Tensor
    governors: Tensor
    scorer: RelationScores

    def relations(self, heads: Tensor) -> Tensor:
        """Scores of relations [rows, words, relations] to the `heads` [rows, words] of the words."""
        places = heads[..., None].expand(-1, -1, self.governors.shape[2])
        return self.scorer.relations(self.dependents, self.governors.gather(1, places))


@dataclass(frozen=True)
class TreeTarget(WordLabelTarget):
    """The head of each word, 0 for the root, and its relation: codes int64 [rows, words, 2].

    Predictions are trees with one root: those with the highest score.
    """

    kind = "tree"
    column_kind = TREE.name
    gives = "parse"
    task = "parsing"
    metrics = ("las", "uas")
    head = "biaffine"
    recipe = Recipe(batch_size=64, sampler="by-length", average=0.995)
    supports = frozenset({CONSISTENCY, DISTILLATION, PSEUDO_LABELS, CONFIDENCE})
    endings = (".conllu",)

    relations: tuple[str, ...] = ()

    @property
    def per_word(self) -> tuple[int, ...]:
        return (2,)

    @property
    def classes(self) -> Sequence[str]:
        return self.relations

    @classmethod
    def fitted(cls, data: Data) -> Self:
        name = data.label.name
        rows = [split_tree(value)[1] for value in data.training.take(name).tolist() if value is not None]
        return cls(name, max(map(len, rows)), tuple(sorted({relation for row in rows for relation in row})))

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        places = {relation: at for at, relation in enumerate(self.relations)}
        codes = self.unlabelled(len(values))
        strange: list[str] = []
        for code, value in zip(codes, values.tolist(), strict=True):
            heads, relations = split_tree(value)
            code[: len(heads), 0] = heads
            code[: len(heads), 1] = [places.get(relation, UNKNOWN) for relation in relations]
            strange += [relation for relation in relations if relation not in places]
        if strange:
            refuse_strange(self.name, strange, self.relations, rows)
        return codes

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Lists of "head:relation"."""
        named = [
            [f"{head}:{self.relations[relation]}" for head, relation in row if head >= 0] for row in np.asarray(codes)
        ]
        return as_objects(named)

    # Of outputs.

    def predictions(self, outputs: TreeScores) -> list[Prediction]:
        arcs = outputs.arcs.float().log_softmax(2)
        lengths = outputs.mask.sum(1).tolist()
        scores = arcs.double().cpu().numpy()
        heads = np.zeros(outputs.mask.shape, np.int64)
        for row, length in enumerate(lengths):
            heads[row, :length] = best_tree(scores[row, :length, : length + 1])
        of_words = outputs.mask.new_tensor(heads, dtype=arcs.argmax(2).dtype)
        sure, relation = outputs.relations(of_words).float().log_softmax(2).max(2)
        confidences = geometric(sure + arcs.gather(2, of_words[..., None])[..., 0], outputs.mask)
        codes = np.stack([heads, relation.cpu().numpy()], axis=2)
        return [Prediction(code[:length], sure) for code, length, sure in zip(codes, lengths, confidences, strict=True)]

    def losses(self, outputs: TreeScores, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The cross-entropy of heads and of relations to the true heads, the mean over words (Dozat & Manning 2017)."""
        labels = as_long(labels, outputs.arcs.shape[1])
        labels = labels.where(outputs.mask[..., None], UNKNOWN)
        known = known_words(labels)
        heads, relations = labels.unbind(2)
        scores = outputs.arcs.float().transpose(1, 2), outputs.relations(heads.clamp_min(0)).float().transpose(1, 2)
        of_heads = cross_entropy(scores[0], heads, reduction="none", ignore_index=UNKNOWN)
        of_relations = cross_entropy(
            scores[1], relations, reduction="none", ignore_index=UNKNOWN, label_smoothing=smoothing
        )
        return mean_per_row(of_heads + of_relations, known)

    def consistency_loss(self, student: TreeScores, teacher: TreeScores) -> Tensor:
        """Squared differences of the probabilities of heads, and of relations to the teacher's heads, per word."""
        heads = teacher.arcs.argmax(2)
        pairs = ((student.arcs, teacher.arcs), (student.relations(heads), teacher.relations(heads)))
        apart = [(first.float().softmax(2) - second.float().softmax(2)).square().sum(2) for first, second in pairs]
        return (apart[0] + apart[1])[student.mask].mean()

    def distillation_loss(self, student: TreeScores, teacher: TreeScores, temperature: float) -> Tensor:
        """T² KL(teacher ‖ student) of heads, and of relations to the teacher's heads, the mean over words."""
        heads = teacher.arcs.argmax(2)
        pairs = ((student.arcs, teacher.arcs), (student.relations(heads), teacher.relations(heads)))
        divergences = []
        for first, second in pairs:
            taught, wanted = ((scores.float() / temperature).log_softmax(2) for scores in (first, second))
            divergences.append((wanted.exp() * (wanted - taught)).sum(2)[student.mask].mean())
        return temperature**2 * (divergences[0] + divergences[1])

    def pseudo_labels_of(self, outputs: TreeScores, threshold: float) -> tuple[Tensor, Tensor]:
        """The best head of each word and its relation, unknown where their joint probability is below the threshold."""
        sure, heads = outputs.arcs.float().softmax(2).max(2)
        also, relations = outputs.relations(heads).float().softmax(2).max(2)
        kept = (sure * also >= threshold) & outputs.mask
        labels = torch.stack([heads, relations], dim=2).where(kept[..., None], UNKNOWN)
        return labels, mean_per_row(kept.float(), outputs.mask)

    # Of scores, and what is shown.

    def example(self, row: Data, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
        words = words_of(row)
        true, guess = (
            [(int(head), self.relations[at]) for head, at in code if head >= 0] for code in (truth, predicted)
        )
        return {"words": words[: len(true)], "truth": true, "predicted": [*guess, *true[len(guess) :]][: len(true)]}

    def _arcs(self, code: NDArray[Any]) -> list[tuple[int, str]]:
        return [(int(head), self.relations[relation]) for head, relation in code if head >= 0]

    def write(self, rows: Data, labels: NDArray[Any], path: Path) -> None:
        """CoNLL-U, of which the columns between the form and the head stay empty."""
        sentences = [[["_", "_", "_", "_", *arc.split(":", 1), "_", "_"] for arc in row] for row in labels]
        write_columns(path, rows, sentences, numbered=True)

    def statistics(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        """Words with the right head and relation, with the right head, and all; punctuation counts."""
        sums = np.zeros((len(predicted), 3))
        for row, (guess, code, length) in enumerate(zip(predicted, truth, lengths_in(truth), strict=True)):
            right = guess[:length] == code[: min(length, len(guess))]
            sums[row] = right.all(1).sum(), right[:, 0].sum(), length
        return sums

    def scores_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        labelled, attached, words = np.moveaxis(sums, -1, 0)
        return {"las": labelled / np.maximum(words, 1), "uas": attached / np.maximum(words, 1)}

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "longest": self.longest, "relations": list(self.relations)}

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        relations = tuple(map(str, classes_from_json(given.get("relations", list))))
        return cls(given.get("name", str), given.get("longest", int), relations)
