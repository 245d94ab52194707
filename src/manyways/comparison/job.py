"""A job: one method, one seed, one number of labels; and what came of it."""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from manyways.checked_json import DAMAGED, Described, described
from manyways.comparison.conclusion import START
from manyways.comparison.contributions import write_contributions
from manyways.comparison.exhibits import Exhibit
from manyways.comparison.follower import LEAST_SECONDS, Follower
from manyways.comparison.start import saved_model
from manyways.comparison.tasks import task_of
from manyways.data.data import Data
from manyways.data.given import Draw
from manyways.data.splitting import OWN, Split
from manyways.errors import DataError, DataWarning, ManywaysError, ModelError, NeedsError, ParameterError
from manyways.methods.expressions import parse_method
from manyways.methods.method import Method
from manyways.metrics import metric_of
from manyways.models.lineage import Lineage
from manyways.models.model import Model
from manyways.models.saving import fingerprint, save_model
from manyways.permissions import private_folder, tighten
from manyways.training.budget import Budget
from manyways.training.run import Run

CURVE_POINTS = 8
POINT = ("step", "seconds", "score")


@dataclass(frozen=True)
class Job:
    """One training of a comparison. `labels` None shows all labels that the data shows.

    `fields` is the method's `fields_of`: its text need not say all of it. `start` is the folder of the model to start
    from, and `start_key` tells it from others. `split` says which of the rows are tested on,
    and `draw` how labels are drawn.
    """

    method: str
    labels: int | None
    seed: int
    budget: str
    metric: str
    keep_model: bool = False
    fields: str = ""
    start: str | None = None
    start_key: str = ""
    split: Split = OWN
    draw: Draw = "random"

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "Job":
        """The job that `asdict` turned into JSON values."""
        return Job(**{**saved, "split": Split(**saved["split"])})

    @property
    def key(self) -> str:
        """A hash of all that decides the result."""
        facts = {name: value for name, value in asdict(self).items() if name not in ("keep_model", "start")}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def fields_of(method: Method) -> str:
    """A hash of a method's name and all its fields, and of the weights in the folders of checkpoints that they name."""
    facts = [method.to_json(), *(weights for place in method.checkpoint_folders() if (weights := fingerprint(place)))]
    return hashlib.sha256(json.dumps(facts if len(facts) > 1 else facts[0]).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job: a score, or the reason why there is none.

    `contributions`: what each test row contributes to the score lies in the job's folder (`read_contributions`).
    `seconds` are those of the steps, where it took some, `fit_seconds` those of the whole fit without scores on test
    rows, `wall_seconds` those of the job. `slowdown` is how many times slower the machine was than a quiet one.
    """

    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    fit_seconds: float = 0.0
    slowdown: float = 1.0
    wall_seconds: float = 0.0
    steps: int = 0
    parameters: int = 0
    peak_memory_mb: float | None = None
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    exhibits: tuple[Exhibit, ...] = ()
    error: str | None = None
    caution: str = ""
    training_rows: int = 0
    test_rows: int = 0
    contributions: bool = False


def _first_labels(learner: Method, data: Data, job: Job) -> int:
    """The number of the job's labels that a method starts with; it asks for the others itself."""
    labels = job.labels or 0
    asks = learner.asks(labels)
    first, classes = max(1, labels - asks), len(data.classes) if data.classification else 1
    if job.draw == "stratified" and asks and first < classes <= labels:
        enough = next(more for more in count(labels) if more - learner.asks(more) >= classes)
        fewer = f", or let it ask for fewer: questions={labels - classes}" if labels > classes else ""
        raise NeedsError(
            f"{learner} asks for {asks} of the {labels} labels, and the {first} it starts with cannot cover {classes} "
            f"classes. Show {enough} labels{fewer}."
        )
    return first


def _check_labels(learner: Method, model: Model, allowed: int, start: Model | None) -> None:
    """Raise DataError where any stage of `model` was shown other labels than the `allowed` ones.

    What the start was shown, before the comparison, does not count.
    """
    seen = len(model.lineage.all_labels(start.lineage if start else None))
    if seen > allowed:
        raise DataError(
            f"{learner} was shown {seen:,} true labels, and {allowed:,} are allowed, so its score cannot be compared. "
            "A method reveals labels of the data it is given, or of those made of them, by data.reveal alone."
        )


def run_job(
    job: Job, data: Data, folder: Path, report: Callable[[float], None], method: Method | None = None
) -> Outcome:
    """Carry out `job` on `data`, which is not split yet; `report` hears of progress in [0, 1].

    Does not raise for what the method does wrong.

    Checkpoints lie in `folder`/run, so that a job that was killed goes on; the model is kept in `folder`/model.
    """
    began = time.monotonic()
    private_folder(folder)
    reset_peak_memory()
    try:
        data = job.split.of(data)
        start = saved_model(job.start) if job.start else None
        if job.method == START and start is not None:
            return _untrained(job, start, data, folder)
        learner = method or _from_text(job)
        task = task_of(data, job.metric)
        visible = task.visible(data)
        if job.labels is not None:
            first = _first_labels(learner, data, job)
            visible = data.with_labels(first, job.seed, draw=job.draw, allowance=job.labels - first)
        follower = Follower(task, data, job.metric, folder / "run" / "notes.json", report)
        run = Run(folder / "run", (follower,), checkpoint_seconds=10, evaluations=CURVE_POINTS)
        fitting, worked = time.monotonic(), time.process_time()
        model = learner.fit(visible, start, budget=job.budget, seed=job.seed, run=run)
        wall, worked = time.monotonic() - fitting, time.process_time() - worked
        took = max(wall - follower.seconds, model.lineage.seconds)
        slowdown = follower.slowdown(model, Budget.of(job.budget))
        if wall >= LEAST_SECONDS and model.lineage.machine["device"] == "cpu":
            # One that works for others all the time did so when steps were timed, too.
            slowdown = max(slowdown, wall / max(worked, 1e-9))
        if job.labels is not None:
            _check_labels(learner, model, job.labels, start)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", DataWarning)
            metrics, contributions = _scored(model, data, job.metric, follower.finish(model), folder)
        stages = model.lineage.stages_since(start.lineage if start else None)
        exhibits: tuple[Exhibit, ...] = ()
        if job.keep_model:
            tighten(save_model(model, folder / "model"))
            exhibits = (*follower.exhibits(), *task.exhibits(model, data.test))
    except ManywaysError as error:
        return Outcome(error=str(error), wall_seconds=time.monotonic() - began)
    except Exception as error:  # a method that fails is a row that says why; it never takes the others down
        reason = f"{type(error).__name__}: {error}"
        return Outcome(error=f"{reason} (a fault in the method or in Manyways)", wall_seconds=time.monotonic() - began)
    return Outcome(
        score=metrics[job.metric],
        metrics={**metrics, **_pretext_scores(stages)},
        seconds=model.lineage.seconds or took,
        fit_seconds=took,
        slowdown=slowdown,
        wall_seconds=time.monotonic() - began,
        steps=model.lineage.steps,
        training_rows=len(data.training),
        test_rows=len(data.test),
        contributions=contributions,
        parameters=model.parameters,
        peak_memory_mb=peak_memory_mb(),
        curve=follower.curve,
        exhibits=exhibits,
        caution=" ".join(dict.fromkeys([*_cautions(stages), *(str(each.message) for each in warned)])),
    )


def _cautions(stages: Sequence[Lineage]) -> list[str]:
    """The cautions that stages state of what they learned, the first first."""
    return [str(caution) for stage in reversed(stages) if (caution := stage.facts.get("caution"))]


def _pretext_scores(stages: Sequence[Lineage]) -> dict[str, float]:
    """The scores of the pretext tasks of stages, by names such as "pretext_accuracy of simclr"."""
    scores: dict[str, float] = {}
    for stage in stages:
        for name, score in stage.facts.get("pretext", {}).items():
            scores[metric_of(f"pretext_{name}", str(stage.method.get("name")))] = float(score)
    return scores


def _scored(
    model: Model, data: Data, metric: str, noted: dict[str, float], folder: Path
) -> tuple[dict[str, float], bool]:
    """All scores of `model`, with those `noted` on the way; and True if contributions to `metric` lie in `folder`.

    Raises ModelError where the metric is not among the scores.
    """
    evaluation = task_of(data, metric).evaluate(model, data, metric)
    scores = {**evaluation.scores, **noted}
    if metric not in scores:
        given = ", ".join(scores) or "nothing"
        raise ModelError(f"The model gives {', '.join(sorted(model.gives))} and is scored by {given}, not by {metric}.")
    if evaluation.rows is None or np.isinf(evaluation.rows).any() or np.isnan(evaluation.rows).all():
        return scores, False
    write_contributions(evaluation.rows, folder)
    return scores, True


def _untrained(job: Job, start: Model, data: Data, folder: Path) -> Outcome:
    """The score of the start as it is."""
    metrics, contributions = _scored(start, data, job.metric, {}, folder)
    return Outcome(
        score=metrics[job.metric],
        metrics=metrics,
        training_rows=len(data.training),
        test_rows=len(data.test),
        contributions=contributions,
        parameters=start.parameters,
    )


def _from_text(job: Job) -> Method:
    refusal = (
        f"{job.method} cannot be made again from its text by another process, as a function among its fields or the "
        "shares of a chain are not in it. Compare in this process: workers=0."
    )
    try:
        method = parse_method(job.method)
    except ParameterError as error:
        raise ParameterError(refusal) from error
    if job.fields and fields_of(method) != job.fields:
        raise ParameterError(refusal)
    return method


def reset_peak_memory() -> None:
    """Begin to measure the peak anew, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_memory_mb() -> float | None:
    """The most memory this process held since `reset_peak_memory` (Linux) or since it began, in MB (10⁶ bytes)."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """`outcome` as plain JSON values."""
    exhibits = [each.to_json() for each in outcome.exhibits]
    plain = {"curve": [list(point) for point in outcome.curve], "exhibits": exhibits}
    return {**asdict(replace(outcome, exhibits=())), **plain}


def outcome_from_json(saved: Mapping[str, Any], where: str = "the outcome") -> Outcome:
    """The outcome that `outcome_to_json` wrote. Raises DataError, naming `where` it is, for anything else."""
    outcome = described(saved, where, DataError)
    metrics, curve = outcome.object("metrics"), []
    for place, point in enumerate(outcome.all("curve", list)):
        named = dict(zip(POINT, point, strict=False))
        if len(point) != len(POINT):
            raise DataError(f"point {place} of `curve` of {where} must hold a step, seconds and a score; {DAMAGED}.")
        one = Described(named, f"point {place} of `curve` of {where}", DataError)
        curve.append((one.get("step", int), one.get("seconds", float), one.get("score", float)))
    return Outcome(
        score=outcome.get("score", float, None),
        metrics={name: metrics.get(name, float) for name in metrics.members},
        seconds=outcome.get("seconds", float),
        fit_seconds=outcome.get("fit_seconds", float, 0.0),
        slowdown=outcome.get("slowdown", float, 1.0),
        wall_seconds=outcome.get("wall_seconds", float),
        steps=outcome.get("steps", int),
        training_rows=outcome.get("training_rows", int),
        test_rows=outcome.get("test_rows", int),
        contributions=outcome.get("contributions", bool),
        parameters=outcome.get("parameters", int),
        peak_memory_mb=outcome.get("peak_memory_mb", float, None),
        curve=curve,
        exhibits=tuple(Exhibit.from_json(each.members, each.where) for each in outcome.objects("exhibits")),
        error=outcome.get("error", str, None),
        caution=outcome.get("caution", str),
    )
