"""Run every benchmark, one after the other, each in a process of its own.
Run as `python -m bench`; exits with 1 when any of them misses a floor."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCHES = (
    "import_app",
    "prediction_overhead",
    "exposure",
    "assignment",
    "fold",
    "analysis_from_sums",
    "onnx_scorer",
    "ppo_serving",
    "ppo_training",
    "archive_inspection",
)


def main() -> int:
    missed: list[str] = []
    for name in BENCHES:
        print(f"\n== {name}: python -m bench.{name}", flush=True)
        ran = subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=ROOT, check=False)
        if ran.returncode != 0:
            missed.append(name)
    print(f"\nfloors missed: {', '.join(missed) or 'none'}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
