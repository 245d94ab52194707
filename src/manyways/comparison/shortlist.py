"""The shortlist: the methods that a comparison tries where none is named, each with the reason why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from manyways.comparison.conclusion import BASELINE
from manyways.comparison.start import Start
from manyways.comparison.tasks import Task
from manyways.data.data import Data
from manyways.methods.discovery import all_methods
from manyways.methods.expressions import parse_method
from manyways.methods.method import Method
from manyways.methods.recommendations import OTHER, Recommendation, profile_of
from manyways.methods.starts import completed, given, stages

MOST = 12
"""Entries of a shortlist."""


@dataclass(frozen=True)
class Shortlist:
    """Methods for data, the quickest first.

    Attributes:
        methods: The methods on it, in order.
        reasons: The reason of each, by its text.
        makers: The name of the method that suggests each, by its text.
        left_out: Those that their own files leave out for such data, by the reason.
        others: Those that had no place.
    """

    methods: tuple[Method, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    makers: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Sentences on those that were left out for a reason."""
        return [f"Left out: {', '.join(names)}, as {reason}." for reason, names in self.left_out.items()]


@dataclass(frozen=True)
class Offer:
    """A method that suggests itself, the class that does, and its recommendation."""

    kind: type[Method]
    method: Method
    recommendation: Recommendation

    @property
    def rank(self) -> tuple[int, int, str]:
        """Its place: by its own rank, then the shorter chain, then by name."""
        rank = OTHER if self.recommendation.rank is None else self.recommendation.rank
        return rank, len(stages(self.method)), str(self.method)


def shortlist(
    data: Data, task: Task, start: Start | None = None, backbone: str | None = None, most: int = MOST
) -> Shortlist:
    """The methods to try on `data` where none is named: at most `most`, by their own recommendations.

    Where every method is left out, none is. Those that can start from the checkpoint `backbone` do.
    """
    profile = profile_of(data)
    offers = [
        Offer(kind, way, kind.recommendation(profile, way)) for kind, way in candidates(data, task, start, backbone)
    ]
    listed = [offer for offer in offers if offer.recommendation.rank is not None] or offers
    left_out: dict[str, tuple[str, ...]] = {}
    for offer in offers:
        if offer not in listed:
            reason = offer.recommendation.reason
            left_out[reason] = (*left_out.get(reason, ()), str(offer.method))
    ranked = sorted(listed, key=lambda offer: offer.rank)
    chosen = sorted(ranked[:most], key=lambda offer: (pace(offer.method), *offer.rank))
    return Shortlist(
        methods=tuple(offer.method for offer in chosen),
        reasons={str(offer.method): offer.recommendation.reason for offer in chosen},
        makers={str(offer.method): offer.kind.method_name() for offer in chosen},
        left_out=left_out,
        others=tuple(str(offer.method) for offer in ranked[most:]),
    )


def pace(method: Method) -> int:
    """The order of what takes seconds whatever the budget, of what trains for all of it, and of chains that do."""
    return len(stages(method)) if method.fewest_steps() else 0


def everything(data: Data, task: Task, start: Start | None = None, backbone: str | None = None) -> list[Method]:
    """All methods that suggest themselves for `data`, plain supervision first, then by name."""
    methods = {str(method): method for _, method in candidates(data, task, start, backbone)}
    return sorted(methods.values(), key=lambda method: (str(method) != BASELINE, len(stages(method)), str(method)))


def candidates(
    data: Data, task: Task, start: Start | None = None, backbone: str | None = None
) -> Iterator[tuple[type[Method], Method]]:
    """Each method that suggests itself, and its class; those that `start` begins are as they are, others begin anew.

    With a checkpoint as `backbone` those that can start from it do, and some that need a start are offered, too; plain
    supervision, by which the others are measured, stays as it is.
    """
    kinds = all_methods().values()
    offers = [(kind, parse_method(text)) for kind in kinds for text in kind.suggestions(data)]
    if backbone is not None:
        needy = [(kind, kind()) for kind in kinds if kind.requires_model]
        offers = [(kind, way if str(way) == BASELINE else way.with_backbone(backbone)) for kind, way in offers]
        offers += [(kind, fed) for kind, way in needy if not (fed := way.with_backbone(backbone)).needs_start()]
    if start is not None and task.has_labels:
        started = [(kind, kind()) for kind in kinds]
        offers += [(kind, method) for kind, method in started if method.needs_start() and start.begins(method, task)]
    seen: set[str] = set()
    for kind, method in offers:
        if not (given(method, data) & task.gives and task.enters(method)):
            continue
        begun = start is not None and start.begins(method, task)
        whole = method if begun else completed(method, data) if start is None or task.has_labels else None
        if whole is None or str(whole) in seen:
            continue
        if whole.lacks(data, start.model if begun and start is not None else None) is None:
            seen.add(str(whole))
            yield kind, whole
