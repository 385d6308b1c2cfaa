"""The rules of the house as functions over source text: floors, rooms, purity and sizes.
Reads no file, so that the rules themselves can be tested."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"kit", "stats"}),
    frozenset({"ledger", "receipts"}),
    frozenset({"registry"}),
    frozenset({"deployments"}),
    frozenset({"experiments"}),
    frozenset({"serving", "gateway"}),
    frozenset({"tuning", "training", "search"}),
    frozenset({"monitoring"}),
    frozenset({"rewards", "incidents"}),
    frozenset({"about"}),
    frozenset({"app"}),
)
"""From the ground up; imports go down only."""

PUBLIC_ROOMS = {
    "registry": frozenset({"service", "model", "metrics", "semver", "registration", "uploads"}),
    "experiments": frozenset({"service", "model", "traffic", "assignment", "events"}),
    "training": frozenset({"service", "model", "episodes"}),
}
"""What other features may see; of a feature that is not named here, DEFAULT_PUBLIC_ROOMS."""
DEFAULT_PUBLIC_ROOMS = frozenset({"service", "model"})

PURE_ROOMS = frozenset(
    {
        *("model", "metrics", "semver", "stages", "uploads", "routing", "comparing"),
        *("openapi", "page"),
        *("assignment", "traffic", "lifecycle", "events", "fold", "sums", "rule", "holds"),
        *("sizing", "plans", "assumptions", "batches", "episodes"),
    }
)
PURE_FOLDERS = frozenset({"archive", "analysis"})
PURE_KIT = frozenset({"errors", "clock", "values"})
DOORS = frozenset({"routes", "triggers"})
ONLY_IN: dict[str, frozenset[str]] = {
    "chalicelib.kit.http": frozenset({"routes", "about.openapi", "app"}),
    "chalicelib.kit.triggers": frozenset({"triggers"}),
    "chalice": frozenset({"routes", "triggers", "kit.http", "app"}),
    "boto3": frozenset({"kit.aws"}),
    "os": frozenset({"kit.settings"}),
}
"""Who may import what not everybody may: a room's name, or `feature.room`."""
NEVER_AT_MODULE_LEVEL = frozenset({"scipy", "statsmodels", "pandas", "openai", "numpy"})
IMPURE_IMPORTS = frozenset({"boto3", "botocore", "chalice", "os", "random", "secrets", "socket"})
IMPURE_CALLS = frozenset({"utc_now", "open", "print", "input"})
IMPURE_METHODS = frozenset({"now", "utcnow", "today"})

MOST_FILE_LINES, MOST_FUNCTION_LINES, MOST_APP_LINES = 300, 40, 80


@dataclass(frozen=True, order=True)
class Breach:
    """A broken rule: where, and which."""

    file: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}"


@dataclass(frozen=True)
class Module:
    """A module of ours, by its dotted name (`app`, `chalicelib.registry.model`)."""

    name: str
    text: str

    @property
    def file(self) -> str:
        return self.name.replace(".", "/") + ".py"

    @property
    def feature(self) -> str:
        return self.name.split(".")[1] if "." in self.name else self.name

    @property
    def room(self) -> str:
        return self.name.split(".")[-1]

    @property
    def is_pure(self) -> bool:
        is_feature = self.feature not in ("kit", "app")
        in_pure_folder = not PURE_FOLDERS.isdisjoint(self.name.split("."))
        is_pure_room = self.room in PURE_ROOMS or in_pure_folder or self.feature == "stats"
        return is_feature and is_pure_room


@dataclass(frozen=True)
class Import:
    line: int
    target: str
    at_module_level: bool


def breaches(texts: Mapping[str, str]) -> list[Breach]:
    """Every broken rule in the modules, given as source text by dotted name."""
    found: list[Breach] = []
    for name, text in texts.items():
        module = Module(name, text)
        tree = ast.parse(text)
        imports = list(imports_of(tree, texts.keys()))
        found += _sizes(module, tree)
        found += _docstring(module, tree)
        for imported in imports:
            rules = [*_floors(module, imported), *_rooms(module, imported)]
            found += [Breach(module.file, imported.line, rule) for rule in rules]
        if module.is_pure:
            found += _impure_calls(module, tree)
    return sorted([*found, *_cycles(texts)])


def imports_of(tree: ast.Module, known: object) -> Iterator[Import]:
    """Each imported module; `from package import module` is an import of the module."""
    top = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, node in top)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            base = node.module or ""
            for alias in node.names:
                whole = f"{base}.{alias.name}"
                target = whole if whole in known else base  # type: ignore[operator]
                yield Import(node.lineno, target, node in top)


