"""The offline AWS for development and tests; never shipped to Lambda.
`python -m localcloud up` starts it; tests and the demo use localcloud.cloud.running()."""
