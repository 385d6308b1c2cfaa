"""A small grammar of restaurant reviews: clauses of praise and blame, negation, contrast, noise.
Nothing here learns; the held-out words hold subjects, frames and adjectives that training lacks."""

from dataclasses import dataclass
from random import Random

TYPO_SHARE = 0.03
"""Words with two letters swapped."""
WRONG_LABEL_SHARE = 0.02
NEGATED_SHARE = 0.25
CONTRAST_SHARE = 0.2


@dataclass(frozen=True)
class Review:
    text: str
    label: str


@dataclass(frozen=True)
class Words:
    """What clauses are made of; `{s}` is a subject and `{a}` an adjective."""

    subjects: tuple[str, ...]
    praise: tuple[str, ...]
    blame: tuple[str, ...]
    frames: tuple[str, ...]
    negations: tuple[str, ...]
    contrasts: tuple[str, ...]
    openings: tuple[str, ...]


LEARNED_WORDS = Words(
    subjects=(
        "the pasta",
        "the staff",
        "the soup",
        "our waiter",
        "the dessert",
        "the room",
        "the steak",
        "the wine list",
        "service",
        "the pizza",
        "the music",
        "the menu",
    ),
    praise=(
        "delicious",
        "friendly",
        "fresh",
        "warm",
        "excellent",
        "lovely",
        "tasty",
        "great",
        "charming",
        "perfect",
        "generous",
        "good",
        "wonderful",
        "quick",
    ),
    blame=(
        "cold",
        "rude",
        "stale",
        "slow",
        "awful",
        "noisy",
        "bland",
        "terrible",
        "dirty",
        "burnt",
        "tiny",
        "bad",
        "greasy",
        "boring",
    ),
    frames=("{s} was {a}", "{s} was really {a}", "we found {s} {a}", "{s} seemed {a} to us"),
    negations=("{s} was not {a}", "{s} was never {a}", "{s} was hardly {a}"),
    contrasts=("but overall", "however in the end", "yet all in all"),
    openings=("we came on Friday.", "Booked for two.", "First visit.", "Lunch with friends.", ""),
)
HELD_OUT_WORDS = Words(
    subjects=(
        "the curry",
        "the host",
        "the salad",
        "the terrace",
        "our table",
        "the staff",
        "the bread",
        "the risotto",
        "service",
        "the cocktails",
    ),
    praise=(*LEARNED_WORDS.praise[::2], "superb", "good", "great"),
    blame=(*LEARNED_WORDS.blame[::2], "soggy", "bad", "terrible"),
    frames=("I thought {s} was {a}", "{s} turned out {a}", "{s} was so {a}", "{s} felt {a}"),
    negations=("{s} was not {a}", "I was told of {s}, it was not {a}", "{s} was never {a} at all"),
    contrasts=("but overall", "but still,", "yet all in all"),
    openings=("Birthday dinner!", "Came back after a year.", "10 minutes from home.", ""),
)


def write_review(rng: Random, words: Words) -> Review:
    """One or two clauses; after a contrast the second one decides the label."""
    is_positive = rng.random() < 0.5
    parts = [rng.choice(words.openings)]
    if rng.random() < CONTRAST_SHARE:
        parts += [
            _clause(rng, words, is_positive=not is_positive) + ",",
            rng.choice(words.contrasts),
        ]
    elif rng.random() < 0.5:
        parts.append(_clause(rng, words, is_positive=is_positive) + " and")
    parts.append(_clause(rng, words, is_positive=is_positive) + rng.choice((".", "!", "...", "")))
    text = " ".join(_with_typo(rng, word) for word in " ".join(parts).split())
    is_labelled_right = rng.random() >= WRONG_LABEL_SHARE
    return Review(text=text, label="positive" if is_positive == is_labelled_right else "negative")


def _clause(rng: Random, words: Words, *, is_positive: bool) -> str:
    is_negated = rng.random() < NEGATED_SHARE
    adjectives = words.praise if is_positive != is_negated else words.blame
    frame = rng.choice(words.negations if is_negated else words.frames)
    return frame.format(s=rng.choice(words.subjects), a=rng.choice(adjectives))


def _with_typo(rng: Random, word: str) -> str:
    if len(word) < 4 or rng.random() >= TYPO_SHARE:
        return word
    at = rng.randrange(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