def _sizes(module: Module, tree: ast.Module) -> Iterator[Breach]:
    lines = len(module.text.splitlines())
    most = MOST_APP_LINES if module.name == "app" else MOST_FILE_LINES
    if lines > most:
        yield Breach(module.file, 1, f"the file has {lines} lines, at most {most} are allowed")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MOST_FUNCTION_LINES:
                rule = f"{node.name} has {length} lines, at most {MOST_FUNCTION_LINES} are allowed"
                yield Breach(module.file, node.lineno, rule)


def _docstring(module: Module, tree: ast.Module) -> Iterator[Breach]:
    if not module.text.strip():
        return
    lines = [line for line in (ast.get_docstring(tree) or "").splitlines() if line.strip()]
    if len(lines) < 2:
        rule = "the module's docstring says in two lines what lives here and what never does"
        yield Breach(module.file, 1, rule)


def _floors(module: Module, imported: Import) -> Iterator[str]:
    target = Module(imported.target, "")
    if not imported.target.startswith("chalicelib.") or target.feature == module.feature:
        return
    if target.feature not in _FLOOR or module.feature not in _FLOOR:
        yield f"{module.feature} or {target.feature} has no floor in the house"
    elif _FLOOR[target.feature] >= _FLOOR[module.feature]:
        yield f"{module.feature} imports {target.feature}, which is not on a floor below it"
    elif target.feature not in ("kit", "stats") and module.name != "app":
        public = PUBLIC_ROOMS.get(target.feature, DEFAULT_PUBLIC_ROOMS)
        is_at_the_front = target.name.count(".") <= 2
        if target.room not in public or not is_at_the_front:
            yield f"{imported.target} is not a public room of {target.feature}"


def _rooms(module: Module, imported: Import) -> Iterator[str]:
    target = Module(imported.target, "")
    for name, allowed in ONLY_IN.items():
        is_it = imported.target == name or imported.target.startswith(f"{name}.")
        if is_it and not {module.room, f"{module.feature}.{module.room}"} & allowed:
            yield f"only {', '.join(sorted(allowed))} may import {name}"
    if imported.at_module_level and imported.target.split(".")[0] in NEVER_AT_MODULE_LEVEL:
        yield f"{imported.target} is too slow to import at module level"
    is_ours = imported.target.startswith("chalicelib.")
    if is_ours and target.room in DOORS and target.feature != "kit" and module.name != "app":
        yield f"{imported.target} is a door: only app.py imports it"
    if module.is_pure:
        yield from _purity(module, imported, target)
    if module.room == "store" and target.feature == module.feature and not target.is_pure:
        yield f"a store sees no other room than the pure ones, not {imported.target}"


def _purity(module: Module, imported: Import, target: Module) -> Iterator[str]:
    if imported.target.split(".")[0] in IMPURE_IMPORTS:
        yield f"a pure room must not import {imported.target}"
    if not imported.target.startswith("chalicelib.") or imported.target == "chalicelib.kit.http":
        return
    if target.feature == "kit" and target.room not in PURE_KIT:
        yield f"a pure room must not import {imported.target}"
    if target.feature not in ("kit", "stats") and not target.is_pure:
        yield f"a pure room imports pure rooms only, not {imported.target}"


def _impure_calls(module: Module, tree: ast.Module) -> Iterator[Breach]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        base = called.value if isinstance(called, ast.Attribute) else None
        is_clock = isinstance(base, ast.Name) and base.id == "time"
        is_now = isinstance(called, ast.Attribute) and called.attr in IMPURE_METHODS
        is_named = isinstance(called, ast.Name) and called.id in IMPURE_CALLS
        is_of_a_type = isinstance(base, ast.Name) and base.id != "self"
        if is_clock or (is_now and is_of_a_type) or is_named:
            rule = f"a pure room must not call {ast.unparse(called)}"
            yield Breach(module.file, node.lineno, rule)


def _cycles(texts: Mapping[str, str]) -> Iterator[Breach]:
    """Modules from which a chain of imports leads back to them."""
    targets = {
        name: {found.target for found in imports_of(ast.parse(text), texts.keys())} & texts.keys()
        for name, text in texts.items()
    }
    for name in texts:
        reached: set[str] = set()
        waiting = set(targets[name])
        while waiting:
            reached |= waiting
            waiting = {onward for one in waiting for onward in targets[one]} - reached
        if name in reached:
            yield Breach(Module(name, "").file, 1, "the module imports itself by a cycle")


_FLOOR = {feature: number for number, features in enumerate(FLOORS) for feature in features}
