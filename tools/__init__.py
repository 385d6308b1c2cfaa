"""Tools of the developer's machine: packaging and its checks.
Nothing here ships to Lambda."""
