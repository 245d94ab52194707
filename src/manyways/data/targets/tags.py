"""Tags: a label for each word of a sentence, such as its part of speech, or the entity that it is in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.checked_json import described
from manyways.data.categories import as_objects
from manyways.data.data import Data
from manyways.data.kinds.sentences import TAGS
from manyways.data.sentences import is_bio, spans_of, split
from manyways.data.targets._chain import Chain, best_paths, legal_chain, log_marginals, negative_log_likelihood
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
from manyways.errors import DataError, ModelError
from manyways.metrics import Metric

TOKEN_ACCURACY = Metric("token_accuracy", low=0, high=1, fraction=True)
SPAN_F1 = Metric("span_f1", low=0, high=1, fraction=True)
SPAN_PRECISION = Metric("span_precision", low=0, high=1, fraction=True)
SPAN_RECALL = Metric("span_recall", low=0, high=1, fraction=True)


@dataclass(frozen=True, eq=False)
class TagScores(Structure):
    """Scores of tags [rows, words, tags], and where there are words [rows, words].

    chain: Scores of steps from tag to tag, of a conditional random field; None where each word is a decision of its
        own.
    """

    logits: Tensor
    mask: Tensor
    chain: Chain | None = None


CONLLU = ".conllu"
CONLLU_COLUMNS = ("lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""The columns of that format behind a word."""


