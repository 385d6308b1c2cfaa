"""Hyperparameters arrive as strings, and wrong ones are named."""

import pytest
from training.settings import Hyperparameters, SettingsRefused, read_hyperparameters


def test_every_hyperparameter_may_be_a_string():
    given = {
        "guarded": "false",
        "minimum_episodes": "20",
        "minimum_observations": "3",
        "pessimism": "0.5",
        "ppo_environments": "128",
        "ppo_learning_rate": "0.005",
        "ppo_steps": "100000",
        "seed": "7",
        "simulated_episodes": "300",
        "simulator": "incidents",
    }

    read = read_hyperparameters(given)

    assert read == Hyperparameters(
        guarded=False,
        minimum_episodes=20,
        minimum_observations=3,
        pessimism=0.5,
        ppo_environments=128,
        ppo_learning_rate=0.005,
        ppo_steps=100_000,
        seed=7,
        simulated_episodes=300,
        simulator="incidents",
    )
    assert set(given) == set(Hyperparameters.__struct_fields__)


@pytest.mark.parametrize(("text", "truth"), [("False", False), ("True", True), ("true", True)])
def test_truths_may_be_written_as_python_or_json_writes_them(text, truth):
    assert read_hyperparameters({"guarded": text}).guarded is truth


def test_what_the_sdk_adds_is_passed_over():
    extras = {"sagemaker_program": '"train.py"', "sagemaker_region": '"us-east-1"'}

    assert read_hyperparameters(extras) == Hyperparameters()


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(SettingsRefused, match=r"'learning_rate' is unknown.* ppo_steps"):
        read_hyperparameters({"seed": "1", "learning_rate": "0.1"})


WRONG = [
    ("guarded", "perhaps"),
    ("minimum_episodes", "0"),
    ("pessimism", "-1"),
    ("pessimism", "inf"),
    ("pessimism", "nan"),
    ("ppo_steps", ""),
    ("ppo_steps", "1.5"),
    ("ppo_steps", "many"),
    ("seed", "-1"),
    ("seed", "2147483648"),
    ("simulator", "real"),
]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_wrong_value_is_refused_with_its_name(name, text):
    with pytest.raises(SettingsRefused) as refused:
        read_hyperparameters({name: text})

    assert str(refused.value).startswith(f"hyperparameter {name} cannot be {text!r}: ")
