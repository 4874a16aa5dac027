"""Each sample's entry files give what their providers look for, and import nothing from elsewhere.

On the real runtimes, and for Cloudflare only there: tests/test_samples_on_real_runtimes.py.
"""

import ast
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SAMPLES = {"hello": "hello", "rest_api": "items"}
ENTRIES = {
    "aws": ("lambda_function", "lambda_handler", ""),
    "gcp": ("main", None, "functions_framework"),
    "azure": ("function_app", "app", "azure.functions"),
    "asgi": ("asgi", "app", ""),
}


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("provider", ENTRIES)
def test_an_entry_file_has_what_its_provider_calls(sample, provider):
    file, name, needs = ENTRIES[provider]
    if needs:
        pytest.importorskip(needs, exc_type=ModuleNotFoundError)
    spec = spec_from_file_location(f"{sample}_{file}", Path(__file__).parent / sample / f"{file}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)

    entry = getattr(module, name or SAMPLES[sample])
    assert callable(entry)


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_imports_only_its_own_files_and_portable_fn(sample):
    files = list((Path(__file__).parent / sample).glob("*.py"))
    own = {file.stem for file in files} | {"pydantic", "pytest"}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for root in {name.partition(".")[0] for name in names}:
                assert root in own | sys.stdlib_module_names or root.startswith("portable_fn"), (file.name, root)
