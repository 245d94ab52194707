"""A receipt as one HTML file that opens offline."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from manyways.lineage.forgetting.receipt_search import receipt_rows_text
from manyways.lineage.store.family_svg import family_svg
from manyways.lineage.store.family_tree import Member, stage_summary
from manyways.whole import write_whole


def write_report(receipt: Mapping[str, Any], path: str | Path) -> Path:
    """Write `receipt` to `path` as one HTML file without any outside resource, whole or not at all."""
    return write_whole(path, render_report(receipt))


def render_report(receipt: Mapping[str, Any]) -> str:
    """The text of the HTML file that `write_report` writes."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = files("manyways.lineage.forgetting").joinpath("receipt_report.html.jinja").read_text(encoding="utf-8")
    environment.globals["share"] = lambda said: f"{said['value']:.3f} ({said['low']:.3f} to {said['high']:.3f})"
    roots = families(receipt)
    picture = Markup(family_svg(roots)) if roots else ""
    return environment.from_string(page).render(receipt=receipt, rows=receipt_rows_text(receipt), picture=picture)


def families(receipt: Mapping[str, Any]) -> list[Member]:
    """The models of a receipt that no other was made from, each with all that it was made from."""
    models = receipt["models"]
    sources = [source for model in models if model["after"] for source in model["made_from"].values()]
    used = {source["model"] for source in sources if "model" in source}
    return [_member(models, at, "") for at, model in enumerate(models) if at not in used and model["after"]]


def _member(models: list[Mapping[str, Any]], number: int, role: str) -> Member:
    model = models[number]
    behind = []
    for part, source in model["made_from"].items():
        name = part.partition(":")[2] or ("start" if part == "start" else "")
        if "model" in source:
            behind.append(_member(models, source["model"], name))
        else:
            behind.append(Member("left as it was", source["id"], name, ""))
    lineage = {**model["after"]["lineage"], "parents": []}
    return Member(model["title"], model["after"]["id"], role, stage_summary(lineage), tuple(behind))
