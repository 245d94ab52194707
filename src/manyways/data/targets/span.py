"""Span: a label that is a piece of a text, the answer to a question (extractive question answering)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from manyways.checked_json import described
from manyways.data.categories import as_objects
from manyways.data.data import Data
from manyways.data.encoders.base import CheckpointTokenizer
from manyways.data.encoders.pair import PairEncoder
from manyways.data.encoding import InputEncoding
from manyways.data.inference.spans import text_of
from manyways.data.kinds.span import SPAN
from manyways.data.spans import exact_match, spans_of, token_f1
from manyways.data.targets.base import CONFIDENCE, CONSISTENCY, DISTILLATION, PSEUDO_LABELS, Recipe
from manyways.data.targets.structured import Prediction, Structure, StructuredTarget
from manyways.errors import DataError, ModelError
from manyways.metrics import Metric

F1 = Metric("answer_f1", low=0.0, high=1.0, fraction=True)

LONGEST = 30
"""Tokens of an answer."""
UNLABELLED, NO_ANSWER = -2, -1
"""In the place of characters."""
TEXTS = 2


@dataclass(frozen=True, eq=False)
class SpanOutputs(Structure):
    """Logits of the first and the last token of an answer, those of no answer first.

    start, end: [rows, 1 + tokens]. mask: where there are tokens, bool [rows, 1 + tokens]. places: the characters from
    which to which each token of the text stands, int64 [rows, tokens, 2].
    """

    NOWHERE: ClassVar[float] = -1e4

    start: Tensor
    end: Tensor
    mask: Tensor
    places: Tensor


@dataclass(frozen=True)
class SpanTarget(StructuredTarget):
    """An answer that stands in a text: codes int64 [rows, 2], its first character and the one behind its last.

    A question without an answer has -1 twice. Where there are several answers, the first is learned, and the nearest
    to the prediction scored (Rajpurkar et al., EMNLP 2016; without an answer: Rajpurkar et al., ACL 2018).
    """

    kind = "span"
    column_kind = SPAN.name
    gives = "answer"
    task = "question answering"
    metrics = ("answer_f1", "exact_match")
    head = "span"
    joins_inputs = True
    recipe: ClassVar[Recipe] = Recipe(batch_size=16, sampler="by-length")
    supports: ClassVar[frozenset[str]] = frozenset({CONSISTENCY, DISTILLATION, PSEUDO_LABELS, CONFIDENCE})

    question: str = ""
    context: str = ""
    may_lack: bool = False

    @classmethod
    def fitted(cls, data: Data) -> Self:
        texts = [column for column in data.inputs if column.kind == "text"]
        if len(texts) != TEXTS or len(data.inputs) != TEXTS:
            names = ", ".join(column.name for column in data.inputs)
            raise DataError(
                f"A span is found by two texts, a question and what it is about, and the inputs of {data.name} are "
                f'{names}. Name both: input=("question", "context").'
            )
        context = text_of(data.label, texts)
        question = next(column for column in texts if column is not context)
        seen = data.training.select(data.training.labelled).take(data.label.name).tolist()
        return cls(data.label.name, question.name, context.name, any(not spans_of(value) for value in seen))

    def encoding(self, data: Data, tokenizers: Mapping[str, CheckpointTokenizer] | None = None) -> InputEncoding:
        """The question and the text as one sequence."""
        known = (tokenizers or {}).get(self.context)
        columns = [data.columns[name] for name in (self.question, self.context)]
        training = data.training
        if not len(training):
            raise DataError(f"{data.name} has no training rows to learn from.")
        return InputEncoding({self.context: PairEncoder.fit(columns, training.rows, known)})

    def unlabelled(self, count: int) -> NDArray[Any]:
        return np.full((count, 2), UNLABELLED, np.int64)

    def codes_of(self, values: NDArray[Any], rows: Data) -> NDArray[Any]:
        codes = np.full((len(values), 2), NO_ANSWER, np.int64)
        for code, value in zip(codes, values.tolist(), strict=True):
            if spans := spans_of(value):
                code[:] = spans[0].start, spans[0].start + len(spans[0].text)
        return codes

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The characters of each answer, as {"start": …, "end": …}; empty where there is none."""
        return as_objects([{} if start < 0 else {"start": int(start), "end": int(end)} for start, end in codes])

    def decode_rows(self, codes: Sequence[NDArray[Any]], rows: Data) -> NDArray[Any]:
        """Each answer with its words, as {"text": "Denver", "start": 177}; without an answer its text is empty."""
        contexts = rows.take(self.context).tolist()
        return as_objects([
            {"text": "", "start": NO_ANSWER} if start < 0 else {"text": str(context)[start:end], "start": int(start)}
            for (start, end), context in zip((code.tolist() for code in codes), contexts, strict=True)
        ])  # fmt: skip

    def predictions(self, outputs: SpanOutputs) -> list[Prediction]:
        start, end = outputs.start.log_softmax(1), outputs.end.log_softmax(1)
        together = start[:, 1:, None] + end[:, None, 1:]
        count = together.shape[1]
        place = torch.arange(count, device=start.device)
        apart = place[None] - place[:, None]
        together = together.masked_fill((apart < 0) | (apart >= LONGEST), -torch.inf)
        best, at = together.flatten(1).max(dim=1)
        none = start[:, 0] + end[:, 0]
        lacking = (none > best) & self.may_lack
        first, last = at // count, at % count
        rows = torch.arange(len(start), device=start.device)
        codes = torch.stack([outputs.places[rows, first, 0], outputs.places[rows, last, 1]], dim=1)
        chosen = torch.where(lacking[:, None], NO_ANSWER, codes).long().cpu().numpy()
        sure = torch.where(lacking, none, best).exp().cpu().tolist()
        return [Prediction(code, each) for code, each in zip(chosen, sure, strict=True)]

    def statistics(self, predicted: Sequence[NDArray[Any]], truth: NDArray[Any], rows: Data) -> NDArray[np.float64]:
        answers = [[span.text for span in spans_of(value)] for value in rows.take(self.name).tolist()]
        guesses = [each["text"] for each in self.decode_rows(predicted, rows).tolist()]
        pairs = list(zip(guesses, answers, strict=True))
        return np.array([[1.0, token_f1(*pair), exact_match(*pair)] for pair in pairs]).reshape(-1, 3)

    def scores_of(self, sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {name: sums[..., place] / sums[..., 0] for place, name in enumerate(self.metrics, 1)}

    def example(self, row: Data, truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
        """The question, the text, and the characters of both answers in it."""
        question, context = (str(row.take(name)[0]) for name in (self.question, self.context))
        spans = [[] if code[0] < 0 else code.tolist() for code in (truth, predicted)]
        return {"question": question, "context": context, "truth": spans[0], "predicted": spans[1]}

    def known(self, labels: Tensor) -> Tensor:
        return labels[:, 0] != UNLABELLED

    def losses(self, outputs: SpanOutputs, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """The cross-entropies of the first and of the last token, their mean."""
        first, last = token_places(outputs, labels)
        both = [
            cross_entropy(logits, wanted, reduction="none")
            for logits, wanted in ((outputs.start, first), (outputs.end, last))
        ]
        return (both[0] + both[1]) / 2

    def consistency_loss(self, student: SpanOutputs, teacher: SpanOutputs) -> Tensor:
        pairs = ((student.start, teacher.start), (student.end, teacher.end))
        apart = [(ours.softmax(1) - theirs.softmax(1).detach()).square().sum(1) for ours, theirs in pairs]
        return (apart[0] + apart[1]).mean() / 2

    def distillation_loss(self, student: SpanOutputs, teacher: SpanOutputs, temperature: float) -> Tensor:
        total = student.start.new_zeros(())
        for ours, theirs in ((student.start, teacher.start), (student.end, teacher.end)):
            wanted = (theirs / temperature).softmax(1).detach()
            total = total - (wanted * (ours / temperature).log_softmax(1)).sum(1).mean() / 2
        return temperature**2 * total

    def pseudo_labels_of(self, outputs: SpanOutputs, threshold: float) -> tuple[Tensor, Tensor]:
        guesses = self.predictions(outputs)
        sure = torch.tensor([each.confidence >= threshold for each in guesses], device=outputs.start.device)
        codes = torch.from_numpy(np.stack([each.code for each in guesses])).to(outputs.start.device)
        return codes.where(sure[:, None], UNLABELLED), sure.float()

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "name": self.name, "question": self.question, "context": self.context,
            "may_lack": self.may_lack,
        }  # fmt: skip

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Self:
        given = described(saved, "the target", ModelError)
        question, context = given.get("question", str), given.get("context", str)
        return cls(given.get("name", str), question, context, given.get("may_lack", bool))


def token_places(outputs: SpanOutputs, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last token of answers given by their characters, int64 [rows]; 0 where there is no answer."""
    there = outputs.mask[:, 1:]
    ends_behind = (outputs.places[..., 1] > labels[:, :1]) & there
    begins_before = (outputs.places[..., 0] < labels[:, 1:]) & there
    first = ends_behind.int().argmax(1) + 1
    last = (begins_before.int() * torch.arange(1, there.shape[1] + 1, device=labels.device)).amax(1)
    none = labels[:, 0] < 0
    return first.masked_fill(none, 0), torch.maximum(last, first).masked_fill(none, 0)
