"""StreamMethod: the base of methods that learn a stream row by row, and say how well they predicted each row before."""

import hashlib
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from manyways.data.data import Data
from manyways.data.parts import TRAINING
from manyways.data.storage import CHUNK_BYTES, RowNumbers
from manyways.data.times import is_dates
from manyways.methods.fields import Count
from manyways.methods.method import Learned, Method
from manyways.methods.needs import Input, Label, lacking
from manyways.methods.online._begin import Begun, Growth, begin, labels_of
from manyways.methods.online._inputs import Inputs
from manyways.methods.online._order import in_order
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.stream import StreamPredictor
from manyways.models.streams.head import StreamHead
from manyways.training.budget import Budget, Planned
from manyways.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from manyways.training.events import Event
from manyways.training.run import Run

if TYPE_CHECKING:
    from manyways.data.targets import Target
    from manyways.methods.online._reader import Reader

PIECES, PIECE = 20, 16_384
"""A stream is read in 20 pieces at least, and of so many rows at most; between two it can be followed and stopped."""


@dataclass(frozen=True, kw_only=True)
class StreamMethod(Method):
    """Learn a stream in one pass, each row after it was predicted.

    Rows come in the order of the role `time`, or of the table. `fit(more, model)` goes on with the next row, as if the
    stream had never been cut. Without a budget all rows are read; a step is a row. The model's `prequential` says how
    well rows were predicted before they were learned, `prequential_curve` the same by windows, `drifts` where the
    stream was found to change.

    A method says how a stream begins (`new_head`), how it goes on where classes or categories have come up
    (`grown_head`), and by what its rows are read (`reader`).
    """

    window: Count = 1000
    """Rows in a window of the prequential curve."""

    needs: ClassVar = (Input, Label)
    gives: ClassVar = frozenset({"classify", "regress"})
    takes: ClassVar = frozenset({"embed"})
    single_pass: ClassVar = True
    compiled: ClassVar[bool] = True
    """True if its rows are read by code that numba compiles."""

    @abstractmethod
    def new_head(self, inputs: Inputs, target: "Target", seed: int) -> StreamHead:
        """The head before the first row."""

    @abstractmethod
    def grown_head(self, before: StreamHead, growth: Growth) -> StreamHead:
        """A head that goes on from `before`, which is one that this method made."""

    @abstractmethod
    def reader(self, begun: Begun, data: Data, positions: RowNumbers, labels: NDArray[Any]) -> "Reader[Any]":
        """The reader of the rows of `data` at `positions`, in their order, and of their labels."""

    def learn(self, data: Data, model: Model | None, budget: Budget, seed: int, run: Run) -> Learned:
        before = model if isinstance(model, StreamPredictor) else None
        positions, times = in_order(data, before)
        begun = begin(data, positions, model, self, seed)
        reader = self.reader(begun, data, positions, labels_of(data, positions, begun.target))

        def learned(done: int, seconds: float) -> Learned:
            fitted = reader.model()
            if times is not None:
                name = data.roles["time"][0]
                fitted = replace(
                    fitted, time=name, last_time=times[done - 1].item(), dates=is_dates(data.columns[name])
                )
            used = np.zeros(len(data), bool)
            used[positions[:done]] = True
            facts = {"prequential": fitted.prequential, **fitted.head.facts}
            planned = run.planned or Planned(done, done)
            return Learned(fitted, used, (model,) if model else (), done, seconds, facts, planned)

        def snapshot(done: int, seconds: float) -> Model:
            return self.as_model(learned(done, seconds), data, budget, seed)

        return learned(*self._read(reader, budget, run, self.identity(data, model, budget, seed), snapshot))

    def _read(
        self, reader: "Reader[Any]", budget: Budget, run: Run, identity: str, snapshot: Callable[[int, float], Model]
    ) -> tuple[int, float]:
        """Read until the stream or the budget ends; gives rows and seconds. Goes on from the checkpoint of the run."""
        planned = Budget(run.planned.last, "examples") if run.planned else budget
        rows, done, seconds = self._allowed(planned, reader), 0, 0.0
        saved = read_checkpoint(run.folder, identity) if run.folder else None
        if saved:
            head = type(reader.begun.head)(**saved.facts["head"])
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
        if isinstance(model, StreamPredictor):
            if (other := model.head.method) != self.method_name():
                return (
                    f"the model is of a stream that {other} learns. Go on by {other}, or begin anew: without the model."
                )
            reason = lacking(self.needs, data) or self._unused(data)
        else:
            reason = super().lacks(data, model)
        if reason:
            return reason
        texts = [column.name for column in data.inputs if column.kind == "text"]
        if texts and model is None:
            return (
                f"the text {texts[0]!r} has no numbers before all rows have been looked at, and a stream is read once. "
                f"Leave the column out, or begin with a model that embeds text: simclr >> {self}."
            )
        if self.compiled and find_spec("numba") is None:
            return "it is compiled by numba, which is not installed. Type: pip install 'manyways[online]'."
        return None

    def default_budget(self, data: Data) -> Budget:
        """All rows, each once."""
        return Budget(max(1, int(np.count_nonzero(data.part[data.rows] == TRAINING))), "examples")

    @classmethod
    def suggestions(cls, data: Data | None = None) -> tuple[str, ...]:
        """The method itself where rows have a time."""
        if cls.suggests is not None:
            return cls.suggests
        return (cls.method_name(),) if data is not None and data.has("time") else ()

    def as_model(self, learned: Learned, data: Data, budget: Budget, seed: int) -> Model:
        """As of any method; what goes on by the same method is the same stage, however often the stream was cut."""
        model = super().as_model(learned, data, budget, seed)
        before = learned.parents[0] if learned.parents else None
        if isinstance(before, StreamPredictor) and before.lineage.method == self.to_json():
            return replace(model, lineage=_joined(before.lineage, model.lineage))
        return model

    def _allowed(self, budget: Budget, reader: "Reader[Any]") -> int:
        """The number of rows of the stream that `budget` allows, at least one; for seconds the clock decides."""
        there = len(reader.positions)
        if budget.unit == "seconds":
            return there
        each = reader.operations if budget.unit == "flops" else 1
        return min(there, max(1, int(budget.amount / each)))


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
