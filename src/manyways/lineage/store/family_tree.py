"""Families: what a model was made from, and what was made from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from manyways.lineage.store.model_record import SHORT, ModelRecord


@dataclass(frozen=True)
class Member:
    """One model in a family: in the store, with an `id`, or known from a lineage alone.

    Attributes:
        role: Its part in the one below: `start`, `1-simclr`, `field reward`; empty for the model itself.
        relatives: Those further on, in the same direction.
        repeated: True if its own relatives stand at an earlier place already.
    """

    title: str
    id: str | None
    role: str
    summary: str
    relatives: "tuple[Member, ...]" = field(default=(), repr=False)
    repeated: bool = False

    def everyone(self) -> "Iterator[Member]":
        """This member and all behind it."""
        yield self
        for each in self.relatives:
            yield from each.everyone()


def ancestors(record: ModelRecord, records: Mapping[str, ModelRecord], hashes: Mapping[str, Sequence[str]]) -> Member:
    """A model with all that it was made from.

    records: those of the store by id; hashes: of each model those of the stages of its lineage, in their order.
    """
    by_hash = {stages[0]: model for model, stages in hashes.items() if stages}
    seen: set[str] = set()

    def member(record: ModelRecord, role: str) -> Member:
        if record.id in seen:
            return Member(record.title, record.id, role, stage_summary(record.lineage), repeated=bool(record.parents))
        seen.add(record.id)
        known = {parent: role for role, parent in record.parents.items()}
        relatives = [member(records[parent], _role(role)) for parent, role in known.items() if parent in records]
        stages = iter(hashes.get(record.id, ())[1:])
        for parent in record.lineage["parents"]:
            relatives += strangers(parent, stages)
        return Member(record.title, record.id, role, stage_summary(record.lineage), tuple(relatives))

    def strangers(lineage: Mapping[str, Any], stages: Iterator[str]) -> list[Member]:
        """Members of a lineage that are not in the store."""
        own = next(stages, "")
        behind = [each for parent in lineage["parents"] for each in strangers(parent, stages)]
        if own in by_hash:
            return []
        return [Member(lineage["title"], None, "", stage_summary(lineage), tuple(behind))]

    return member(record, "")


def lineage_tree(lineage: Mapping[str, Any]) -> Member:
    """A model that is not in the store, with all that its own lineage, as JSON, tells."""
    behind = tuple(lineage_tree(parent) for parent in lineage["parents"])
    return Member(lineage["title"], None, "", stage_summary(lineage), behind)


def descendants(record: ModelRecord, records: Mapping[str, ModelRecord]) -> Member:
    """A model with all that was made from it."""
    children: dict[str, list[tuple[str, ModelRecord]]] = {}
    for each in records.values():
        for role, parent in each.parents.items():
            if all(known.id != each.id for _, known in children.get(parent, [])):
                children.setdefault(parent, []).append((role, each))
    seen: set[str] = set()

    def member(record: ModelRecord, role: str) -> Member:
        first = record.id not in seen
        seen.add(record.id)
        relatives = [member(child, _role(part)) for part, child in children.get(record.id, [])] if first else []
        return Member(
            record.title, record.id, role, stage_summary(record.lineage), tuple(relatives), repeated=not first
        )

    return member(record, "")


def stage_summary(lineage: Mapping[str, Any]) -> str:
    """One line about a stage: data, rows, steps, and its facts."""
    words = []
    if lineage["rows"]:
        words.append(f"{lineage['rows']:,} rows of {lineage['data']}")
    if lineage["steps"]:
        words.append(f"{lineage['steps']:,} steps")
    facts = lineage["facts"]
    if "clients" in facts:
        words.append(f"{facts['clients']:,} clients in {facts['rounds']:,} rounds")
    if "asked" in facts:
        words.append(f"asked for {', '.join(map(str, facts['asked']))} labels")
    if "privacy" in facts:
        words.append(f"ε = {facts['privacy']['epsilon']:.3g}")
    if facts.get("forgotten_rows"):
        words.append(f"{facts['forgotten_rows']:,} rows were forgotten")
    return " · ".join(words)


def short_id(member: Member) -> str:
    """The beginning of a member's id, as it is shown."""
    return member.id[:SHORT] if member.id else "not in the store"


def _role(role: str) -> str:
    kind, _, name = role.partition(":")
    return {"start": "start", "part": name, "field": f"field {name}", "parent": ""}.get(kind, role)
