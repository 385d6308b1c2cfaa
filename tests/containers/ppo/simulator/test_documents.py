"""State documents and numbers say the same as situations do."""

import numpy as np
import pytest
from reward.catalogue import Catalogue
from reward.features import Encoder
from reward.questions import read_state
from simulator.documents import document_of, situation_of
from simulator.exact import situation_at, world
from simulator.incidents import Situation
from simulator.observing import default_features, observer

STATES = np.random.default_rng(2).choice(27_315, 250, replace=False)


def test_the_guides_own_state_is_where_an_incident_begins():
    document = document_of(Situation(0, 1, 0, 0, 0))

    assert document == {
        "incident": "Database latency spike",
        "severity": "sev-2",
        "actions_taken": [],
    }


def test_a_state_document_tells_the_whole_history():
    situation = Situation(title=0, severity=0, diagnosis=4, taken=0b111, again=3)

    taken = document_of(situation, with_symptoms=True)

    assert taken["symptoms"] == ["db_latency", "slow_queries"]
    assert taken["actions_taken"] == [
        {"type": "DIAGNOSE", "result": "db_overload"},
        {"type": "REQUEST_APPROVAL", "result": "granted"},
        {"type": "SCALE_K8S", "params": {"replicas": 3}, "result": "failed"},
        {"type": "SCALE_K8S", "params": {"replicas": 3}, "result": "failed"},
    ]


def test_every_situation_comes_back_from_its_document():
    for state in STATES:
        assert situation_of(document_of(situation_at(state))) == situation_at(state)


@pytest.mark.parametrize("with_symptoms", [False, True])
@pytest.mark.parametrize("horizon", [5, 8])
def test_observations_are_what_encoding_the_documents_gives(with_symptoms, horizon):
    features = ("word:unheard", *reversed(default_features()))
    encoder = Encoder(Catalogue(features=features, actions=(), numbers={}, horizon=horizon))
    eye = observer(features, horizon=horizon)

    for state in STATES:
        situation = situation_at(state)
        document = document_of(situation, with_symptoms=with_symptoms)
        seen = eye.observe(situation, int(with_symptoms))

        assert seen.dtype == np.float32
        np.testing.assert_array_equal(seen, encoder.encode(read_state(document)))


def test_every_default_feature_is_met_somewhere():
    eye = observer(default_features())

    seen = [eye.observe(world().situations, symptoms).max(axis=0) for symptoms in (0, 1)]

    assert np.max(seen, axis=0).min() > 0


def test_no_two_states_look_alike():
    seen = observer(default_features()).observe(world().situations)

    assert len(np.unique(seen, axis=0)) == len(seen)
