"""SentenceEncoder: one network that reads texts, and puts those that mean the same near each other."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from manyways.checked_json import described
from manyways.correlations import correlation_pseudo_values, correlations
from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoders.text import TextEncoder
from manyways.data.encoding import InputEncoding
from manyways.data.read import Known, Source, read_as
from manyways.data.repeats import same_across
from manyways.data.sources.hub import HUB
from manyways.data.targets import ClassTarget, Target
from manyways.errors import DataError, ModelError, ParameterError
from manyways.models.derivation import derived
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.network import Inputs, Network, rebuild_network
from manyways.models.rebuilding import filled
from manyways.models.retrieval import Found, nearest, of_pairs
from manyways.models.running import run_rows
from manyways.models.sentence_folder import (
    TEXT,
    open_checkpoint,
    read_sentence_folder,
    write_sentence_folder,
    writes_as_folder,
)
from manyways.models.weights import write_weights
from manyways.models.zero_shot import LABEL, check_class_names, comparing_predictor, similarity_head

if TYPE_CHECKING:
    from manyways.models.predictor import Predictor

SCALE = 20.0
"""The factor by which cosines are logits of classes: one over the temperature of training."""
GIVES = frozenset({"embed", "similarity", "retrieve"})


@dataclass(frozen=True, eq=False, kw_only=True)
class SentenceEncoder(Model):
    """A network that embeds texts as vectors of length 1, the more alike the nearer (Reimers & Gurevych, SBERT, 2019).

    `embed` gives the vectors, `similarity` the cosine of the two texts of a row, `retrieve` the nearest among many, and
    `classifier` tells classes apart by their names alone. Saved, one of a checkpoint is a folder of
    sentence-transformers, too.

    Attributes:
        encoder: The encoder of its texts, of whichever column.
        columns: The columns that it learned from.
        matryoshka: Numbers of the first features that were trained to be embeddings of their own.
    """

    kind: ClassVar[str] = "sentence-encoder"
    network: Network = field(repr=False)
    encoder: TextEncoder = field(repr=False)
    columns: tuple[str, ...] = ()
    matryoshka: tuple[int, ...] = ()

    def embed(self, source: Source, *, size: int | None = None) -> NDArray[np.float32]:
        """The vectors of the texts of each row, float32 [rows, width], of length 1; of several texts side by side.

        Args:
            source: Rows, or texts.
            size: Number of the first features that are kept (Kusupati et al., Matryoshka representation learning,
                NeurIPS 2022); None: all.

        Raises:
            DataError: The rows have no text.
            ParameterError: `size` is below 1 or above the width.
        """
        if size is not None and not 1 <= size <= self.network.width:
            raise ParameterError(f"size must be in [1, {self.network.width}], the width of the model; got {size}.")
        data = self._rows(source)
        return np.concatenate([self._vectors(data, name, size) for name in self._texts(data)], axis=1)

    def similarity(self, source: Source) -> NDArray[np.float32]:
        """The cosine similarity of the two texts of each row, float32 [rows].

        Raises:
            DataError: The rows do not have two texts.
        """
        data = self._rows(source)
        first, second = (self._vectors(data, name) for name in self._pair(data))
        return np.asarray((first * second).sum(axis=1))

    def retrieve(self, queries: Source, among: Source, k: int = 10, *, by: str | None = None) -> Found:
        """The rows of `among` that are nearest to each of `queries`, the nearest first.

        Args:
            queries: Texts, or rows.
            among: Texts, or rows; of several texts of a row the one that is not `by`.
            k: Number of rows for each query.
            by: The column of the queries, where they have several.

        Raises:
            ParameterError: `k` is below 1, or it is open which text is the query.
            DataError: The rows have no text.
        """
        if k < 1:
            raise ParameterError(f"k must be 1 or more; got {k}.")
        query_rows, answer_rows = self._rows(queries), self._rows(among)
        names = self._texts(query_rows)
        if by is None and len(names) > 1:
            raise ParameterError(f"The queries have the texts {' and '.join(names)}; say which asks: by={names[0]!r}.")
        by = names[0] if by is None else by
        if by not in query_rows.columns:
            raise ParameterError(f"by must be a column of the queries, {', '.join(query_rows.columns)}; got {by!r}.")
        sides = self._texts(answer_rows)
        answer = next((name for name in sides if name != by), sides[0])
        return nearest(self._vectors(query_rows, by), self._vectors(answer_rows, answer), k)

    def classifier(self, classes: Sequence[str], template: str = "{}", label: str = LABEL) -> "Predictor":
        """Zero-shot classifier: tells `classes` apart by their names, which may all be new.

        Args:
            classes: Names of the classes, two or more.
            template: The text that stands for a class, with {} for its name.
            label: The column that is predicted.

        Raises:
            ParameterError: For fewer than two names, a name twice, or a template without {}.
        """
        names = tuple(classes)
        check_class_names(names, template, "classifier")
        fields = {"classes": names, "template": template, "label": label}
        made = self.comparing(ClassTarget(label, names), template)
        return derived(made, self, "zero-shot", Data.nothing(), fields, {"label": LABEL})

    def comparing(self, target: Target, template: str) -> "Predictor":
        """Return the classifier of the classes of `target`, without a lineage."""
        texts = [template.replace("{}", str(name)) for name in target.classes]
        head = similarity_head(torch.eye(self.network.width), self.embed(texts), SCALE)
        column = next(iter(self.columns), TEXT)
        encoder = replace(self.encoder, column=column)
        return comparing_predictor(self.network.parts[0], head, column, encoder, target)

    @property
    def metric(self) -> str | None:
        return "recall_at_10"

    def metric_on(self, data: Data) -> str | None:
        if not self._has_pairs(data):
            return None
        return "spearman" if _scored(data) else "recall_at_10"

    def evaluate(self, source: Source) -> dict[str, float]:
        """Scores on rows of two texts.

        Where their label is a number: spearman and pearson, the correlations of the cosine with it. Else those of
        retrieval, of one text by the other and the other way round: see `DualEncoder.evaluate`.

        Raises:
            DataError: The rows do not have two texts, or there are fewer than two.
        """
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: Source, metric: str) -> Evaluation:
        data = self._rows(source)
        pair = self._pair(data)
        if _scored(data):
            known = data.select(data.known)
            cosines, scores = self.similarity(known), known.take(known.label.name).astype(np.float64)
            values = correlation_pseudo_values(metric, cosines, scores)
            return Evaluation(correlations(cosines, scores), of_all_rows(values, data.known))
        if len(data) < 2:
            raise DataError(f"{data.name} has {len(data)} pairs of {' and '.join(pair)}; two are the least.")
        rows = self.encoding_of(pair).encode(data)
        same = same_across([rows.stores[name] for name in pair], rows.rows)
        vectors = {name: self._vectors(data, name) for name in pair}
        return of_pairs(vectors, dict(zip(pair, same.T, strict=True)), metric)

    def as_predictor(self, data: Data | None = None) -> "Predictor":
        """The network as one of the texts that `data` has, of several each by itself, before scaling to length 1."""
        from manyways.models.predictor import Predictor

        names = self._texts(data) if data is not None else (next(iter(self.columns), TEXT),)
        network = Network({name: copy.deepcopy(self.network.parts[0]) for name in names})
        return Predictor(
            network=network, inputs=self.encoding_of(names), gives=frozenset({"embed"}), lineage=self.lineage
        )

    def encoding(self) -> InputEncoding:
        return self.encoding_of(self.columns or (TEXT,))

    def encoding_of(self, names: Sequence[str]) -> InputEncoding:
        """The encoding of the columns `names`."""
        return InputEncoding({name: replace(self.encoder, column=name) for name in names})

    def write(self, folder: Path) -> dict[str, Any]:
        part = self.network.parts[0]
        network: dict[str, Any] | None = None
        if writes_as_folder(part):
            write_sentence_folder(folder, part, self.encoder)
        else:
            write_weights(self.network, folder)
            network = self.network.config()
        return {
            "network": network,
            "encoder": self.encoder.to_json(),
            "columns": list(self.columns),
            "matryoshka": list(self.matryoshka),
        }

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "SentenceEncoder":
        given = described(saved, f"the description of the sentence encoder in {folder}", ModelError)
        encoder = TextEncoder.from_json(saved["encoder"])
        if saved["network"] is None:
            network = Network({TEXT: read_sentence_folder(folder, encoder)}).eval()
        else:
            network = filled(lambda: rebuild_network(saved["network"]), folder)
        if len(network.parts) != 1 or "text" not in network.parts[0].kinds or network.head is not None:
            raise ModelError(f"{folder} holds no network that reads one text; it is damaged or was written otherwise.")
        return cls(
            network=network, encoder=encoder, columns=tuple(given.all("columns", str)),
            matryoshka=tuple(given.all("matryoshka", int)), gives=gives, lineage=lineage,
        )  # fmt: skip

    def _vectors(self, data: Data, name: str, size: int | None = None) -> NDArray[np.float32]:
        """The vectors of the column `name`, float32 [rows, width]."""
        if name not in data.columns:
            raise DataError(f"{data.name} has no column {name!r}; its columns are {', '.join(data.columns)}.")
        width = size or self.network.width

        def run(inputs: Inputs) -> Tensor:
            return normalize(self.network.features({TEXT: inputs[name]})[:, :width].float(), dim=1)

        return run_rows(run, width, self.network, self.encoding_of((name,)), data)

    def _rows(self, source: Source) -> Data:
        """`source` as rows; texts are rows of one column."""
        if isinstance(source, Data):
            return source
        texts = [source] if isinstance(source, str) and not _is_place(source) else source
        if isinstance(texts, list | tuple) and texts and all(isinstance(text, str) for text in texts):
            column = Column(next(iter(self.columns), TEXT), "text", as_objects(list(texts)))
            return Data.from_columns([column], {"input": [column.name]}, name="texts")
        return read_as(source, Known(dict.fromkeys(self.columns, "text")))

    def _texts(self, data: Data) -> tuple[str, ...]:
        """The columns of texts of `data`: of those that it learned from, or else all. Raises DataError without any."""
        inputs = _text_inputs(data)
        known = [name for name in self.columns if name in data.columns]
        names = [name for name in known if name in inputs] or known or inputs or list(data.roles.get("text", ()))
        if not names:
            raise DataError(
                f'{data.name} has no column of texts. Name it: input="…" with one of {", ".join(data.columns)}.'
            )
        return tuple(names)

    def _pair(self, data: Data) -> tuple[str, str]:
        """The two columns of texts of `data` that are compared. Raises DataError where there are no two."""
        known, inputs = [name for name in self.columns if name in data.columns], _text_inputs(data)
        names = known if len(known) > 1 else inputs
        if len(names) < 2:
            raise DataError(
                f"Two texts of each row are compared, and {data.name} has {len(names)}. Name two columns: "
                f'input=("…", "…"), out of {", ".join(data.columns)}.'
            )
        return names[0], names[1]

    def _has_pairs(self, data: Data) -> bool:
        return max(len(_text_inputs(data)), sum(name in data.columns for name in self.columns)) > 1


def from_checkpoint(checkpoint: str) -> SentenceEncoder:
    """The sentence encoder of a checkpoint of transformers or sentence-transformers: its folder or Hub name.

    Raises:
        ModelError: It cannot be opened, or reads no texts.
    """
    from manyways.models.saving import checkpoint_lineage

    part, encoder = open_checkpoint(checkpoint)
    network = Network({TEXT: part}).eval()
    return SentenceEncoder(network=network, encoder=encoder, gives=GIVES, lineage=checkpoint_lineage(checkpoint))


def _is_place(text: str) -> bool:
    """True if `text` names a file or a folder, or data on the Hub."""
    try:
        return text.startswith(HUB) or Path(text).expanduser().exists()
    except (OSError, ValueError):  # longer than a name may be
        return False


def _text_inputs(data: Data) -> list[str]:
    return [column.name for column in data.inputs if column.kind == "text"]


def _scored(data: Data) -> bool:
    """True if rows have one label, a number: how alike their texts are."""
    return len(data.labels) == 1 and data.label.kind == "number"
