"""Small real models and their data, made by scripts; used by the demo and the tests."""
