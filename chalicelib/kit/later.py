"""Modules that are imported when something of them is first asked for, not before.
For doors of the HTTP function whose work is rare: every cold start would pay for it."""

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType


def imported_later(name: str) -> ModuleType:
    """The module of this name; an import of it elsewhere gives the same one.

    Raises ModuleNotFoundError at once for a name that is none.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"there is no module {name!r}", name=name)
    loader = LazyLoader(spec.loader)
    spec.loader = loader
    module = sys.modules[name] = module_from_spec(spec)
    loader.exec_module(module)
    parent, _, last = name.rpartition(".")
    setattr(sys.modules[parent], last, module)
    return module
