"""A container that exits at once, after a line in its log.
It never answers /ping."""

import sys

sys.stderr.write("no model of mine\n")
sys.exit(1)
