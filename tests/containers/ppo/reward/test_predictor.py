"""Answers: the short way beside the batch and beside the formulas, guard, intervals, clipping."""

import numpy as np
import pytest
from builders import GUIDE, RESULTS, SEVERITIES, TYPES, make_catalogue, make_model
from hypothesis import given, settings
from hypothesis import strategies as st
from reward.features import Encoder, names_of
from reward.model import RewardModel
from reward.predictor import Predictor
from reward.problems import ModelFailed, UnknownAction
from reward.questions import Action, Question, State, TakenAction, read_question

PREDICTOR = Predictor(make_model())

taken_actions = st.builds(
    TakenAction, st.sampled_from((*TYPES, "UNKNOWN")), result=st.sampled_from((None, *RESULTS))
)
states = st.builds(
    State,
    st.sampled_from(("Database latency spike", "Checkout requests time out", "volcano")),
    st.sampled_from((*SEVERITIES, "sev-9")),
    st.lists(st.sampled_from(("db_latency", "oom_kills", "queue")), max_size=3).map(tuple),
    st.lists(taken_actions, max_size=10).map(tuple),
    st.fixed_dictionaries(
        {},
        optional={
            "region": st.sampled_from(("eu", "us", "mars")),
            "is_peak": st.booleans(),
            "replicas": st.floats(0.0, 40.0) | st.integers(0, 40),
            "unheard": st.just("of"),
        },
    ),
)
params = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.floats(-5.0, 50.0) | st.just("many"),
        "mode": st.sampled_from(("hard", "rolling", "other")),
        "drain": st.booleans(),
    },
)
actions = st.builds(Action, st.sampled_from(TYPES), params)


def make_question(*taken, action="SCALE_K8S", severity="sev-2", **named):
    state = State("Database latency spike", severity, actions_taken=tuple(map(TakenAction, taken)))
    return Question(state._replace(**named), (Action(action),), is_ranking=False)


def flatten(document):
    """Every number of an answer, in order."""
    match document:
        case bool() | str() | None:
            return []
        case int() | float():
            return [document]
        case dict():
            return [number for each in document.values() for number in flatten(each)]
        case list():
            return [number for each in document for number in flatten(each)]
    return flatten([getattr(document, name) for name in document.__struct_fields__])


@settings(max_examples=200, deadline=None)
@given(states, actions)
def test_the_short_way_answers_as_the_batch_does(state, action):
    question = Question(state, (action,), is_ranking=False)

    short = PREDICTOR.answer_one(question)

    (batch,) = PREDICTOR.answer([question])
    assert flatten(short) == pytest.approx(flatten(batch), abs=1e-5)
    for name in ("outOfDistribution", "guarded", "modelVersion"):
        assert short[name] == batch[name]


@settings(max_examples=100, deadline=None)
@given(states)
def test_a_state_is_one_where_its_names_are_features(state):
    catalogue = make_catalogue()
    names = set(names_of(state))

    x = Encoder(catalogue).encode(state)

    ones = [
        name
        for name, value in zip(catalogue.features, x, strict=True)
        if value == 1.0 and not name.startswith(("steps", "number:"))
    ]
    assert ones == [name for name in catalogue.features if name in names]


def test_a_reward_is_the_sum_over_features_pairs_and_parameters():
    model = make_model()
    question = read_question(GUIDE)
    encoder = Encoder(model.catalogue)
    x = encoder.encode(question.state).astype(float)
    kind = model.catalogue.types.index("SCALE_K8S")
    u = encoder.encode_params(model.catalogue.actions[kind], question.actions[0])
    weights = model.tensors["reward.weights"][kind].astype(float)

    answer = Predictor(model).answer_one(question)

    products = [x[i] * x[j] for i, j in model.tensors["reward.pairs"]]
    phi = np.array([1.0, *x, *products])
    factors = weights @ phi + model.tensors["reward.params"][kind] @ u
    assert list(answer["factors"].values()) == pytest.approx(factors.tolist(), abs=1e-5)
    assert answer["reward"] == pytest.approx(factors.sum(), abs=1e-5)


def test_an_interval_widens_with_the_leverage():
    model = make_model()
    question = read_question(GUIDE)
    kind = model.catalogue.types.index("SCALE_K8S")
    z = np.array([1.0, *Encoder(model.catalogue).encode(question.state)])

    interval = Predictor(model).answer_one(question)["interval"]

    leverage = z @ model.tensors["reward.leverage"][kind] @ z
    half_width = model.catalogue.actions[kind].half_width * np.sqrt(1.0 + leverage)
    assert interval.high - interval.low == pytest.approx(2.0 * half_width, abs=1e-5)


@pytest.mark.parametrize(
    ("question", "at"),
    [
        (make_question(severity="sev-9"), "state.severity"),
        (make_question(incident="volcano"), "state.incident"),
        (make_question(symptoms=("db", "db_volcano")), "state.symptoms[1]"),
        (make_question("VOLCANO"), "state.actions_taken[0]"),
        (make_question(actions_taken=(TakenAction("ESCALATE", {}, "odd"),)), "state.actions_taken"),
        (make_question(*["DIAGNOSE"] * 9), "state.actions_taken"),
        (make_question(details={"region": "mars"}), "state.region"),
        (make_question(details={"replicas": 21}), "state.replicas"),
        (make_question(details={"unheard": 1.0}), "state.unheard"),
    ],
)
def test_a_state_that_training_never_saw_gets_the_widest_interval(question, at):
    answer = PREDICTOR.answer_one(question)

    assert answer["outOfDistribution"][0].at.startswith(at)
    assert (answer["interval"].low, answer["interval"].high) == (-10.0, 10.0)


