"""Online SGD: a linear model that learns a stream row by row, and says how well it predicted each row before."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.storage import RowNumbers
from manyways.errors import ModelError
from manyways.methods.fields import Count, Interval, NotNegative, Positive
from manyways.methods.online._begin import Begun, Growth
from manyways.methods.online._inputs import Inputs
from manyways.methods.online._method import StreamMethod
from manyways.methods.recommendations import Recommendation
from manyways.models.streams.head import StreamHead
from manyways.models.streams.linear import LinearStreamHead

if TYPE_CHECKING:
    from manyways.data.targets import Target
    from manyways.methods.online._linear_reader import LinearReader
    from manyways.methods.online._passes import Settings

_ALARMING = {"drift": "page_hinkley", "page_hinkley_threshold": 1e-3}
"""With these a few rows are enough for an alarm."""


@dataclass(frozen=True, kw_only=True)
class OnlineSGD(StreamMethod):
    """Learn a stream in one pass, each row after it was predicted: logistic, multinomial or linear regression by SGD.

    Rows come in the order of the role `time`, or of the table. Inputs are standardised by the rows before alone.
    `fit(more, model)` goes on with the next row, as if the stream had never been cut. Without a budget all rows are
    read; a step is a row. The model's `prequential` says how well rows were predicted before they were learned,
    `prequential_curve` the same by windows, `drifts` where the stream was found to change.

    Two classes are told apart by logistic regression; from the row on that brings a third, by multinomial regression
    that begins with the same probabilities. New classes and categories may come at any time.
    """

    learning_rate: Positive = 0.01
    """Learning rate of the weights."""
    intercept_learning_rate: NotNegative | None = None
    """Learning rate of the intercepts; None: as that of the weights; 0: there are none."""
    l2: NotNegative = 0.0
    """L2 penalty of the weights, half its square."""
    standardise: bool = True
    """True to divide each input by its running standard deviation, after its running mean is taken away."""
    multinomial: bool = False
    """True to tell two classes apart by multinomial regression, too, which learns them twice as fast."""
    drift: Literal["none", "adwin", "page_hinkley"] = "none"
    """Test of the errors for a rise: adaptive windows (Bifet & Gavaldà 2007), or Page's (1954) sum."""
    on_drift: Literal["adapt", "reset"] = "adapt"
    """Reaction to a drift: learning faster for a while (Gustafsson 2000), or beginning anew from nothing."""
    boost: Annotated[float, Interval("[1, inf)")] = 10.0
    """Multiple of the learning rates right after a drift, where `on_drift` is adapt."""
    boost_rows: Count = 1000
    """Rows after which about a third (1/e) of what the boost adds is left."""
    adwin_delta: Annotated[float, Interval("(0, 1)")] = 0.002
    """Chance that adwin takes noise for a change, at each of its looks."""
    page_hinkley_tolerance: NotNegative = 0.005
    """Rise of the mean error that page_hinkley lets pass."""
    page_hinkley_threshold: Positive = 50.0
    """Errors above the mean and the tolerance, summed, at which page_hinkley alarms."""

    recommends: ClassVar = {
        "any": Recommendation("one pass over the rows in their order, and it follows a drift", 15),
    }
    paper: ClassVar = (
        "Robbins & Monro, A stochastic approximation method, 1951; Gama, Sebastião & Rodrigues, On evaluating stream "
        "learning algorithms, Machine Learning 2013"
    )

    field_trials: ClassVar = {
        "on_drift": {**_ALARMING, "on_drift": "reset"},
        "boost": {**_ALARMING, "boost": 2.0},
        "boost_rows": {**_ALARMING, "boost_rows": 1},
        "page_hinkley_tolerance": {**_ALARMING, "page_hinkley_tolerance": 100.0},
        "page_hinkley_threshold": _ALARMING,
        "adwin_delta": "ADWIN finds nothing in so few rows as a trial has labels.",
    }

    def new_head(self, inputs: Inputs, target: "Target", seed: int) -> StreamHead:
        return LinearStreamHead(inputs.network.width, target.width, target.classification, self.standardise, self.drift)

    def grown_head(self, before: StreamHead, growth: Growth) -> StreamHead:
        assert isinstance(before, LinearStreamHead)
        if before.standardise != self.standardise:
            raise ModelError(
                f"OnlineSGD.standardise must be {before.standardise}, as it was for the rows that the model learned; "
                f"got {self.standardise}."
            )
        sizes = {"width": growth.inputs.network.width, "outputs": growth.target.width, "detector": self.drift}
        head = LinearStreamHead(**{**before.config, **sizes})
        head.take_over(before)
        old, new, outputs, columns = before.state, head.state, growth.outputs, growth.columns
        new.mean[columns], new.variance[columns] = old.mean, old.variance
        new.weight[np.ix_(outputs, columns)] = old.weight
        new.bias[outputs], new.seen[outputs] = old.bias, old.seen
        for which in ("first", "second"):
            if (code := old.counts[which][0]) >= 0:
                new.counts[which] = outputs[code]
        return head

    def reader(self, begun: Begun, data: Data, positions: RowNumbers, labels: NDArray[Any]) -> "LinearReader":
        from manyways.methods.online._linear_reader import LinearReader

        return LinearReader(begun, data, positions, labels, self.settings(), self.multinomial)

    @classmethod
    def suggestions(cls, data: Data | None = None) -> tuple[str, ...]:
        """Two entries where rows have a time: without and with a look-out for drift."""
        if data is None or not data.has("time"):
            return ()
        return cls.method_name(), f"{cls.method_name()}(drift='adwin')"

    def settings(self) -> "Settings":
        """The fields as the compiled passes take them."""
        from manyways.methods.online._passes import ADWIN, NO_DRIFT, PAGE_HINKLEY, Settings

        intercept = self.intercept_learning_rate
        return Settings(
            rate=float(self.learning_rate),
            bias_rate=float(self.learning_rate if intercept is None else intercept),
            l2=float(self.l2),
            standardise=self.standardise,
            drift={"none": NO_DRIFT, "adwin": ADWIN, "page_hinkley": PAGE_HINKLEY}[self.drift],
            adwin_delta=float(self.adwin_delta),
            tolerance=float(self.page_hinkley_tolerance),
            threshold=float(self.page_hinkley_threshold),
            resets=self.on_drift == "reset",
            boost=float(self.boost),
            fading=1 - 1 / self.boost_rows,
            window=self.window,
        )
