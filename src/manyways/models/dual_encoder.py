"""DualEncoder: two inputs of a row in one space, so that one finds the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.categories import as_objects
from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.presence import lacking_rows
from manyways.data.read import Source, as_data
from manyways.data.repeats import same_numbers
from manyways.data.targets import ClassTarget, Target
from manyways.errors import DataError, ModelError, NeedsError, ParameterError
from manyways.models.derivation import derived
from manyways.models.evaluation import Evaluation, of_all_rows
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.network import Network
from manyways.models.predictor import Predictor
from manyways.models.rebuilding import filled
from manyways.models.retrieval import Found, nearest, of_pairs
from manyways.models.running import run_rows
from manyways.models.two_towers import TwoTowers, rebuild_towers
from manyways.models.weights import write_weights
from manyways.models.zero_shot import LABEL, TEMPLATE, check_class_names, comparing_predictor, similarity_head


@dataclass(frozen=True, eq=False, kw_only=True)
class DualEncoder(Model):
    """A network for each of two inputs that puts both into one space: pictures near their texts, sounds near pictures.

    `embed` gives the vectors of either input, `retrieve` finds one by the other, and `classifier` tells classes apart
    by their names alone.
    """

    kind: ClassVar[str] = "dual-encoder"
    network: TwoTowers = field(repr=False)
    inputs: InputEncoding = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Its two inputs."""
        return self.network.names

    @property
    def text_input(self) -> str | None:
        """The input that is text; None where neither is, the second where both are."""
        texts = [name for name in self.names if self.inputs.specs[name].kind == "text"]
        return texts[-1] if texts else None

    def embed(self, source: Source, input: str | None = None) -> NDArray[np.float32]:
        """The vectors of one input of each row, float32 [rows, width], of length 1.

        input: which; by default the one that the source has. Where it has both, those of both, side by side.
        """
        data = self._rows(source, input)
        names = (input,) if input is not None else self._sides(data)
        return np.concatenate([self._vectors(data, name) for name in names], axis=1)

    def retrieve(self, queries: Source, among: Source, k: int = 10, *, by: str | None = None) -> Found:
        """The rows of `among` that are nearest to each of `queries`, the nearest first.

        queries: rows with one of the inputs, or texts where one is text: `retrieve("a red heart", pictures)`. by: the
        input that is asked by, where they have both. Found is the other input where `among` has it, else the same.

        Raises:
            ParameterError: `k` is below 1.
            DataError: The rows have neither input.
        """
        if k < 1:
            raise ParameterError(f"k must be 1 or more; got {k}.")
        query_rows = self._rows(queries, by)
        if by is None:
            by, *others = self._sides(query_rows)
            if others:
                raise ParameterError(
                    f"The queries have both inputs, {' and '.join(self.names)}; say which is asked by: by={by!r}."
                )
        held = self._rows(among, None)
        sides = self._sides(held)
        found = next((name for name in sides if name != by), by)
        return nearest(self._vectors(query_rows, by), self._vectors(held, found), k)

    def classifier(self, classes: Sequence[str], template: str = TEMPLATE, label: str = LABEL) -> Predictor:
        """Zero-shot classifier (Radford et al. 2021): tells `classes` apart by their names, which may all be new.

        The method `zero-shot` makes the same model in a chain.

        Args:
            classes: Names of the classes, two or more.
            template: The text that stands for a class, with {} for its name; best is one like the texts that were
                learned from.
            label: The column that is predicted.

        Raises:
            NeedsError: Where neither input is text.
            ParameterError: For fewer than two names, a name twice, or a template without {}.
        """
        names = tuple(classes)
        check_class_names(names, template, "classifier")
        made = self.comparing(ClassTarget(label, names), template)
        fields = {"classes": names, "template": template, "label": label}
        return derived(made, self, "zero-shot", Data.nothing(), fields, {"template": TEMPLATE, "label": LABEL})

    def comparing(self, target: Target, template: str) -> Predictor:
        """Return the classifier of the classes of `target`, without a lineage."""
        if (text := self.text_input) is None:
            raise NeedsError(
                f"Classes are told apart by their names, and {self.lineage.title} pairs {' with '.join(self.names)}, "
                "neither of which is text. Train one on texts."
            )
        seen = next(name for name in self.names if name != text)
        backbone = self.network.tower(seen).parts[0]
        texts = [template.replace("{}", str(name)) for name in target.classes]
        projection, scale = self.network.projection(seen).weight, self.network.log_scale.exp()
        head = similarity_head(projection, self.embed(texts, text), float(scale.detach()))
        return comparing_predictor(backbone, head, seen, self.inputs.encoders[seen], target)

    @property
    def metric(self) -> str | None:
        return "recall_at_10"

    def evaluate(self, source: Source) -> dict[str, float]:
        """Retrieval scores of the pairs of `source` among themselves: recall at 1, 5 and 10, and the median rank.

        Each as the mean of both directions, and of each direction alone: `recall_at_10 of name by image` is how often
        the name is among the ten that a picture finds first. Rows that lack an input are no pairs. `…_by_chance` is
        what a random order would reach.

        Raises:
            DataError: There are fewer than two pairs.
        """
        return dict(self.evaluate_rows(source, "").scores)

    def evaluate_rows(self, source: Source, metric: str) -> Evaluation:
        whole = as_data(source)
        data = self.pairs(whole)
        if len(data) < 2:
            raise DataError(f"{data.name} has {len(data)} pairs of {' and '.join(self.names)}; two are the least.")
        rows = self.inputs.encode(data)
        vectors = {name: self._vectors(data, name) for name in self.names}
        same = {name: same_numbers(rows.stores[name], rows.rows) for name in self.names}
        both = of_pairs(vectors, same, metric)
        return Evaluation(both.scores, of_all_rows(both.rows, np.isin(whole.rows, data.rows)))

    def pairs(self, data: Data) -> Data:
        """The rows of `data` that have both inputs."""
        names = [column for encoder in self.inputs.encoders.values() for column in encoder.columns]
        found = lacking_rows(data.with_inputs(names))
        return data.select(np.setdiff1d(np.arange(len(data)), np.concatenate([np.empty(0, np.int64), *found.values()])))

    def as_predictor(self, data: Data | None = None) -> Predictor:
        """The network of the input that `data` has, or those of both side by side, before the projections."""
        names = self.names if data is None else self._sides(data)
        backbones = {name: self.network.tower(name).parts[0] for name in names}
        encoding = InputEncoding({name: self.inputs.encoders[name] for name in names})
        network = Network(backbones)
        return Predictor(network=network, inputs=encoding, gives=frozenset({"embed"}), lineage=self.lineage)

    def encoding(self) -> InputEncoding:
        return self.inputs

    def write(self, folder: Path) -> dict[str, Any]:
        write_weights(self.network, folder)
        return {"network": self.network.config(), "inputs": self.inputs.to_json()}

    @classmethod
    def read(cls, folder: Path, saved: Mapping[str, Any], gives: frozenset[str], lineage: Lineage) -> "DualEncoder":
        network = filled(lambda: rebuild_towers(saved["network"]), folder)
        inputs = InputEncoding.from_json(saved["inputs"], network.names)
        return cls(network=network, inputs=inputs, gives=gives, lineage=lineage)

    def _vectors(self, data: Data, name: str) -> NDArray[np.float32]:
        encoding = InputEncoding({name: self.inputs.encoders[name]})
        network = self.network
        return run_rows(lambda inputs: network.vectors(name, inputs), network.width, network, encoding, data)

    def _sides(self, data: Data) -> list[str]:
        """The inputs that `data` has, one at least."""
        encoders = self.inputs.encoders
        sides = [name for name in self.names if all(column in data.columns for column in encoders[name].columns)]
        if not sides:
            raise DataError(
                f"{data.name} has neither {' nor '.join(map(repr, self.names))}, the inputs that the model knows; its "
                f"columns are {', '.join(data.columns)}."
            )
        return sides

    def _rows(self, source: Source, name: str | None) -> Data:
        """`source` as rows; texts are rows of the input that is text."""
        if name is not None and name not in self.names:
            raise ModelError(f"The model knows the inputs {' and '.join(self.names)}; got {name!r}.")
        texts = [source] if isinstance(source, str) else source
        column = name if name is not None else self.text_input
        words = isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts)
        if words and column is not None and self.inputs.specs[column].kind == "text":
            (own,) = self.inputs.encoders[column].columns
            return Data.from_columns([Column(own, "text", as_objects(list(texts)))], {"input": [own]}, name="texts")
        return as_data(source)
