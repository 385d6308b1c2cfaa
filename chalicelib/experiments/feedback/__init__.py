"""Outcomes that come back, over HTTP and as files.
Nothing is counted here."""
