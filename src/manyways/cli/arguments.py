"""Options of the commands as dataclasses, and how they are read from the command line."""

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import arg
from tyro.constructors import PrimitiveConstructorSpec

from manyways.errors import ParameterError, did_you_mean

if TYPE_CHECKING:
    from manyways.data.data import Data

T = TypeVar("T")


def one(read: Callable[[str], Any], what: str, metavar: str) -> PrimitiveConstructorSpec[Any]:
    """One word that `read` takes; where it raises ValueError, the message says that it must be `what`."""

    def take(words: list[str]) -> Any:
        try:
            return read(words[0])
        except ValueError:
            raise ValueError(f"it must be {what}; got {words[0]!r}.") from None

    return PrimitiveConstructorSpec(1, metavar, take, lambda value: True, lambda value: [str(value)])


def truth(word: str) -> bool:
    """True for yes and true, False for no and false. Raises ValueError for other words."""
    known = {"yes": True, "true": True, "no": False, "false": False}
    if word.lower() not in known:
        raise ValueError(word)
    return known[word.lower()]


UNSAID = arg(help_behavior_hint="")
"""The default is told by the help text, or there is none to tell."""

Source = Annotated[str, tyro.conf.Positional, arg(metavar="DATA")]
Columns = Annotated[tuple[str, ...], arg(metavar="COL …", help_behavior_hint="")]
Pairs = Annotated[tuple[str, ...], arg(metavar="KEY=VALUE …", help_behavior_hint="")]
Functions = Annotated[tuple[str, ...], arg(metavar="NAME=MODULE:FUNCTION …", help_behavior_hint="")]
Column = Annotated[str | None, one(str, "a name", "COL"), UNSAID]
OtherSource = Annotated[str | None, one(str, "a source", "DATA"), UNSAID]
File = Annotated[Path | None, one(Path, "a path", "FILE"), UNSAID]
Count = Annotated[int | None, one(int, "a whole number", "N"), UNSAID]
Decimal = Annotated[str | None, one(str, ". or ,", "{.,,}"), UNSAID]


@dataclass(frozen=True)
class Reading:
    """Options of reading the data."""

    label: Column = None
    """Column to predict; by default the one called label. '' for none. Several: --role label=shape label=colour."""
    input: Columns = ()
    """Columns that a model sees; by default all without another role."""
    role: Pairs = ()
    """Roles of other columns: time=date prompt=question."""
    kinds: Pairs = ()
    """Kinds of columns that are taken for another: zip=category. number, category, text, image or audio."""
    part: Column = None
    """Column that says train, validation or test."""
    test: OtherSource = None
    """The test rows, where they lie elsewhere."""
    validation: OtherSource = None
    """The validation rows, where they lie elsewhere."""
    bad_rows: Literal["refuse", "skip", "fill", "keep"] = "refuse"
    """The treatment of rows that have NaN, empty text or a file that cannot be decoded; keep leaves missing numbers and
    categories to methods that learn from them, such as gradient-boosting."""
    image_size: Annotated[int | None, one(int, "a whole number of pixels", "PIXELS"), UNSAID] = None
    """Height and width of images; by default their median, at most 96."""
    image_white: Annotated[float | None, one(float, "a number", "WHITE"), UNSAID] = None
    """White in images of more than 8 bits; by default the largest number of the depth that they need."""
    sample_rate: Annotated[int | None, one(int, "a whole number of hertz", "HZ"), UNSAID] = None
    """Samples per second of sound; by default the most common rate, at most 16,000."""
    seconds: Annotated[float | None, one(float, "a number of seconds", "S"), UNSAID] = None
    """Length of sounds; by default the 95th percentile, at most 10."""
    label_pattern: Annotated[str | None, one(str, "a regular expression", "REGEX"), UNSAID] = None
    """Regular expression for file names, whose named groups become columns."""
    header: Annotated[bool | None, one(truth, "yes or no", "{yes,no}"), UNSAID] = None
    """A CSV or TSV file begins with the names of its columns: yes or no; by default its first row tells."""
    decimal: Decimal = None
    """The mark before the fraction of a number in a CSV or TSV file, . or , where the cells leave it open."""
    environment: Pairs = ()
    """Options of an environment: is_slippery=false map_name=8x8."""
    horizon: Count = None
    """Values ahead: forecast the next so many values of the label, a series in time. Needs --role time=COL; several
    series are several labels, or told apart by --role group=COL."""
    history: Count = None
    """Values before, from which a forecast is made; by default two seasons or four horizons, what is more."""
    season: Count = None
    """Steps of the season; by default 24 of hours, 7 of days, 52 of weeks, 12 of months."""
    clients: Count = None
    """Simulate so many clients: each class is dealt to them in unequal shares, drawn from a Dirichlet distribution."""
    clients_alpha: Annotated[float, one(float, "a number", "ALPHA")] = 0.5
    """Likeness of simulated clients: near 0 each holds one class or two, above 100 all hold the same."""
    tasks: Count = None
    """Divide the classes into so many tasks, which are learned one after the other (ewc, replay)."""
    target_domain: Annotated[str | None, one(str, "a domain", "NAME"), UNSAID] = None
    """Learn for this domain of --role domain=COL without its labels, and test on half of its rows (dann, coral)."""

    def options(self) -> dict[str, Any]:
        """The keyword arguments of `manyways.read`."""
        from manyways.data.options import OPTIONS

        roles: dict[str, tuple[str, ...]] = {}
        for role, column in pairs("--role", self.role, "ROLE=COL, such as time=date"):
            roles[role] = (*roles.get(role, ()), column)
        given: dict[str, Any] = {
            "label": () if self.label == "" else self.label,
            "input": self.input or None,
            "kinds": dict(pairs("--kinds", self.kinds, "COL=KIND, such as zip=category")),
        }
        given |= {name: getattr(self, name) for name in OPTIONS if name not in given}
        if both := [role for role in roles if given.get(role) is not None]:
            raise ParameterError(f"The role {both[0]} is given by --role and by --{both[0]}; give it once.")
        options = pairs("--environment", self.environment, "NAME=VALUE, such as is_slippery=false")
        given["environment"] = {name: constant(value) for name, value in options} or None
        return {**given, **roles}

    def read(self, source: str, *, quiet: bool = False) -> "Data":
        """The data in `source`; what was left out of it, and how it was understood, is said on stderr unless `quiet`.

        Raises DataError and ParameterError as `manyways.read` and `with_clients` do.
        """
        from manyways.cli.output import say_notes
        from manyways.data.read import read

        at_least("--tasks", self.tasks, 1)
        data = read(source, **self.options())
        if not quiet:
            say_notes(data)
        if self.tasks is not None:
            data = data.with_tasks(self.tasks)
        if self.target_domain is not None:
            data = data.with_target_domain(self.target_domain)
        return data if self.clients is None else data.with_clients(self.clients, self.clients_alpha)


