"""Package the app: one zip, one CloudFormation template, checked before anyone can deploy them.
Run as `python -m tools.package --stage dev --out build/`; needs no AWS account."""

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from chalice.cli.factory import CLIFactory
from chalice.deploy.validate import validate_configuration

from tools import archive, template
from tools.archive import MIB, PackageRefused, Size

ZIP_NAME = "deployment.zip"
TEMPLATE_NAME = "template.yaml"
LARGEST_SHOWN = 8


def main() -> int:
    """Package and print the sizes; print one line and return 1 when the package is refused."""
    parser = argparse.ArgumentParser(prog="python -m tools.package", description=__doc__)
    parser.add_argument("--stage", default="dev", help="a stage of .chalice/config.json")
    parser.add_argument("--out", type=Path, default=Path("build"))
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--no-lint", action="store_true", help="for an app being written: faster")
    options = parser.parse_args()
    project, out = options.project.resolve(), options.out.resolve()
    try:
        size = package(project, stage=options.stage, out=out)
        if not options.no_lint:
            lint(out / TEMPLATE_NAME)
    except PackageRefused as refusal:
        print(f"package refused: {refusal}", file=sys.stderr)
        return 1
    _show(size, options.out)
    return 0


def package(project: Path, *, stage: str, out: Path) -> Size:
    """Write deployment.zip and template.yaml to out; refuse what AWS would refuse later."""
    out.mkdir(parents=True, exist_ok=True)
    size = archive.build(project, out / ZIP_NAME, cache=project / ".local" / "libraries")
    with tempfile.TemporaryDirectory() as scratch:
        raw = _chalice_template(_staged(project, Path(scratch)), stage=stage)
    if orphans := template.orphans(raw):
        raise PackageRefused(f"resources.yaml extends what the app lacks: {', '.join(orphans)}")
    (out / TEMPLATE_NAME).write_text(template.dump(template.finish(raw, stage=stage)))
    return size


def lint(path: Path) -> None:
    """Refuse a template that cfn-lint finds fault with."""
    linter = Path(sys.executable).parent / "cfn-lint"
    found = subprocess.run([linter, path], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        raise PackageRefused(f"cfn-lint: {found.stdout}{found.stderr}".strip())


def _staged(project: Path, stage_dir: Path) -> Path:
    """Copy what Chalice reads, with no requirements: the zip is ours, it makes the template.

    A copy keeps Chalice's own cache, which misses some changes, out of the way.
    """
    built = shutil.ignore_patterns("deployments", "deployed", "venv")
    shutil.copytree(project / ".chalice", stage_dir / ".chalice", ignore=built)
    compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(project / "chalicelib", stage_dir / "chalicelib", ignore=compiled)
    shutil.copy(project / "app.py", stage_dir)
    (stage_dir / "requirements.txt").touch()
    return stage_dir


def _chalice_template(staged: Path, *, stage: str) -> Any:
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")  # Chalice asks; nothing depends on it
    sys.dont_write_bytecode = True
    raw = staged / "raw"
    with contextlib.redirect_stdout(io.StringIO()):
        factory = CLIFactory(str(staged), environ=os.environ)
        config = factory.create_config_obj(stage)
        _validate(config, staged)
        packager = factory.create_app_packager(
            config,
            factory.create_package_options(),
            "cloudformation",
            "yaml",
            str(staged / ".chalice" / "resources.yaml"),
        )
        packager.package_app(config, str(raw), stage)
    return yaml.safe_load((raw / "sam.yaml").read_text())


def _validate(config: Any, staged: Path) -> None:
    """Run the checks that `chalice package` leaves out, and ask a policy of every function."""
    if config.chalice_stage not in config.config_from_disk.get("stages", {}):
        raise PackageRefused(f"stage {config.chalice_stage!r} is not in .chalice/config.json")
    for name, value in config.environment_variables.items():
        if not isinstance(value, str):  # Chalice dies of it while it loads the app
            raise PackageRefused(f"environment variable {name} is {value!r}, not a string")
    try:
        validate_configuration(config)
    except ValueError as error:
        raise PackageRefused(f"Chalice refuses the configuration: {error}") from error
    for name in _function_names(config.chalice_app):
        policy = config.scope(config.chalice_stage, name).iam_policy_file
        if policy is None or not (staged / ".chalice" / policy).is_file():
            raise PackageRefused(f"function {name!r} has no policy file (it asks for {policy!r})")


def _function_names(app: Any) -> list[str]:
    events = [source.name for source in app.event_sources]
    plain = [function.name for function in app.pure_lambda_functions]
    return ["api_handler"] * bool(app.routes) + sorted(events + plain)


def _show(size: Size, out: Path) -> None:
    print(f"{out / ZIP_NAME}: {size.zip_bytes / MIB:.1f} MiB, limit {_mib('zip')}")
    print(f"unzipped: {size.unzipped_bytes / MIB:.1f} MiB, limit {_mib('unzipped')}")
    for name, size_bytes in size.library_bytes[:LARGEST_SHOWN]:
        print(f"  {size_bytes / MIB:6.2f} MiB  {name}")
    print(f"{out / TEMPLATE_NAME}: validated")


def _mib(what: str) -> str:
    limits = {"zip": archive.ZIP_LIMIT_BYTES, "unzipped": archive.UNZIPPED_LIMIT_BYTES}
    return f"{limits[what] // MIB} MiB"


if __name__ == "__main__":
    sys.exit(main())
