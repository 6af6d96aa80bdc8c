"""All hostile candidates, by what they attack: each module here may have a list of them."""

from __future__ import annotations

import importlib
import pkgutil

_MODULES = [importlib.import_module(f"{__name__}.{one.name}") for one in pkgutil.iter_modules(__path__)]
ALL = [one for module in _MODULES for one in getattr(module, "HOSTILE", [])]