def parse(kind: type[T], command: str, arguments: Sequence[str]) -> T:
    """The options of `command` from `arguments`. Raises ParameterError for any it does not have."""
    options, unknown = parse_known(kind, command, arguments)
    if unknown:
        raise refusal(kind, command, unknown)
    return options


def parse_known(kind: type[T], command: str, arguments: Sequence[str]) -> tuple[T, list[str]]:
    """The options of `command` from `arguments`, and the arguments that are not its own.

    tyro itself prints help, and values that cannot be read, and then exits.
    """
    return tyro.cli(kind, prog=f"manyways {command}", args=arguments, return_unknown_args=True)


def refusal(kind: type, command: str, unknown: Sequence[str]) -> ParameterError:
    """The error for arguments that `command` does not have."""
    first = unknown[0]
    flag = first.split("=")[0]
    if not flag.startswith("-"):
        return ParameterError(
            f"`manyways {command}` has no place for {first!r}; quote names with spaces, and put values right "
            f"after their option. `manyways {command} --help` shows how."
        )
    # Dashes are alike in all flags, and would make strangers look alike.
    hint = did_you_mean(flag.lstrip("-"), [each.lstrip("-") for each in flags(kind)])
    hint = hint.replace("Did you mean '", "Did you mean '--") or f" `manyways {command} --help` lists them."
    return ParameterError(f"`manyways {command}` has no option {flag}.{hint}")


def flags(kind: type) -> list[str]:
    """All flags of the options `kind`."""
    names: list[str] = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if isinstance(inner, type) and is_dataclass(inner):
            names += flags(inner)
        elif tyro.conf.Positional not in getattr(hint, "__metadata__", ()):
            flag = name.replace("_", "-")
            names += [f"--{flag}", f"--no-{flag}"] if inner is bool else [f"--{flag}"]
    return names


def pairs(flag: str, given: Sequence[str], form: str) -> list[tuple[str, str]]:
    """`("a=b", …)` as pairs. Raises ParameterError where one has no `=`."""
    parsed = []
    for text in given:
        key, equals, value = text.rpartition("=") if flag == "--kinds" else text.partition("=")
        if not (key and equals and value):
            raise ParameterError(f"{flag} must be {form}; got {text!r}.")
        parsed.append((key, value))
    return parsed


def functions_of(given: Sequence[str]) -> dict[str, Callable[..., Any]]:
    """The functions in `("name=module:function", …)` by these names; modules in the current folder are found, too.

    Raises ParameterError for what cannot be imported, or is no function.
    """
    from manyways.typed import function_typed

    functions: dict[str, Callable[..., Any]] = {}
    for name, place in pairs("--function", given, "NAME=MODULE:FUNCTION, such as rewards.short=my_rewards:short"):
        functions[name] = function_typed(place, f"--function {name}")
        if not callable(functions[name]):
            raise ParameterError(f"--function {name} must be a function; {place} is {type(functions[name]).__name__}.")
    return functions


def constant(word: str) -> Any:
    """The value that `word` writes: true, a number, None, a list; any other word is itself."""
    try:
        return ast.literal_eval({"true": "True", "false": "False", "none": "None"}.get(word.lower(), word))
    except (ValueError, SyntaxError):
        return word


def at_least(flag: str, value: float | None, least: float) -> None:
    """Raise ParameterError where `value` is below `least`; None is fine."""
    if value is not None and not value >= least:
        raise ParameterError(f"{flag} must be at least {least}; got {value}.")


def check_budget(text: str | None) -> None:
    """Raise ParameterError where `text` is no budget; None is fine."""
    from manyways.training.budget import Budget

    if text is not None:
        Budget.of(text)


def check_method_names(text: str) -> None:
    """Raise ParameterError for a method in `text` that there is not, without loading any."""
    from manyways.methods.discovery import modules
    from manyways.registry import normal

    fields = 1
    while fields:
        text, fields = re.subn(r"\([^()]*\)", "", text)
    for name in filter(None, (part.strip() for part in re.split(r",|>>", text))):
        if normal(name) not in modules():
            known = [module.rpartition(".")[2].replace("_", "-") for module in modules().values()]
            hint = did_you_mean(name.lower().replace("_", "-"), known)
            raise ParameterError(f"There is no method {name!r}.{hint} `manyways methods` lists all.")
