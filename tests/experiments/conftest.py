"""Experiments from their definition to their end, on versions that are live in the registry alone.
What units bring is counted as it would be from the queue; no container answers here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.experiments import service as experiments
from chalicelib.experiments import store
from chalicelib.experiments.analysis.report import Verdict
from chalicelib.experiments.counting import fold, sums
from chalicelib.experiments.counting import service as counting
from chalicelib.experiments.counting import store as outcome_store
from chalicelib.experiments.counting.store import Subject
from chalicelib.experiments.deciding import service as deciding
from chalicelib.experiments.events import Event
from chalicelib.experiments.model import Definition, Experiment
from chalicelib.experiments.running import service as running
from chalicelib.experiments.store import Namespace
from chalicelib.kit import tables
from chalicelib.kit.clock import utc_now
from chalicelib.ledger import service as ledger
from chalicelib.ledger.model import Entry
from chalicelib.registry import service as registry
from chalicelib.registry import store as rows
from chalicelib.registry.model import Live, Model, ModelSettings, Stage, Version
from tests.builders.outcomes import outcome
from tests.conftest import World

SPREAD = 0.5
"""Half of all scores lie so far above their mean, half so far below."""


@dataclass(frozen=True)
class Ending:
    """What is true of a model and its experiment, without times and ids."""

    state: str
    winner: str | None
    looks: int
    shares: tuple[dict[str, float], ...]
    champion: str | None
    routes: int
    ranges: int
    moves: tuple[tuple[object, ...], ...]
    told_of_experiment: tuple[str, ...]
    told_of_model: tuple[str, ...]


@dataclass(frozen=True)
class Trial:
    """A model with the champion 1.0.0 and the candidate 1.1.0, and the experiments on it."""

    tenant: str
    model: str

    def put_live(self, version: str, *, stage: str = "candidate") -> None:
        live = Live(version=version, endpoint=f"{self.model}-{version}", hosting="serverless")
        read = rows.read_version(self.tenant, self.model, version)
        made = Version(
            model=self.model,
            version=version,
            stage=Stage(stage),
            live=live if stage in ("candidate", "champion") else None,
            first_live_at=utc_now(),
            registered_at=utc_now(),
            updated_at=utc_now(),
        )
        tables.commit([rows.put_version(self.tenant, read, made)])

    def put_model(self, **settings: Any) -> None:
        """With 1.0.0 as its champion."""
        live = Live(version="1.0.0", endpoint=f"{self.model}-1.0.0", hosting="serverless")
        made = Model(
            name=self.model,
            settings=ModelSettings.model_validate(settings),
            champion=live,
            created_at=utc_now(),
            updated_at=utc_now(),
        )
        tables.commit([rows.put_model(self.tenant, rows.read_model(self.tenant, self.model), made)])

    def define(self, name: str = "trial", **fields: Any) -> Definition:
        """120 units in one look, no guardrail."""
        default = {
            "name": f"{self.model}-{name}",
            "model": self.model,
            "challengers": [{"version": "1.1.0"}],
            "guardrails": [],
            "planned_units": 120,
            "looks": 1,
            "least_units_per_arm": 20,
            "may_extend": False,
        }
        return Definition.model_validate({**default, **fields})

    def draft(self, name: str = "trial", **fields: Any) -> Experiment:
        return running.create(self.tenant, self.define(name, **fields), actor="test")

    def begin(self, name: str = "trial", **fields: Any) -> Experiment:
        return running.start(self.tenant, self.draft(name, **fields).id, actor="test")

    def get(self, name: str = "trial") -> Experiment:
        return running.get(self.tenant, f"{self.model}-{name}")

    def scores(
        self, mean_by_arm: Mapping[str, float], *, each: int = 60, name: str = "trial"
    ) -> list[Event]:
        """So many new units of each arm bring a score; the experiment's phase is its last."""
        found = self.get(name)
        phase = found.phases[-1].number
        at_ms = int(utc_now().timestamp() * 1_000)
        return [
            outcome(
                f"{arm}-{phase}-{number}",
                subject=found.id,
                arm=arm,
                phase=phase,
                predicted_at_ms=at_ms,
                values={found.definition.primary: mean + (SPREAD if number % 2 else -SPREAD)},
            )
            for arm, mean in mean_by_arm.items()
            for number in range(each)
        ]

    def count(self, events: Sequence[Event]) -> None:
        """As the queue has them counted."""
        left = counting.count(
            self.tenant, events, rules_of=lambda subject: counting.rules_of(self.tenant, subject)
        )
        assert left == []

    def tell(
        self, mean_by_arm: Mapping[str, float], *, each: int = 60, name: str = "trial"
    ) -> None:
        self.put_sums(self.scores(mean_by_arm, each=each, name=name), name=name)

    def put_sums(self, events: Iterable[Event], *, name: str = "trial") -> None:
        """What counting these would leave, of units that were not heard of before, in one write."""
        found = self.get(name)
        subject = Subject(self.tenant, found.id)
        folded = fold.fold(events, counting.counting_of(found))
        known = outcome_store.read_cells(subject, 0, folded)
        for key in folded:
            sums.merge(folded, {key: known.cell(subject, 0, key)})
        tables.commit(
            [outcome_store.put_cell(subject, known, 0, key, cell) for key, cell in folded.items()]
        )

    def advance(self, name: str = "trial") -> Verdict | None:
        return deciding.advance(self.tenant, f"{self.model}-{name}")

    def change(self, name: str = "trial", **fields: Any) -> Experiment:
        """The row as it will be, or as somebody made it: no use case is asked."""
        read = store.read_experiment(self.tenant, f"{self.model}-{name}")
        assert read is not None
        changed = read.experiment.model_copy(update=fields)
        tables.commit([store.put_experiment(self.tenant, read, changed)])
        return changed

    def turn_back(self, name: str = "trial", *, hours: float) -> None:
        """Let so much time pass for the experiment."""
        found, by = self.get(name), timedelta(hours=hours)
        times = {
            field: getattr(found, field) - by
            for field in ("started_at", "ends_at", "ramped_at", "updated_at")
        }
        self.change(name, **times)

    def champion(self) -> str | None:
        champion = registry.get_model(self.tenant, self.model).champion
        return champion.version if champion else None

    def routed(self) -> list[str]:
        return [one.experiment for one in experiments.routes_of(self.tenant, self.model).routes]

    def namespace(self, name: str | None = None) -> Namespace:
        read = store.read_namespace(self.tenant, name or f"model/{self.model}")
        return read.namespace if read else Namespace(holdout=0.0)

    def entries(self, name: str = "trial") -> list[Entry]:
        """Of the ledger, newest first."""
        return self._entries(f"experiment/{self.model}-{name}")

    def told_of_model(self) -> list[Entry]:
        return self._entries(f"model/{self.model}")

    def _entries(self, subject: str) -> list[Entry]:
        assert ledger.verify(self.tenant, subject).intact
        return ledger.entries(self.tenant, subject, limit=200, cursor=None).items

    def ending(self) -> Ending:
        found = self.get()
        moves = registry.history(self.tenant, self.model, at=None, limit=200, cursor=None).items
        return Ending(
            state=found.state.value,
            winner=found.winner,
            looks=len(found.looks),
            shares=tuple(phase.shares() for phase in found.phases),
            champion=self.champion(),
            routes=len(self.routed()),
            ranges=len(self.namespace().ranges),
            moves=tuple((move.version, move.before, move.after) for move in moves),
            told_of_experiment=tuple(entry.action for entry in self.entries()),
            told_of_model=tuple(entry.action for entry in self.told_of_model()),
        )


@pytest.fixture
def make_trial(world: World) -> Callable[..., Trial]:
    """Models of one tenant, by number."""

    def make(number: int = 0, **settings: Any) -> Trial:
        made = Trial(world.tenant, f"{world.model}x{number}")
        made.put_model(**settings)
        made.put_live("1.0.0", stage="champion")
        made.put_live("1.1.0")
        return made

    return make


@pytest.fixture
def trial(make_trial: Callable[..., Trial]) -> Trial:
    return make_trial()
