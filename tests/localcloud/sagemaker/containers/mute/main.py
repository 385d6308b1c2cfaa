"""A container that runs but never listens, and will not hear SIGTERM.
It never answers /ping."""

import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(3600)
