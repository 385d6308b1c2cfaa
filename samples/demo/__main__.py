"""The main job, start to end, on the offline cloud: versions, experiments between them, rewards.
Run by `make demo`; it talks through the doors users have: the aws CLI and HTTP."""

import argparse
import shutil
import sys
import time
from pathlib import Path

from localcloud.cloud import running
from samples.demo import experiments, rewards, shadow, versions
from samples.demo.doors import ROOT, STATE, DemoFailed, Doors, say, step
from samples.demo.experiments import PICTURE, Outcome
from samples.demo.rewards import Learnt
from samples.demo.versions import Summary


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m samples.demo", description=__doc__)
    parser.add_argument("--samples", type=Path, required=True, help="what samples.build wrote")
    samples = parser.parse_args().samples
    shutil.rmtree(STATE, ignore_errors=True)
    started_at = time.monotonic()
    try:
        with running(ROOT, state=STATE, say=say) as cloud:
            doors = Doors(cloud)
            summary = versions.play(doors, samples)
            outcome = experiments.play(doors, samples)
            shadow.play(doors, samples)
            learnt = rewards.play(doors)
            _tell(summary, outcome, learnt, seconds=time.monotonic() - started_at)
    except DemoFailed as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    return 0


def _tell(summary: Summary, outcome: Outcome, learnt: Learnt, *, seconds: float) -> None:
    step("Summary")
    for (model, version), quality in summary.quality.items():
        live = summary.live_after_s[model, version]
        say(f"  {model:<15} {version}  live after {live:4.1f} s  {quality}")
    won, lost = outcome.promoted, outcome.rolled_back
    say(f"  rollback         {summary.rollback_ms:.0f} ms, no endpoint made")
    say(f"  ledger           {summary.ledger_entries} entries, chain intact")
    say(f"  hostile archive  refused with {summary.refusal}")
    say(f"  experiment       1.1.0 promoted after {won.units} units of {won.planned_units} planned")
    say(f"  broken release   1.2.0 rolled back after {lost.units} units, {lost.seconds:.0f} s")
    say(
        f"  rewards          {learnt.first_reward:+.2f} for the guide's question; retrained 1.1.0 "
        f"promoted after {learnt.trial.units} units"
    )
    say(f"  picture          {PICTURE.relative_to(ROOT)}")
    say(f"  whole demo       {seconds:.0f} s; the cloud was offline: `make run` keeps one up")


if __name__ == "__main__":
    sys.exit(main())
