"""`manyways fit`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import arg

from manyways.cli import AWAITING, INTERRUPTED
from manyways.cli.arguments import (
    UNSAID,
    Count,
    Reading,
    at_least,
    check_budget,
    check_method_names,
    one,
    parse_known,
    refusal,
)
from manyways.cli.output import check_model_folder, console, say
from manyways.cli.wording import command_line
from manyways.errors import AnswersAwaited, DataError, NeedsError, ParameterError, StoreError

if TYPE_CHECKING:
    from manyways.data.data import Data
    from manyways.lineage.store.model_record import ModelRecord
    from manyways.lineage.store.store import Store
    from manyways.methods.method import Method
    from manyways.models.model import Model


LONGEST_PROMPT = 60
MOST_FACTS = 10
"""Of what a method states; longer lists, of rows or of clients, are in the lineage alone."""
NO_DATA = "-"
"""The word in the place of DATA where there is none."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Train a model by one method, or by a chain of them, and save it.

    `manyways fit fixmatch --help` shows the fields of that method as options, too. A run that was interrupted
    goes on when the same command is typed again; until it is done its checkpoints lie in OUT.run.
    """

    method: Annotated[str, tyro.conf.Positional, arg(metavar="METHOD")]
    """A method, which comes first: fixmatch, 'fixmatch(threshold=0.9)' or 'simclr >> fixmatch'."""
    data: Annotated[str, tyro.conf.Positional, arg(metavar="[DATA]", help_behavior_hint="")] = NO_DATA
    """Data to learn from; `manyways --help` lists what can be read. Methods that need none do without it, or with -."""
    out: Annotated[Path, arg(metavar="DIR")]
    """Folder to save the model in; a model that is there is replaced."""
    reading: tyro.conf.OmitArgPrefixes[Reading]
    labels: Count = None
    """Training labels that the method is shown, drawn by the seed; by default all there are."""
    draw: Literal["random", "stratified"] = "random"
    """The draw of these labels: random, as they come, or stratified, in proportion to the classes and one of each."""
    budget: Annotated[str | None, one(str, "a budget", "BUDGET"), UNSAID] = None
    """The budget of training: 20s, '2 minutes', '10000 examples' or '2 tflops'; by default '1000 steps'."""
    seed: Annotated[int, one(int, "a whole number", "N")] = 0
    """The same seed, data and budget in steps give the same weights."""
    test_share: Annotated[float, one(float, "a number", "SHARE")] = 0.0
    """Share of the rows to set aside and score on, where the data has no test rows of its own: of running text and of
    rows with a time the last, of the classes for methods that learn to tell new ones apart."""
    start: Annotated[Path | None, one(Path, "a folder", "MODEL"), UNSAID] = None
    """Folder of a model to start from: one that was saved here, or a language model of transformers or peft."""
    backbone: Annotated[str | None, one(str, "a folder or a name", "CHECKPOINT"), UNSAID] = None
    """Network of the method, or pretrained checkpoint that it starts from: a folder of transformers or
    sentence-transformers, or its name on the Hub (owner/name). Of a chain, that of its first method."""
    ask: Annotated[Path | None, one(Path, "a file", "FILE"), UNSAID] = None
    """Of active-learning: a file, .csv, .json or .jsonl, to which the questions are written. Type the labels into its
    column `answer`, blank where you are not sure, and the same command again; it ends with 3 while answers are
    awaited. It needs no label to begin with."""
    store: bool = True
    """Keep the model in the store with its lineage, so that rows can be found and forgotten again."""

    def check(self) -> None:
        """Raise ParameterError or ModelError for what is wrong before any data is read."""
        check_budget(self.budget)
        at_least("--labels", self.labels, 1)
        at_least("--seed", self.seed, 0)
        if not 0 <= self.test_share < 1:
            raise ParameterError(f"--test-share must be in [0, 1); got {self.test_share}.")
        check_model_folder(self.out)


def main(arguments: Sequence[str]) -> int:
    """Run `manyways fit`; the exit code is 130 after Ctrl-C."""
    words = list(arguments)
    if words and not words[0].startswith("-"):
        check_method_names(words[0])
    elif words and not {"-h", "--help"} & set(words):
        raise ParameterError(
            f"METHOD must come first, before {words[0]}: {command_line('fit', 'METHOD', 'DATA')} --out DIR."
        )
    options, fields = _parse(words)
    options.check()
    from manyways.methods.expressions import make_method, parse_method

    method = make_method(options.method, fields) if fields else parse_method(options.method)
    if options.backbone is not None:
        method = _with_backbone(method, options.backbone)
    if options.ask is not None:
        method = asking(method, options.ask)
    return _fit(options, method)


def _with_backbone(method: "Method", backbone: str) -> "Method":
    begun = method.with_backbone(backbone)
    if begun == method:
        raise ParameterError(
            f"{method} has no backbone, or one that is set already, so --backbone {backbone} would change nothing. "
            "Leave it out."
        )
    return begun


def asking(method: "Method", path: Path) -> "Method":
    """`method` whose questions, and those of the methods in its fields, are written to the file `path`."""
    from manyways.data.questions import QuestionFile
    from manyways.methods.method import Method
    from manyways.methods.written import as_tuple

    changed: dict[str, Any] = {}
    for spec in fields(method):
        value = getattr(method, spec.name)
        if spec.name == "oracle":
            changed[spec.name] = QuestionFile(path)
        elif any(isinstance(each, Method) and _asks(each) for each in as_tuple(value)):
            inner = tuple(asking(each, path) if _asks(each) else each for each in as_tuple(value))
            changed[spec.name] = inner if isinstance(value, tuple) else inner[0]
    if not changed:
        raise ParameterError(
            f"{method} asks no questions, so --ask {path} would write none. Leave it out, or put the method within one "
            f"that does: 'active-learning(base={method})'."
        )
    return replace(method, **changed)


def _asks(method: "Method") -> bool:
    from manyways.methods.method import Method
    from manyways.methods.written import as_tuple

    values = [(spec.name, getattr(method, spec.name)) for spec in fields(method)]
    return any(
        name == "oracle" or any(isinstance(each, Method) and _asks(each) for each in as_tuple(value))
        for name, value in values
    )


def _parse(words: list[str]) -> tuple[Fit, dict[str, Any]]:
    """The options, and those fields of the method that are given.

    A method is loaded only where something is left that can be one of its fields, so that most mistakes are
    answered before torch is imported.
    """
    name = words[0] if words else ""
    single = name.replace("-", "").replace("_", "").isalnum() and not name.startswith("-")
    if not (single and {"-h", "--help"} & set(words)):
        options, unknown = parse_known(Fit, "fit", words)
        if not unknown:
            return options, {}
        if not single:
            hint = " Fields of a chain stand in it: 'simclr >> fixmatch(threshold=0.9)'."
            raise ParameterError(f"{refusal(Fit, 'fit', unknown)}{hint if unknown[0].startswith('-') else ''}")
    from manyways.cli.method_fields import given_fields, options_class
    from manyways.methods.discovery import find_method

    kind = find_method(name)
    fields = options_class(kind, taken=own_names())
    group = kind.method_name().replace("-", "_")
    with_fields: type[Fit] = make_dataclass(
        "FitWithFields",
        [(group, tyro.conf.OmitArgPrefixes[fields], field(default_factory=fields))],  # type: ignore[misc,valid-type]
        bases=(Fit,),
        frozen=True,
        namespace={"__doc__": Fit.__doc__},
    )
    options, unknown = parse_known(with_fields, f"fit {name}", words)
    if unknown:
        raise refusal(with_fields, f"fit {name}", unknown)
    return options, given_fields(kind, getattr(options, group))


def own_names() -> set[str]:
    """The names of `fit`'s own options: a method's field of such a name is written in an expression."""
    return set(Fit.__dataclass_fields__) | set(Reading.__dataclass_fields__)


def _fit(options: Fit, method: "Method") -> int:
    from manyways.cli.run_folder import RunFolder
    from manyways.data.targets import check_labels, predictions
    from manyways.lineage.store.store import Store
    from manyways.models.saving import load_model
    from manyways.training.budget import Budget
    from manyways.training.progress import ProgressBar
    from manyways.training.run import Run

    start = load_model(options.start) if options.start else None
    data = prepared(options, method)
    try:
        method.check(data, start)
    except NeedsError as error:
        more = " Or start from a saved model: --start MODEL." if method.needs_start() and not start else ""
        raise NeedsError(f"{error}{more}") from error
    if len(data.test) and data.training.labelled.any() and gives(method) & (predictions() | {"labels"}):
        check_labels(data)
    budget = Budget.of(options.budget) if options.budget else method.default_budget(data)
    folder = RunFolder.beside(options.out, method.identity(data, start, budget, options.seed))
    began = time.monotonic()
    store = Store() if options.store else None
    with folder:
        try:
            with ProgressBar() as bar:
                run = Run(folder=folder.path, listeners=[bar, folder], checkpoint_seconds=10, store=store)
                model = method.fit(data, start, budget=budget, seed=options.seed, run=run)
        except KeyboardInterrupt:
            say(f"\ninterrupted: {folder.kept()}")
            return INTERRUPTED
        except AnswersAwaited as awaited:
            folder.keep()
            say(str(awaited))
            return AWAITING
        except StoreError as error:
            if error.model is not None:  # what was learned is not lost because it cannot be kept twice
                error.model.save(options.out)
                folder.done()
                raise StoreError(f"{error} The model itself is saved: {options.out}.") from error
            raise
        scores = scores_of(model, data)
        model.save(options.out)
        folder.done()
    kept = noted(store, model, scores, options.out) if store else None
    _print_result(options, data, model, scores, time.monotonic() - began, kept)
    return 0


def noted(store: "Store", model: "Model", scores: dict[str, float], out: Path) -> "ModelRecord":
    """The store's record of a model, once its scores and the folder it was saved to are noted."""
    record = store.find(model)
    store.note(record.id, metrics=scores, copy=out)
    return record


