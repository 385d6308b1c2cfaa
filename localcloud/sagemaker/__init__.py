"""A SageMaker of our own for development and tests: endpoints run containers as processes.
`start` gives a server with its `.url`, `.control` and `.stop()`; never shipped to Lambda."""

from localcloud.sagemaker.handle import Control, ControlRefused, Server, start

__all__ = ["Control", "ControlRefused", "Server", "start"]