@dataclass(frozen=True)
class TagsTarget(WordLabelTarget):
    """A class for each word: codes int64 [rows, words].

    Tags of the scheme BIO mark spans: predictions are legal ones, and spans are scored, strictly: type and both ends.
    """

    kind = "tags"
    column_kind = TAGS.name
    gives = "tag"
    task = "tagging"
    metrics = ("token_accuracy", "span_f1", "span_precision", "span_recall")
    recipe = Recipe(batch_size=64, sampler="by-length", average=0.995)
    supports = frozenset({CONSISTENCY, DISTILLATION, PSEUDO_LABELS, CONFIDENCE})
    endings = (".conll", ".iob2", CONLLU)

    tags: tuple[str, ...] = ()

    @property
    def head(self) -> str:  # type: ignore[override]
        """A conditional random field for spans; a decision for each word otherwise."""
        return "crf" if self.spans else "tags"

    @property
    def spans(self) -> bool:
        """True if the tags mark spans."""
        return is_bio(self.tags)

    @property
    def metric(self) -> str:
        """Strict span F1 where tags mark spans: most words lie outside of all, and accuracy would count those."""
        return SPAN_F1.name if self.spans else self.metrics[0]

    @classmethod
    def metric_for(cls, data: Data) -> tuple[str, str] | None:
        if not cls.fitted(data).spans:
            return None
        return SPAN_F1.name, (
            "Scored by strict span F1, as its tags mark spans: most words are in none, and accuracy counts those. "
            "To score by it all the same: --metric token_accuracy."
        )

    @property
    def classes(self) -> Sequence[str]:
        return self.tags

    @classmethod
    def fitted(cls, data: Data) -> Self:
        # The set of tags is part of the task, as that of classes is: hidden labels name them, too.
        name = data.label.name
        rows = [split(value) for value in data.training.take(name).tolist() if value is not None]
        tags = sorted({tag for row in rows for tag in row})
        if len(tags) < 2:
            raise DataError(
                f"All words in the column {name!r} of {data.name} have the tag {tags[0]!r}; two tags are the least "
                "there is to tell apart."
            )
        return cls(name, max(map(len, rows)), tuple(tags))

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        places = {tag: at for at, tag in enumerate(self.tags)}
        codes = self.unlabelled(len(values))
        strange: list[str] = []
        for code, value in zip(codes, values.tolist(), strict=True):
            tags = split(value)
            code[: len(tags)] = [places.get(tag, UNKNOWN) for tag in tags]
            strange += [tag for tag in tags if tag not in places]
        if strange:
            refuse_strange(self.name, strange, self.tags, rows)
        return codes

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Lists of tags."""
        return as_objects([[self.tags[code] for code in row if code >= 0] for row in np.asarray(codes)])

    # Of outputs.

    @cached_property
    def legal(self) -> Chain | None:
        """Steps that tags of BIO may take; None for others."""
        legal = legal_chain(self.tags)
        if legal is None:
            return None
        start, step = map(torch.from_numpy, legal)
        return Chain(start, step, torch.zeros(len(self.tags)))

    def chain_of(self, outputs: TagScores) -> Chain | None:
        """The chain that predictions go by: the network's, or what is legal; None where anything may follow."""
        legal = self.legal
        if legal is None or outputs.chain is not None:
            return outputs.chain
        device = outputs.logits.device
        return Chain(legal.start.to(device), legal.step.to(device), legal.end.to(device))

    def log_probabilities(self, outputs: TagScores, temperature: float = 1.0) -> Tensor:
        """The log-probability of each tag of each word, [rows, words, tags], at a temperature."""
        logits = outputs.logits.float() / temperature
        if outputs.chain is None:
            return logits.log_softmax(2)
        return log_marginals(logits, outputs.mask, outputs.chain.scaled(1 / temperature))

    def predictions(self, outputs: TagScores) -> list[Prediction]:
        chain, logits = self.chain_of(outputs), outputs.logits.float()
        best = logits.argmax(2) if chain is None else best_paths(logits, outputs.mask, chain)[0]
        sure = self.log_probabilities(outputs).gather(2, best[..., None])[..., 0]
        confidences = geometric(sure, outputs.mask)
        lengths = outputs.mask.sum(1).tolist()
        codes = best.cpu().numpy()
        return [Prediction(code[:length], sure) for code, length, sure in zip(codes, lengths, confidences, strict=True)]

    def losses(self, outputs: TagScores, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean over words of the cross-entropy, or of the negative log-likelihood of a conditional random field."""
        logits, labels = outputs.logits.float(), as_long(labels, outputs.logits.shape[1])
        labels = labels.where(outputs.mask, UNKNOWN)
        known = known_words(labels)
        if outputs.chain is not None:
            return negative_log_likelihood(logits, labels, outputs.mask, outputs.chain) / known.sum(1).clamp_min(1)
        each = cross_entropy(
            logits.transpose(1, 2), labels, reduction="none", label_smoothing=smoothing, ignore_index=UNKNOWN
        )
        return mean_per_row(each, known)

    def consistency_loss(self, student: TagScores, teacher: TagScores) -> Tensor:
        """The sum over tags of the squared difference of their probabilities, the mean over words."""
        apart = self.log_probabilities(student).exp() - self.log_probabilities(teacher).exp()
        return apart.square().sum(2)[student.mask].mean()

    def distillation_loss(self, student: TagScores, teacher: TagScores, temperature: float) -> Tensor:
        """T² KL(teacher ‖ student) of the probabilities of tags at temperature T, the mean over words."""
        taught, wanted = (self.log_probabilities(each, temperature) for each in (student, teacher))
        return temperature**2 * (wanted.exp() * (wanted - taught)).sum(2)[student.mask].mean()

    def pseudo_labels_of(self, outputs: TagScores, threshold: float) -> tuple[Tensor, Tensor]:
        """The most probable tag of each word, unknown where its probability is below the threshold."""
        probability, guess = self.log_probabilities(outputs).exp().max(2)
        kept = (probability >= threshold) & outputs.mask
        return guess.where(kept, UNKNOWN), mean_per_row(kept.float(), outputs.mask)

    # Of scores, and what is shown.

    def example(self, row: Data, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
        words = words_of(row)
        true, guess = (self.decode(np.asarray(code)[None])[0] for code in (truth, predicted))
        return {"words": words[: len(true)], "truth": true, "predicted": [*guess, *true[len(guess) :]][: len(true)]}

    def write(self, rows: Data, labels: NDArray[Any], path: Path) -> None:
        """A word and its tag a line; CoNLL-U in the column of the label's name, or among the notes."""
        if path.suffix != CONLLU:
            write_columns(path, rows, [[[tag] for tag in row] for row in labels])
            return
        place = CONLLU_COLUMNS.index(self.name) if self.name in CONLLU_COLUMNS else len(CONLLU_COLUMNS) - 1
        note = "" if self.name in CONLLU_COLUMNS else f"{self.name}="
        empty = ["_"] * len(CONLLU_COLUMNS)
        sentences = [[[*empty[:place], note + tag, *empty[place + 1 :]] for tag in row] for row in labels]
        write_columns(path, rows, sentences, numbered=True)

    def statistics(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        """Right words, words; and where tags mark spans right spans, predicted ones, true ones."""
        sums = np.zeros((len(predicted), 5))
        for row, (guess, code, length) in enumerate(zip(predicted, truth, lengths_in(truth), strict=True)):
            true, said = code[:length], guess[:length]
            sums[row, :2] = (said == true[: len(said)]).sum(), length
            if self.spans:
                ours, theirs = (set(spans_of([self.tags[tag] for tag in tags])) for tags in (said, true))
                sums[row, 2:] = len(ours & theirs), len(ours), len(theirs)
        return sums

    def scores_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        right, words, both, ours, theirs = np.moveaxis(sums, -1, 0)
        scores = {"token_accuracy": right / np.maximum(words, 1)}
        if self.spans:
            scores |= {
                "span_f1": 2 * both / np.maximum(ours + theirs, 1),
                "span_precision": both / np.maximum(ours, 1),
                "span_recall": both / np.maximum(theirs, 1),
            }
        return scores

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "longest": self.longest, "tags": list(self.tags)}

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        tags = tuple(map(str, classes_from_json(given.get("tags", list))))
        return cls(given.get("name", str), given.get("longest", int), tags)