def prepared(options: Fit, method: "Method") -> "Data":
    """The data with the test part and the labels that were asked for, or nothing for a method that needs none."""
    from manyways.methods.starts import set_aside

    if options.data == NO_DATA:
        return _nothing(options, method)
    data = options.reading.read(options.data) if options.ask is None else _to_be_labelled(options)
    if options.test_share and not len(data.test):
        data = set_aside(method, data, options.test_share)
    return data if options.labels is None else data.with_labels(options.labels, options.seed, draw=options.draw)


def _to_be_labelled(options: Fit) -> "Data":
    """The data; where they have no column of the name that is given for the label, an empty one is added."""
    from manyways.data.questions import with_empty_label

    name = options.reading.label
    try:
        data = options.reading.read(options.data)
    except DataError:
        if not name:
            raise
        data = replace(options.reading, label="").read(options.data)
        if name in data.columns:
            raise
        return with_empty_label(data, name)
    return (
        data
        if data.has("label") or any(stated.startswith("label=") for stated in options.reading.role)
        else (with_empty_label(data, name or "label"))
    )


def _nothing(options: Fit, method: "Method") -> "Data":
    from manyways.data.data import Data
    from manyways.methods.starts import needs_data

    if needs_data(method):
        line = command_line("fit", str(method), "DATA", "--out", str(options.out))
        raise NeedsError(f"{method} learns from data, and none is given. Name it after the method: {line}.")
    if options.labels is not None or options.test_share or options.reading != Reading():
        raise ParameterError("No data is given, so there is nothing to read or to set aside. Name DATA after METHOD.")
    return Data.nothing()


