"""Gradient methods over episodes: small tasks of telling a few classes apart, drawn anew in every step."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Generic, TypeVar

import torch

from manyways.data.data import Data
from manyways.data.encoding import InputEncoding
from manyways.data.specs import ImageSpec
from manyways.data.targets import Target
from manyways.errors import ParameterError
from manyways.methods.bases.gradient import Batch
from manyways.methods.bases.rows import PredictingMethod
from manyways.methods.fields import Count, Interval
from manyways.methods.needs import Classes, Input
from manyways.models.few_shot.episodes import Episodes, batch_of
from manyways.models.model import Model
from manyways.training.learner import LabelledLearner

Ways = Annotated[int, Interval("[2, inf)")]
SCORED_WAYS = 5
"""Classes that few-shot models are asked to tell apart in the field's tables."""


class EpisodeLearner(LabelledLearner):
    """A learner of encoded rows that are drawn in episodes of `ways` classes, of which `queries` rows are asked."""

    episodes: Episodes
    ways: int
    queries: int


EpisodeT = TypeVar("EpisodeT", bound=EpisodeLearner)


@dataclass(frozen=True, kw_only=True)
class EpisodeMethod(PredictingMethod[EpisodeT], Generic[EpisodeT]):
    """Learns from the labelled rows in episodes: a few classes, some rows of each to learn from, others to be asked.

    The classes of an episode are of one task where a column has that role. Test classes may be new.
    """

    batch_size: Count = 1
    """Episodes in a batch."""
    ways: Ways | None = None
    """Classes in an episode. None: as many as there are, up to a number of the method's own."""
    shots: Count = 1
    """Rows of each class that are learned from."""
    queries: Count | None = None
    """Rows of each class that are asked. None: as many as every class has besides, up to 5."""
    turned_classes: bool = False
    """True if images turned by 90°, 180° and 270° are classes of their own (Santoro et al. 2016)."""

    most_ways: ClassVar[int] = SCORED_WAYS
    most_queries: ClassVar[int] = 5
    new_classes: ClassVar[bool] = True
    needs: ClassVar = (Input, Classes)
    gives: ClassVar = frozenset({"adapt", "embed"})
    takes: ClassVar = frozenset({"embed"})

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        if reason := super().lacks(data, model):
            return reason
        episodes, ways, queries = self.episodes_of(data)
        return episodes.lacking(ways, self.shots, queries)

    def episodes_of(self, data: Data) -> tuple[Episodes, int, int]:
        """The pool that episodes are drawn from, the classes in one, and the rows of each that are asked."""
        episodes = Episodes.of(data.training, quarter_turns=4 if self.turned_classes else 1)
        ways = self.ways or max(2, min(self.most_ways, episodes.fewest_classes))
        queries = self.queries or max(1, min(self.most_queries, episodes.fewest_rows - self.shots))
        return episodes, ways, queries

    def begin(self, data: Data, model: Model | None, seed: int) -> EpisodeT:
        network, encoding, _ = self.start_backbones(data, model)
        network.head = None
        if self.turned_classes:
            _check_square(encoding)
        learner = self.make_learner(network, data, encoding, Target.fit(data), seed)
        learner.episodes, learner.ways, learner.queries = self.episodes_of(data)
        if learner.validation is not None:
            Episodes.of(learner.validation, hidden=True).check(self.scored_ways(learner), self.shots, 1)
        return learner

    def scored_ways(self, learner: EpisodeT) -> int:
        """The classes of an episode that the model is scored on."""
        return learner.ways

    def draw(self, learner: EpisodeT, step: int, rng: torch.Generator) -> Batch:
        rows = self.shots + learner.queries
        shown, asked = learner.episodes.draw(self.batch_size, learner.ways, rows, rng).split(self.shots)
        return {
            "support": batch_of(learner.rows, shown, learner.device),
            "queries": batch_of(learner.rows, asked, learner.device),
        }

    def examples_per_step(self, learner: EpisodeT) -> int:
        return self.batch_size * learner.ways * (self.shots + learner.queries)


def _check_square(encoding: InputEncoding) -> None:
    for name, spec in encoding.specs.items():
        if isinstance(spec, ImageSpec) and spec.height != spec.width:
            raise ParameterError(
                f"turned_classes needs images as high as wide; those in {name!r} are {spec.height} by {spec.width} "
                f"pixels. Read them with image_size={min(spec.height, spec.width)}."
            )
    if not any(isinstance(spec, ImageSpec) for spec in encoding.specs.values()):
        raise ParameterError("turned_classes turns images, and no input is one. Leave it out.")
