"""States as numbers: what counts as a word."""

from reward.features import words


def test_words_are_of_any_script():
    assert words("Défaillance: 数据库 db_latency, p9") == [
        "défaillance",
        "数据库",
        "db",
        "latency",
        "p9",
    ]
