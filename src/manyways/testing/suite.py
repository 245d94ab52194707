"""All promises, found in the files of this folder, and how a method is held to them."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from functools import cache
from unittest import SkipTest

from manyways.methods.method import Method
from manyways.testing.label_rows import LABEL_KINDS
from manyways.testing.rows import KINDS
from manyways.testing.trial import BrokenPromise, Trial

Promise = Callable[[Trial], None]
_ON_KINDS: set[Promise] = set()


@cache
def checks() -> tuple[Promise, ...]:
    """Every promise: the public functions of this folder's `promises_*.py`, in the order they are written."""
    package = importlib.import_module("manyways.testing")
    promises: list[Promise] = []
    for entry in pkgutil.iter_modules(package.__path__):
        if entry.name.startswith("promises_"):
            module = importlib.import_module(f"{package.__name__}.{entry.name}")
            promises += [
                member
                for name, member in vars(module).items()
                if inspect.isfunction(member) and member.__module__ == module.__name__ and not name.startswith("_")
            ]
    return tuple(promises)


def checks_for(method: type[Method] | Method) -> list[tuple[str, Callable[[], None]]]:
    """The name of every promise with a function that holds `method` to it.

    The functions share what they train, so they are cheapest run one after the other in one process. Each
    raises BrokenPromise, an AssertionError, or, where the promise does not apply, unittest's SkipTest with the reason.
    """
    trial = Trial(method)
    return [
        (f"{promise.__name__} on {kind}" if kind else promise.__name__, _bound(promise, trial, kind))
        for promise in checks()
        for kind in ((*KINDS, *LABEL_KINDS) if promise in _ON_KINDS else [""])
    ]


def check_method(method: type[Method] | Method) -> None:
    """Hold a method to every promise. Raises BrokenPromise that lists all that are broken, and how."""
    broken: list[str] = []
    for _, check in checks_for(method):
        try:
            check()
        except BrokenPromise as error:
            broken.append(str(error))
        except SkipTest:
            continue
    if broken:
        raise BrokenPromise("\n".join(broken))


def on_every_kind(promise: Promise) -> Promise:
    """Let `promise` be tried on rows of every kind."""
    _ON_KINDS.add(promise)
    return promise


def _bound(promise: Promise, trial: Trial, kind: str) -> Callable[[], None]:
    stated = (inspect.getdoc(promise) or promise.__name__).splitlines()[0]

    def check() -> None:
        try:
            promise(trial.on_kind(kind) if kind else trial)
        except SkipTest:
            raise
        except BrokenPromise as error:
            raise BrokenPromise(f"{trial.method}: {stated} ({promise.__name__}) But {error}") from error
        except Exception as error:
            how = f"{type(error).__name__} was raised: {error}"
            raise BrokenPromise(f"{trial.method}: {stated} ({promise.__name__}) But {how}") from error

    check.__name__ = promise.__name__
    return check
