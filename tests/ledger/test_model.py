"""The rule of the chain, without a table."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.ledger.model import Entry, Note, chain, hash_of, verify

NOTES = st.lists(
    st.builds(
        Note,
        actor=st.text(),
        action=st.text(),
        facts=st.dictionaries(st.text(), st.none() | st.integers() | st.text(), max_size=3),
    ),
    min_size=1,
    max_size=6,
)


def _chained(notes: list[Note]) -> list[Entry]:
    return chain(notes, subject="run/1", last=None, tenant="t", at="2026-01-01T00:00:00.000000Z")


@given(NOTES)
def test_what_is_chained_is_intact(notes: list[Note]):
    assert verify(_chained(notes), subject="run/1", tenant="t").intact


@given(NOTES, st.data())
def test_a_chain_can_be_continued_anywhere(notes: list[Note], data: st.DataObject):
    cut = data.draw(st.integers(1, len(notes)))
    head = _chained(notes[:cut])

    tail = chain(notes[cut:], subject="run/1", last=head[-1], tenant="t", at="later")

    assert verify([*head, *tail], subject="run/1", tenant="t").intact


@given(NOTES, st.data())
def test_a_stored_entry_has_the_hash_of_the_one_that_was_written(notes, data: st.DataObject):
    entry = data.draw(st.sampled_from(_chained(notes)))

    read = Entry.model_validate_json(entry.model_dump_json())

    assert hash_of(read, tenant="t") == entry.hash


def test_the_hash_covers_the_tenant():
    (entry,) = _chained([Note(actor="a", action="b")])

    assert hash_of(entry, tenant="u") != entry.hash


def test_a_fact_may_move_from_one_field_to_no_other():
    one, other = (
        _chained([Note(actor=actor, action=action)])[0].hash
        for actor, action in (("ab", "c"), ("a", "bc"))
    )

    assert one != other
