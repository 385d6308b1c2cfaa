"""What the schedule does: advance what runs, start what uploads ask for, retire what lost.
One experiment's trouble must not keep the others waiting."""

from collections.abc import Callable, Iterator

from chalicelib.deployments import service as deployments
from chalicelib.experiments import store
from chalicelib.experiments.deciding import service as deciding
from chalicelib.experiments.model import (
    CONCLUDED,
    CONTROL,
    Challenger,
    Definition,
    Experiment,
    NamespaceFull,
    State,
)
from chalicelib.experiments.running import saving
from chalicelib.experiments.running import service as running
from chalicelib.kit.clock import Deadline, utc_now
from chalicelib.kit.telemetry import logger
from chalicelib.registry import semver
from chalicelib.registry import service as registry
from chalicelib.registry.model import Model, Stage, Version

_ACTOR = "schedule"


def advance_all(tenant: str, *, deadline: Deadline) -> int:
    """Returns how many could not be advanced; they are tried again at the next run."""
    failed = 0
    for name, act in [*_due(tenant), *_asked_for(tenant)]:
        if deadline.passed():
            break
        try:
            act()
        except Exception:
            # Whatever one experiment's trouble is, the others go on.
            failed += 1
            logger.error("experiment_not_advanced", trace=True, key=name)
    return failed


def retire_losers(tenant: str, experiment: str) -> None:
    """Take the versions that did not win out of service, but for those that are needed still."""
    row = saving.read(tenant, experiment)
    found = row.experiment
    if found.retired_losers:
        return
    needed = _needed(tenant, found)
    for version in dict.fromkeys(found.versions.values()):
        if version not in needed:
            why = f"lost experiment {experiment}"
            deployments.ask_to_retire(tenant, found.model, version, actor=_ACTOR, reason=why)
    done = found.model_copy(update={"retired_losers": True, "updated_at": utc_now()})
    saving.save(tenant, row, done, actor=_ACTOR, action="experiment.losers_retired")


def _needed(tenant: str, found: Experiment) -> set[str]:
    """Versions that serve, may be rolled back to, or are in another experiment. Former champions
    go by themselves when their window is over."""
    model = registry.get_model(tenant, found.model)
    kept = {found.versions[CONTROL], *model.former_champions}
    kept |= {found.versions[found.winner]} if found.winner else set[str]()
    kept |= {model.champion.version} if model.champion else set[str]()
    for other in store.experiments(tenant):
        if other.model == found.model and other.id != found.id and other.state not in CONCLUDED:
            kept |= set(other.versions.values())
    return kept


def _due(tenant: str) -> Iterator[tuple[str, Callable[[], object]]]:
    for found in store.experiments(tenant):
        if found.state is State.RUNNING:
            yield found.id, lambda name=found.id: deciding.advance(tenant, name)
        if (
            found.state in CONCLUDED
            and found.definition.retires_losers
            and not found.retired_losers
        ):
            yield found.id, lambda name=found.id: retire_losers(tenant, name)


def _asked_for(tenant: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Of models whose settings start an experiment with every good version."""
    for model in registry.all_models(tenant):
        if model.settings.on_upload != "experiment" or model.champion is None:
            continue
        for version in registry.all_versions(tenant, model.name):
            if _is_new(model, version):
                name = running.id_of(_name_of(version))
                yield name, lambda m=model, v=version: _begin(tenant, m, v)


def _is_new(model: Model, version: Version) -> bool:
    """A live candidate above the champion that was never champion itself."""
    assert model.champion is not None, "asked only of models with a champion"
    is_above = semver.sort_key(version.version) > semver.sort_key(model.champion.version)
    is_live = version.stage is Stage.CANDIDATE and version.live is not None
    return is_live and is_above and version.version not in model.former_champions


def _begin(tenant: str, model: Model, version: Version) -> Experiment | None:
    """Waits, without an error, while another experiment has the model's units."""
    name = running.id_of(_name_of(version))
    found = store.read_experiment(tenant, name)
    if found is not None and found.experiment.state is not State.DRAFT:
        return None
    definition = found.experiment.definition if found else _definition(model, version)
    running.create(tenant, definition, experiment=name, actor=_ACTOR)
    try:
        return running.start(tenant, name, actor=_ACTOR)
    except NamespaceFull:
        return None


def _definition(model: Model, version: Version) -> Definition:
    metrics = [metric.name for metric in model.settings.metrics]
    return Definition(
        name=_name_of(version),
        model=model.name,
        challengers=[Challenger(version=version.version)],
        primary=metrics[0] if metrics else "quality_score",
        secondary=metrics[1:],
        retires_losers=True,
    )


def _name_of(version: Version) -> str:
    return f"upload-{version.model}-{version.version}"
