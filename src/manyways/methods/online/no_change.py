"""No change: the last label is predicted, which much on a stream is hard put to beat."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.methods.online._begin import Begun, Growth
from manyways.methods.online._inputs import Inputs
from manyways.methods.online._method import StreamMethod
from manyways.models.streams.head import StreamHead
from manyways.models.streams.labels import LabelHead

if TYPE_CHECKING:
    from manyways.data.targets import Target
    from manyways.methods.online._label_reader import LabelReader


@dataclass(frozen=True, kw_only=True)
class NoChange(StreamMethod):
    """Predict the label of the row before, a class or a number: the reference on streams whose labels come in runs.

    It looks at no input. Where labels depend on those before them, a learner that is below it has learned nothing that
    the last label does not say.
    """

    compiled: ClassVar = False
    suggests: ClassVar = ()
    paper: ClassVar = (
        "Žliobaitė, Bifet, Read, Pfahringer & Holmes, Evaluation methods and decision theory for classification of "
        "streaming data with temporal dependence, Machine Learning 2015"
    )

    def new_head(self, inputs: Inputs, target: "Target", seed: int) -> StreamHead:
        return LabelHead(target.width, target.classification)

    def grown_head(self, before: StreamHead, growth: Growth) -> StreamHead:
        assert isinstance(before, LabelHead)
        head = LabelHead(**{**before.config, "outputs": growth.target.width})
        head.take_over(before)
        last = before.state.last
        head.state.last[:] = growth.outputs[last.astype(int)] if before.classes and last[0] >= 0 else last
        return head

    def reader(self, begun: Begun, data: Data, positions: RowNumbers, labels: NDArray[Any]) -> "LabelReader":
        from manyways.methods.online._label_reader import LabelReader

        return LabelReader(begun, data, positions, labels, self.window)
