"""Manyways: every way a model can learn, behind one verb.

    import manyways as mw

    data = mw.read("digits").with_test(0.2).with_labels(40)
    model = (mw.SimCLR() >> mw.FixMatch()).fit(data, budget="20s")
    model.evaluate(data.test)

Importing this loads nothing heavy; torch comes with the first name that needs it.
"""

from typing import Any

from manyways.version import __version__ as __version__

_PLACES = {
    "AnswersAwaited": "errors",
    "Auditor": "lineage.audit.auditor",
    "Budget": "training.budget",
    "Chain": "methods.chain",
    "Curriculum": "training.samplers.curriculum",
    "Data": "data.data",
    "Method": "methods.method",
    "Model": "models.model",
    "QuestionFile": "data.questions",
    "Run": "training.run",
    "SelfPaced": "training.samplers.self_paced",
    "Stages": "training.samplers.stages",
    "Store": "lineage.store.store",
    "advise": "comparison.advise",
    "compare": "comparison.compare",
    "forget": "lineage.forgetting.request",
    "load": "models.saving:load_model",
    "merge_folders": "methods.merging.merge",
    "parse_method": "methods.expressions",
    "read": "data.read",
    "receipt_sources": "lineage.forgetting.verification",
    "verify": "lineage.forgetting.verification",
}
"""The module of each public name, and its name there if it is another; `tools/write_stub.py` writes their types."""


def __getattr__(name: str) -> Any:
    """The public name `name`, or the method of that name (`manyways.FixMatch`), imported now."""
    from importlib import import_module

    if name.startswith("_"):
        raise AttributeError(name)
    if name in _PLACES:
        module, _, attribute = _PLACES[name].partition(":")
        value = getattr(import_module(f"manyways.{module}"), attribute or name)
    else:
        from difflib import get_close_matches

        from manyways.methods.discovery import find_method, modules
        from manyways.registry import normal

        # Method classes are written in capitals; anything else asked for is a submodule or a mistake.
        if not name[0].isupper() or normal(name) not in modules():
            close = get_close_matches(normal(name), modules(), 1) if name[0].isupper() else []
            hint = f". Did you mean {find_method(close[0]).__name__!r}?" if close else ""
            raise AttributeError(f"manyways has no {name!r}{hint}")
        value = find_method(name)
        if value.__name__ != name:
            raise AttributeError(f"manyways has no {name!r}. Did you mean {value.__name__!r}?")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from manyways.methods.discovery import all_methods

    return sorted([*globals(), *_PLACES, *(method.__name__ for method in all_methods().values())])
