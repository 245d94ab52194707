"""Learning from labels of some domains for others that have none: features that are alike in all of them."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from manyways.data.columns import Column
from manyways.data.data import Data
from manyways.data.domains import Domains
from manyways.data.encoding import InputEncoding
from manyways.data.storage import RowNumbers
from manyways.data.targets import Target, predictions
from manyways.methods.bases.gradient import Batch, Loss
from manyways.methods.bases.rows import LabelledMethod
from manyways.methods.needs import Domain, Input, RowLabel
from manyways.models.network import Network
from manyways.training.learner import LabelledLearner


class DomainLearner(LabelledLearner):
    """A learner of labelled rows that knows the domain of every training row.

    Attributes:
        domains: The domains of all training rows.
    """

    def __init__(self, network: Network, data: Data, encoding: InputEncoding, target: Target, seed: int) -> None:
        super().__init__(network, data, encoding, target, seed)
        self.domains = Domains.of(self.training_data)
        self.by_domain: list[RowNumbers] = [
            np.flatnonzero(self.domains.codes == place) for place in range(len(self.domains.names))
        ]

    def from_each(self, size: int, step: int) -> tuple[RowNumbers, Tensor]:
        """About `size` rows for `step`, as many of each domain, labelled or not, and the domain of each, int64."""
        each = max(2, size // len(self.by_domain))
        rows = [self.pick(pool, each, step, stream=1 + place) for place, pool in enumerate(self.by_domain)]
        codes = torch.arange(len(rows)).repeat_interleave(torch.tensor([len(own) for own in rows]))
        return np.concatenate(rows), codes.to(self.device)


DomainLearnerT = TypeVar("DomainLearnerT", bound=DomainLearner)


@dataclass(frozen=True, kw_only=True)
class DomainMethod(LabelledMethod[DomainLearnerT], Generic[DomainLearnerT]):
    """A method that learns the labels of some domains, and from the rows of all what they have in common.

    A batch holds labelled rows, as plain supervision would see them, and as many rows of all domains alike, whose
    labels are not looked at. Domains of which no row has a label are what is learned for; there may be more than two.
    """

    augment: bool = True
    """True to see batches through weak views."""

    needs: ClassVar = (Input, RowLabel, Domain)
    gives: ClassVar = predictions(structured=False) | {"embed"}
    takes: ClassVar = frozenset({"embed"})
    uses_all_rows: ClassVar = True
    suggests: ClassVar = ()

    @classmethod
    def example_data(cls) -> Data:
        """Digits, of which every second is seen in the negative, without its label."""
        from manyways.data.read import read

        data = read("digits").with_test(0.2)
        (image,) = data.inputs
        inverted = np.arange(len(image)) % 2 == 1
        pixels = np.array(image.take(np.arange(len(image))))
        pixels[inverted] = 255 - pixels[inverted]
        names = np.array(["positive", "negative"], object)[inverted.astype(int)]
        columns = [Column(image.name, "image", pixels), data.label, Column("print", "category", names)]
        roles = {"input": [image.name], "label": [data.label.name], "domain": ["print"]}
        whole = Data.from_columns(columns, roles, name="digits in two prints")
        return whole.with_target_domain("negative", share=0.3)

    def draw(self, learner: DomainLearnerT, step: int, rng: torch.Generator) -> Batch:
        view = "weak" if self.augment else None
        labelled = learner.see(view, learner.pick(learner.labelled, self.batch_size, step), rng)
        rows, codes = learner.from_each(self.rows_in_batch(learner), step)
        inputs = learner.take(rows)
        seen = learner.views.weak(inputs, rng) if self.augment else inputs
        joined = {name: torch.cat([labelled["inputs"][name], seen[name]]) for name in seen}
        return {**labelled, "inputs": joined, "domains": codes, "progress": learner.progress(step)}

    def loss(self, learner: DomainLearnerT, batch: Batch) -> Loss:
        features = learner.network.features(batch["inputs"])
        count = len(features) - len(batch["domains"])
        of_labels = learner.label_loss(learner.network.predict(features[:count]), batch)
        between, parts = self.between(learner, features[count:], batch["domains"], batch["progress"])
        return of_labels + between, {"labels": of_labels, **parts}

    @abstractmethod
    def between(self, learner: DomainLearnerT, features: Tensor, domains: Tensor, progress: float) -> Loss:
        """The loss that keeps the features of domains alike, and its parts.

        Args:
            learner: All that is trained.
            features: Those of rows of every domain [rows, width].
            domains: The domain of each, int64 [rows].
            progress: The share of the run that is behind, in [0, 1).
        """

    def examples_per_step(self, learner: DomainLearnerT) -> float:
        size = self.rows_in_batch(learner)
        return size + max(2, size // len(learner.by_domain)) * len(learner.by_domain)

    def facts(self, learner: DomainLearnerT, steps: int) -> dict[str, Any]:
        names, targets = learner.domains.names, learner.domains.targets
        stated: Mapping[str, Any] = {"domains": list(names), "target_domains": [names[place] for place in targets]}
        return {**super().facts(learner, steps), **stated}
