"""Import FunctionRpc, the compiled protocol between the host and its workers."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any


def _load() -> Any:
    # The wheel of azure-functions-runtime-v1 carries the compiled protocol among its tests, as tests.protos.
    worker = find_spec("azure_functions_runtime_v1")
    assert worker is not None and worker.origin is not None
    folder = Path(worker.origin).parents[1] / "tests" / "protos"
    spec = spec_from_file_location("function_rpc", folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None and spec.loader is not None
    sys.modules["function_rpc"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


protos = _load()
