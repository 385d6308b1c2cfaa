"""What all tests of the container share: one thread and one processor for JAX, as in the image.
They run with the container's interpreter, and import nothing of the app."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The folders of these tests bear the same names; what is imported first keeps the name.
import reward  # noqa: F401
import serving  # noqa: F401
import simulator  # noqa: F401
import training.episodes
import training.policy
import training.report
import training.rewards  # noqa: F401