def gives(method: "Method") -> frozenset[str]:
    """Abilities of the model of `method`: those of a chain's last stage."""
    from manyways.methods.chain import Chain

    return gives(method.stages[-1]) if isinstance(method, Chain) else method.gives


def _print_result(
    options: Fit, data: "Data", model: "Model", scores: dict[str, float], seconds: float, kept: "ModelRecord | None"
) -> None:
    from manyways.data.phrases import count_of
    from manyways.models.policy import EPISODES
    from manyways.training.progress import duration

    training, lineage = data.training, model.lineage
    given = int(training.labelled.sum()) if data.has("label") else 0
    asked = sum(lineage.facts.get("asked", ()))
    labels = (
        f", {given:,} labels" + (f" and {count_of(asked, 'question')}" if asked else "") if data.has("label") else ""
    )
    steps = f", {lineage.steps:,} steps" if lineage.steps else ""
    rows = f"{len(training):,} training rows{labels}" if lineage.data == data.name and len(data) else lineage.data
    lines = [
        ("method", lineage.title),
        ("learned from", rows),
        ("took", f"{duration(seconds)}{steps}"),
    ]
    if scores:
        rows_scored = int(data.test.known.sum()) if model.predicts else len(data.test)
        what = f"{EPISODES} episodes" if data.environment else f"{rows_scored:,} rows"
        as_text = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in scores.items())
        lines.append(("test", f"{as_text} ({what})"))
    lines += [(name.replace("_", " "), fact) for name, fact in stated(lineage.facts).items()]
    lines += [
        (f"  {stage.method.get('name')}", fact)
        for parent in lineage.parents
        for stage in parent.stages()[::-1]
        if stage.data == lineage.data and (fact := stated(stage.facts).get("pretext"))
    ]
    lines.append(("model", f"{options.out} ({model.parameters:,} numbers; gives {', '.join(sorted(model.gives))})"))
    if kept is not None:
        lines.append(("lineage", f"kept in the store as {kept.short}"))
    out = console()
    for what, text in lines:
        out.print(f"{what:<13}{text}", soft_wrap=True)
    out.print(f"\nType next:\n  {next_command(options, data, model)}", soft_wrap=True)


