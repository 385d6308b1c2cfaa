"""sentiment: is a review of a restaurant positive or negative?
Nothing here is real: reviews come from the grammar in sentiment_grammar."""

from random import Random

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from samples.sentiment_grammar import HELD_OUT_WORDS, LEARNED_WORDS, Review, write_review
from samples.task import Estimator, Feature, Task

LABELS = ("negative", "positive")
SEED = 20_240_604
HELD_OUT, WEAK_ROWS, STRONG_ROWS = 1_000, 400, 4_000
WORD_PATTERN = r"[a-zA-Z]+"
"""Plain letters: the only words that scikit-learn and ONNX cut in the same way."""


def make_task() -> Task:
    """1.0.0: single words of 400 reviews. 1.1.0: words and pairs of words of 4,000 reviews."""
    rng = Random(SEED)
    learned = [write_review(rng, LEARNED_WORDS) for _ in range(STRONG_ROWS)]
    held_out = [write_review(rng, HELD_OUT_WORDS) for _ in range(HELD_OUT)]

    return Task(
        model="sentiment",
        description="Tells whether a restaurant review is positive or negative",
        features=(Feature("text", "string"),),
        labels=LABELS,
        output_name="label",
        rows=[{"text": review.text} for review in held_out],
        truth=[review.label for review in held_out],
        releases={
            "1.0.0": lambda: _fit(learned[:WEAK_ROWS], longest_ngram=1),
            "1.1.0": lambda: _fit(learned, longest_ngram=2),
        },
    )


def _fit(reviews: list[Review], *, longest_ngram: int) -> Estimator:
    vectorizer = TfidfVectorizer(
        token_pattern=WORD_PATTERN, ngram_range=(1, longest_ngram), min_df=2
    )
    model = make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=500))
    texts = np.array([review.text for review in reviews], dtype=object)
    return model.fit(texts, [review.label for review in reviews])
