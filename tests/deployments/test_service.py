"""Deployments end to end in one process: real S3, DynamoDB, SageMaker states and containers."""

from chalicelib.deployments.model import State
from chalicelib.registry import service as registry
from chalicelib.registry.model import Stage
from tests.builders.models import linear_archive


def test_the_first_good_version_becomes_champion(world):
    world.live("1.0.0", linear_archive(2.0))

    found = registry.get_model(world.tenant, world.model)

    assert found.champion is not None
    assert found.champion.version == "1.0.0"
    assert world.deployment("1.0.0").state is State.LIVE


def test_a_later_version_becomes_a_candidate(world):
    world.live("1.0.0", linear_archive(2.0))
    world.live("1.1.0", linear_archive(3.0))

    assert registry.get_version(world.tenant, world.model, "1.1.0").stage is Stage.CANDIDATE
