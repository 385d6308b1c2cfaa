"""The demo, one module for each part of the story; `python -m samples.demo` plays it."""