def stated(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts that a method states of its model, in words: rounds, privacy, a prequential score. Lists are left out."""

    def short(value: Any) -> bool:
        return not isinstance(value, dict | list | tuple)

    def as_text(value: Any) -> str:
        return f"{value:.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)

    written = {}
    for name, fact in facts.items():
        if short(fact):
            written[name] = as_text(fact)
        elif isinstance(fact, dict) and len(fact) <= MOST_FACTS and all(map(short, fact.values())):
            written[name] = ", ".join(f"{part.replace('_', ' ')} {as_text(value)}" for part, value in fact.items())
    return written


def scores_of(model: "Model", data: "Data") -> dict[str, float]:
    """All scores of `model` on the test rows of `data`, or in its environment; none where it cannot be scored."""
    if data.environment is not None:
        return model.evaluate(data)
    test = data.test
    if not len(test) or model.metric_on(test) is None:
        return {}
    if model.predicts and not (test.has("label") and test.known.any()):
        return {}
    return model.evaluate(test)


def next_command(options: Fit, data: "Data", model: "Model") -> str:
    """The command to use the model that was made, by what it can do."""
    from manyways.models.abilities import Saved, next_words

    source = options.data if len(data) or data.environment else "DATA"
    own = ("--environment", *options.reading.environment) if options.reading.environment else ()
    saved = Saved(model, str(options.out), source, data, beginning(data), own)
    words = next_words(saved) or ("fit", "fine-tune", source, "--start", saved.folder, "--out", f"{saved.folder}-tuned")
    return command_line(*words)


def beginning(data: "Data") -> str:
    """Something to begin with: the first prompt of `data`, or the first words of its text."""
    for role in ("prompt", "text"):
        if data.has(role) and len(data):
            words = " ".join(str(data.take(data.roles[role][0])[0]).split())
            return words if role == "prompt" and len(words) <= LONGEST_PROMPT else " ".join(words.split()[:3])
    return "…"