@pytest.mark.parametrize(
    ("action", "place"),
    [
        (Action("SCALE_K8S", {"replicas": 7}), "replicas"),
        (Action("SCALE_K8S", {"replicas": "3"}), "replicas"),
        (Action("SCALE_K8S", {"nodes": 3}), "nodes"),
        (Action("RESTART_SERVICE", {"mode": "gentle"}), "mode"),
    ],
)
def test_a_parameter_that_training_never_saw_gets_the_widest_interval(action, place):
    question = make_question()._replace(actions=(action,))

    answer = PREDICTOR.answer_one(question)

    assert [one.at for one in answer["outOfDistribution"]] == [f"proposedAction.params.{place}"]
    assert answer["interval"].high == 10.0


def test_a_state_in_which_an_action_was_hardly_taken_is_flagged():
    catalogue = make_catalogue()
    thin = tuple(
        type(kind)(kind.type, kind.params, kind.observations, kind.half_width, 0.0)
        for kind in catalogue.actions
    )

    answer = Predictor(make_model(actions=thin)).answer_one(make_question())

    assert answer["outOfDistribution"][0].because == (
        "hardly any episode took SCALE_K8S in such a state"
    )
    assert answer["interval"].low == -10.0


def test_everything_within_what_training_saw_is_not_flagged():
    answer = PREDICTOR.answer_one(read_question(GUIDE))

    assert answer["outOfDistribution"] == []


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_reward_beyond_ten_is_clipped_and_its_factors_with_it(sign):
    model = make_model()
    weights = np.zeros_like(model.tensors["reward.weights"])
    weights[:, :, 0] = sign * np.array([20.0, 12.0, 4.0, 4.0], np.float32)
    predictor = Predictor(
        RewardModel(
            model.catalogue,
            {
                **model.tensors,
                "reward.weights": weights,
                "reward.params": np.zeros_like(model.tensors["reward.params"]),
            },
        )
    )

    answer = predictor.answer_one(make_question())

    assert answer["reward"] == 10.0 * sign
    assert list(answer["factors"].values()) == pytest.approx(
        [5.0 * sign, 3.0 * sign, 1.0 * sign, 1.0 * sign]
    )


def test_the_policy_repeats_no_action():
    answer = PREDICTOR.answer_one(make_question("DIAGNOSE", "CLEAR_CACHE"))

    assert [type_ for type_, share in answer["policy"].items() if share == 0.0] == [
        "DIAGNOSE",
        "CLEAR_CACHE",
    ]
    assert sum(answer["policy"].values()) == pytest.approx(1.0)
    assert answer["recommendedAction"].type not in ("DIAGNOSE", "CLEAR_CACHE")


def test_a_repeat_that_is_asked_about_is_answered_as_guarded():
    assert PREDICTOR.answer_one(make_question("SCALE_K8S"))["guarded"] is True


def test_nothing_is_guarded_in_the_policy_where_every_action_was_taken():
    answer = PREDICTOR.answer_one(make_question(*TYPES))

    assert min(answer["policy"].values()) > 0.0


def test_a_question_without_actions_ranks_the_catalogue_best_first():
    question = make_question()._replace(actions=None, is_ranking=True)

    ranking = PREDICTOR.answer_one(question)["ranking"]

    rewards = [part["reward"] for part in ranking]
    assert rewards == sorted(rewards, reverse=True)
    assert {part["action"].type for part in ranking} == set(TYPES)
    assert next(p["action"] for p in ranking if p["action"].type == "SCALE_K8S").params == {
        "replicas": 3
    }


def test_a_large_batch_answers_as_its_questions_alone():
    questions = [
        make_question(action=TYPES[i % 8], severity=SEVERITIES[i % 4]) for i in range(5000)
    ]

    answers = PREDICTOR.answer(questions)

    alone = [PREDICTOR.answer_one(question)["reward"] for question in questions[:8]]
    assert [answer["reward"] for answer in answers[-8:]] == pytest.approx(alone, abs=1e-5)


def test_an_unknown_action_is_refused_with_the_catalogue():
    with pytest.raises(UnknownAction, match=r"line 7: proposedAction.type 'X' .* DIAGNOSE, "):
        PREDICTOR.answer([make_question(action="X")], places=["line 7: "])


def test_weights_that_overflow_fail_rather_than_answer():
    model = make_model(pairs=0)
    weights = np.full_like(model.tensors["reward.weights"], 3e38)

    predictor = Predictor(
        RewardModel(model.catalogue, {**model.tensors, "reward.weights": weights})
    )

    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(ModelFailed):
        predictor.answer_one(make_question())


def test_a_model_too_large_to_fuse_is_answered_as_a_batch():
    features = (*make_catalogue().features, *(f"word:w{i}" for i in range(800)))
    model = make_model(pairs=50, scale=0.01, features=features)

    predictor = Predictor(model)

    question = read_question(GUIDE)
    assert predictor.answer_one(question) == predictor.answer([question])[0]
