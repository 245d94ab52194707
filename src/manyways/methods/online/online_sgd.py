"""Online SGD: a linear model that learns a stream row by row, and says how well it predicted each row before."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np

from manyways.data.data import Data
from manyways.data.storage import CHUNK_BYTES
from manyways.data.times import is_dates
from manyways.methods.fields import Count, Interval, NotNegative, Positive
from manyways.methods.method import Learned, Method
from manyways.methods.needs import Input, Label, lacking
from manyways.methods.online._begin import begin, labels_of
from manyways.methods.online._order import in_order
from manyways.methods.recommendations import Recommendation
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.stream import StreamHead, StreamPredictor
from manyways.training.budget import Budget, Planned
from manyways.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from manyways.training.events import Event
from manyways.training.run import Run

if TYPE_CHECKING:
    from manyways.methods.online._passes import Settings
    from manyways.methods.online._reader import Reader

PIECES, PIECE = 20, 16_384
"""A stream is read in 20 pieces at least, and of so many rows at most; between two it can be followed and stopped."""


_ALARMING = {"drift": "page_hinkley", "page_hinkley_threshold": 1e-3}
"""With these a few rows are enough for an alarm."""


@dataclass(frozen=True, kw_only=True)
class OnlineSGD(Method):
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
    window: Count = 1000
    """Rows in a window of the prequential curve."""

    needs: ClassVar = (Input, Label)
    gives: ClassVar = frozenset({"classify", "regress"})
    takes: ClassVar = frozenset({"embed"})
    single_pass: ClassVar = True
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

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        from manyways.methods.online._reader import Reader

        before = model if isinstance(model, StreamPredictor) else None
        positions, times = in_order(data, before)
        begun = begin(data, positions, model, standardise=self.standardise, detector=self.drift, seed=seed)
        labels = labels_of(data, positions, begun.target)
        reader = Reader(begun, data, positions, labels, self.settings(), self.multinomial)

        def learned(done: int, seconds: float) -> Learned:
            fitted = reader.model()
            if times is not None:
                name = data.roles["time"][0]
                fitted = replace(
                    fitted, time=name, last_time=times[done - 1].item(), dates=is_dates(data.columns[name])
                )
            used = np.zeros(len(data), bool)
            used[positions[:done]] = True
            facts = {"prequential": fitted.prequential} | (
                {} if self.drift == "none" else {"drifts": len(fitted.drifts)}
            )
            planned = run.planned or Planned(done, done)
            return Learned(fitted, used, (model,) if model else (), done, seconds, facts, planned)

        def snapshot(done: int, seconds: float) -> Model:
            return self.as_model(learned(done, seconds), data, budget, seed)

        return learned(*self._read(reader, budget, run, self.identity(data, model, budget, seed), snapshot))

    def _read(
        self, reader: "Reader", budget: Budget, run: Run, identity: str, snapshot: Callable[[int, float], Model]
    ) -> tuple[int, float]:
        """Read until the stream or the budget ends; gives rows and seconds. Goes on from the checkpoint of the run."""
        planned = Budget(run.planned.last, "examples") if run.planned else budget
        rows, done, seconds = self._allowed(planned, reader), 0, 0.0
        saved = read_checkpoint(run.folder, identity) if run.folder else None
        if saved:
            head = StreamHead(**saved.facts["head"])
            head.load_state_dict(saved.under("head"))
            reader.restore(head)
            done, seconds = saved.facts["rows"], saved.facts["seconds"]

        def tell(kind: Any, values: dict[str, float] | None = None, model: Callable[[], Model] | None = None) -> None:
            run.tell(Event(kind, run.stage, done, rows, seconds, values or {}, model))

        tell("resume" if saved else "start")
        offered = {round(rows * (at + 1) / run.evaluations) for at in range(run.evaluations)}
        last_saved = time.monotonic()
        for stop in _stops(rows, reader.width, offered):
            if stop <= done:
                continue
            began = time.perf_counter()
            reader.read(done, stop)
            done, seconds = stop, seconds + time.perf_counter() - began
            tell("step", {f"prequential_{name}": score for name, score in reader.scores().items()})
            if done in offered:
                tell("evaluate", model=partial(snapshot, done, seconds))
            if run.folder and time.monotonic() - last_saved >= run.checkpoint_seconds:
                head = reader.head()
                tensors = {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
                facts = {"identity": identity, "head": head.config, "rows": done, "seconds": seconds}
                write_checkpoint(run.folder, Checkpoint(tensors, facts))
                tell("checkpoint")
                last_saved = time.monotonic()
            if planned.unit == "seconds" and seconds >= planned.amount:
                break
        tell("stop" if done < rows else "end")
        return done, seconds

    def lacks(self, data: Data, model: Model | None = None) -> str | None:
        going_on = isinstance(model, StreamPredictor)
        if reason := lacking(self.needs, data) if going_on else super().lacks(data, model):
            return reason
        texts = [column.name for column in data.inputs if column.kind == "text"]
        if texts and model is None:
            return (
                f"the text {texts[0]!r} has no numbers before all rows have been looked at, and a stream is read once. "
                f"Leave the column out, or begin with a model that embeds text: simclr >> {self}."
            )
        if find_spec("numba") is None:
            return "it is compiled by numba, which is not installed. Type: pip install 'manyways[online]'."
        return None

    def default_budget(self, data: Data) -> Budget:
        """All rows, each once."""
        return Budget(max(1, len(data.training)), "examples")

    @classmethod
    def suggestions(cls, data: Data | None = None) -> tuple[str, ...]:
        """Two entries where rows have a time: without and with a look-out for drift."""
        if data is None or not data.has("time"):
            return ()
        return cls.method_name(), f"{cls.method_name()}(drift='adwin')"

    def as_model(self, learned: Learned, data: Data, budget: Budget, seed: int) -> Model:
        """As of any method; what goes on by the same method is the same stage, however often the stream was cut."""
        model = super().as_model(learned, data, budget, seed)
        before = learned.parents[0] if learned.parents else None
        if isinstance(before, StreamPredictor) and before.lineage.method == self.to_json():
            return replace(model, lineage=_joined(before.lineage, model.lineage))
        return model

    def _allowed(self, budget: Budget, reader: "Reader") -> int:
        """The number of rows of the stream that `budget` allows, at least one; for seconds the clock decides."""
        there = len(reader.positions)
        if budget.unit == "seconds":
            return there
        each = reader.operations if budget.unit == "flops" else 1
        return min(there, max(1, int(budget.amount / each)))

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


def _stops(rows: int, width: int, offered: set[int]) -> list[int]:
    """The places at which a stream of `rows` is cut into pieces; what is learned does not depend on them."""
    piece = max(1, min(rows // PIECES, PIECE, CHUNK_BYTES // (4 * max(1, width))))
    return sorted({*range(piece, rows, piece), *(stop for stop in offered if stop > 0), rows})


def _joined(before: Lineage, after: Lineage) -> Lineage:
    """One stage for two pieces of one stream."""
    return replace(
        after,
        fingerprint=hashlib.blake2b((before.fingerprint + after.fingerprint).encode(), digest_size=16).hexdigest(),
        rows=np.concatenate([before.rows, after.rows]),
        parents=before.parents,
        steps=before.steps + after.steps,
        seconds=before.seconds + after.seconds,
    )
