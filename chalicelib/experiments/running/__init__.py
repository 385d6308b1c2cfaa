"""The life of an experiment: created, started, led and ended.
What the numbers say is not known here."""
