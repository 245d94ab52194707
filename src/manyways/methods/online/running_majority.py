"""Running majority: the most frequent class of a stream so far, or the mean of its numbers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.methods.online._begin import Begun, Growth
from manyways.methods.online._inputs import Inputs
from manyways.methods.online._method import StreamMethod
from manyways.models.streams.head import StreamHead
from manyways.models.streams.labels import RunningMajorityHead

if TYPE_CHECKING:
    from manyways.data.targets import Target
    from manyways.methods.online._label_reader import MajorityReader


@dataclass(frozen=True, kw_only=True)
class RunningMajority(StreamMethod):
    """Predict the class that most rows of a stream had so far, or the mean of its numbers: a reference.

    It looks at no input. `majority` is the same for rows that are not in order, without a prequential score.
    """

    compiled: ClassVar = False
    suggests: ClassVar = ()
    paper: ClassVar = "Bifet, Holmes, Kirkby & Pfahringer, MOA: Massive online analysis, JMLR 2010 (MajorityClass)"

    def new_head(self, inputs: Inputs, target: "Target", seed: int) -> StreamHead:
        return RunningMajorityHead(target.width, target.classification)

    def grown_head(self, before: StreamHead, growth: Growth) -> StreamHead:
        assert isinstance(before, RunningMajorityHead)
        head = RunningMajorityHead(**{**before.config, "outputs": growth.target.width})
        head.take_over(before)
        head.state.weights[growth.outputs] = before.state.weights
        return head

    def reader(self, begun: Begun, data: Data, positions: RowNumbers, labels: NDArray[Any]) -> "MajorityReader":
        from manyways.methods.online._label_reader import MajorityReader

        return MajorityReader(begun, data, positions, labels, self.window)
