"""Each sample's entry files give what their providers look for, and import nothing from elsewhere.

On the real runtimes, and for Cloudflare only there: tests/project/test_samples_on_real_runtimes.py.
"""

import ast
import json
import re
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import pytest

# The target of each on Google.
SAMPLES = {
    "hello": "hello",
    "rest_api": "items",
    "image_upload": "thumbnail",
    "orders": "ship",
    "daily_report": "daily_report",
    "clickstream": "gather",
    "audit": "audit",
    "fan_out": "orders_placed",
    "pipeline": "reserve",
}
# What a sample may import besides its own files, Pydantic and portable_fn.
PACKAGES = {"image_upload": {"PIL", "azure", "boto3", "google", "js", "pyodide"}, "pipeline": {"azure"}}
# What an entry file needs that may not be there.
NEEDS = {("pipeline", "azure"): "azure.durable_functions"}
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
    if needs := NEEDS.get((sample, provider), needs):
        pytest.importorskip(needs, exc_type=ModuleNotFoundError)
    spec = spec_from_file_location(f"{sample}_{file}", Path(__file__).parent / sample / f"{file}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)

    entry = getattr(module, name or SAMPLES[sample])
    assert callable(entry)


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_imports_only_its_own_files_and_portable_fn(sample):
    folder = Path(__file__).parent / sample
    files = [*folder.glob("*.py"), *folder.glob("src/worker.py")]
    own = {file.stem for file in files} | {"pydantic", "pytest"} | PACKAGES.get(sample, set())
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for root in {name.partition(".")[0] for name in names}:
                assert root in own | sys.stdlib_module_names or root.startswith("portable_fn"), (file.name, root)


def settings(sample):
    """The sample's wrangler.jsonc, which has no comments."""
    return json.loads((Path(__file__).parent / sample / "wrangler.jsonc").read_text())


def triggers(sample):
    """Those of the sample's functions."""
    modules = {"image_upload": "thumbnails", "daily_report": "report", "clickstream": "clicks"}
    module = import_module(modules.get(sample, sample))
    return [one for function in vars(module).values() for one in getattr(function, "__portable__", _NONE).triggers]


_NONE = SimpleNamespace(triggers=())


@pytest.mark.parametrize("sample", ["orders", "clickstream", "fan_out"])
def test_cloudflare_s_settings_have_the_queue_that_the_code_names(sample):
    (queue,) = settings(sample)["queues"]["consumers"]

    assert {queue["queue"]} == {one.name for one in triggers(sample)}


@pytest.mark.parametrize("sample", ["image_upload", "orders", "clickstream", "fan_out"])
def test_cloudflare_s_settings_bind_the_queue_for_what_is_rejected(sample):
    bound = {one["binding"]: one["queue"] for one in settings(sample)["queues"]["producers"]}

    assert {name: name for name in bound if name != "QUEUE"} == {
        one.dead_letter: one.dead_letter for one in triggers(sample)
    }


def test_cloudflare_s_settings_have_the_schedule_that_the_code_has():
    assert settings("daily_report")["triggers"]["crons"] == [one.cron for one in triggers("daily_report")]


@pytest.mark.parametrize("file", ["state_machine.asl.json", "workflow.yaml", "function_app.py"])
def test_each_workflow_names_the_errors_that_the_step_raises(file):
    module = vars(import_module("pipeline"))
    classes = [(name, one) for name, one in module.items() if isinstance(one, type) and issubclass(one, Exception)]
    errors = {name for name, one in classes if one.__module__ == "pipeline"}
    text = (Path(__file__).parent / "pipeline" / file).read_text()

    assert errors == set(re.findall("|".join(errors), text))
