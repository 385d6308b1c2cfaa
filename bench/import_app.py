"""CPU of `import app` beside importing chalice, boto3 and pydantic, in fresh processes.
Run as `python -m bench.import_app`; exits with 1 when the floor is missed.
Measured as Lambda finds a package: once with byte code beside the sources, once without any."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOOR = 1.3
"""Most CPU of ours, in units of the three libraries'."""
ROUNDS = 9
# `import pydantic` alone loads next to nothing: its names load what is behind them.
CODE_BY_NAME = {
    "chalice, boto3, pydantic": (
        "import chalice, boto3\n"
        "from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError"
    ),
    "ours": "import app",
}
TIMED = """
import resource
def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
started_s = cpu_s()
{code}
print((cpu_s() - started_s) * 1000)
"""


def main() -> int:
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        tree = copied_tree(Path(folder))
        for label, keeps_bytecode in (("with byte code", True), ("without byte code", False)):
            found = _measured(tree, keeps_bytecode=keeps_bytecode)
            ours, peer = found["ours"], found["chalice, boto3, pydantic"]
            # Pair by pair: neighbours in time share the machine's speed, which drifts.
            ratio = statistics.median(a / b for a, b in zip(ours, peer, strict=True))
            worst = max(worst, ratio)
            print(f"import, {label}, CPU ms, median of {ROUNDS} fresh processes in turns")
            for name, cpu_ms in found.items():
                print(f"  {name:<26} {statistics.median(cpu_ms):7.1f}")
            print(f"  ratio, pair by pair        {ratio:7.2f} x (floor: at most {FLOOR})")
    return int(worst > FLOOR)


def copied_tree(folder: Path) -> Path:
    """The app's sources and the libraries it needs, in a place where byte code can be dropped."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copy(ROOT / "app.py", folder)
    shutil.copytree(ROOT / "chalicelib", folder / "chalicelib", ignore=ignored)
    return folder


def _measured(tree: Path, *, keeps_bytecode: bool) -> dict[str, list[float]]:
    """Without byte code, Python looks for it in an empty folder and writes none."""
    options = [] if keeps_bytecode else ["-B", "-X", f"pycache_prefix={tree / 'empty'}"]
    found: dict[str, list[float]] = {name: [] for name in CODE_BY_NAME}
    for number in range(ROUNDS + 1):
        for name, code in CODE_BY_NAME.items():
            cpu_ms = _cpu_ms(tree, options, code)
            if number > 0:  # the first run writes byte code and fills the file cache
                found[name].append(cpu_ms)
    return found


def _cpu_ms(tree: Path, options: list[str], code: str) -> float:
    ran = subprocess.run(
        [sys.executable, *options, "-c", TIMED.format(code=code)],
        cwd=tree,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(ran.stdout)


if __name__ == "__main__":
    sys.exit(main())
