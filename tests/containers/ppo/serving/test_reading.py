"""Bodies to questions: the typed way reads what the careful one reads, and leaves it the rest."""

import json

import pytest
from builders import GUIDE, TYPES, make_catalogue
from hypothesis import given, settings
from hypothesis import strategies as st
from reward.questions import read_questions
from serving.problems import DuplicateKey
from serving.reading import Reader, parse_json

READER = Reader(make_catalogue())

texts = st.text(st.sampled_from('ab:\\"é\n{'), min_size=1, max_size=6)
params = st.dictionaries(
    texts, st.booleans() | st.integers(-9, 9) | st.just(0.5) | texts, max_size=2
)
proposed = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | texts}, optional={"params": params}
)
taken = st.fixed_dictionaries(
    {"type": texts}, optional={"params": params, "result": st.none() | texts}
)
asked = st.fixed_dictionaries(
    {
        "state": st.fixed_dictionaries(
            {"incident": texts, "severity": texts},
            optional={
                "symptoms": st.lists(texts, max_size=2),
                "actions_taken": st.lists(texts | taken, max_size=3),
                "region": texts | st.lists(texts, max_size=2),
                "replicas": st.integers(0, 9) | st.just(1.5),
                "is_peak": st.booleans(),
                "unheard": texts,
            },
        )
    },
    optional={"proposedAction": proposed},
)


@settings(max_examples=300, deadline=None)
@given(asked | st.fixed_dictionaries({"instances": st.lists(asked, min_size=1, max_size=3)}))
def test_both_ways_read_the_same(document):
    body = json.dumps(document, ensure_ascii=False).encode()

    found = READER.read(body, "json")

    questions, is_batch = read_questions(parse_json(body))
    assert found.questions == questions
    assert (found.places is not None) == is_batch


@settings(max_examples=200, deadline=None)
@given(asked, st.data())
def test_a_key_twice_is_refused_wherever_it_stands(document, data):
    text = json.dumps(document, ensure_ascii=False)
    places = [i for i, letter in enumerate(text) if letter == "{" and '"' not in text[i : i + 1]]
    keys = ["state", "incident", "severity", "type"]
    key = data.draw(st.sampled_from([key for key in keys if f'"{key}": ' in text]))
    value = data.draw(st.sampled_from(["1", '"x"', "null", "{}", '"\\u003a"']))
    assert places

    body = text.replace(f'"{key}": ', f'"{key}": {value}, "{key}": ', 1).encode()

    with pytest.raises(DuplicateKey):
        READER.read(body, "json")


def test_the_guides_question_takes_the_typed_way():
    assert READER._read_one(json.dumps(GUIDE).encode()) is not None
