"""From sums to a report of how the arms compare.
Nothing is decided here."""
