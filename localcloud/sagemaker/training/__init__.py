"""Training jobs: their operations, and the processes that carry them out.
Nothing here serves a model."""
