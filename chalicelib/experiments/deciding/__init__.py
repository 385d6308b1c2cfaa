"""The rule, and what is done about its verdicts.
Nothing is compared here."""
