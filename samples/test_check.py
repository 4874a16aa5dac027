"""What `portable-fn check` says of the samples."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("typer", exc_type=ModuleNotFoundError)

LOSE_NOTHING = ["image_upload/thumbnails", "orders/orders", "daily_report/report", "clickstream/clicks", "fan_out/fan_out", "pipeline/pipeline"]  # fmt: skip


def check(module, *options):
    """The exit code and the lines."""
    file = Path(__file__).parent / f"{module}.py"
    command = [sys.executable, "-m", "portable_fn", "check", file.name, *options]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, cwd=file.parent, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("module", LOSE_NOTHING)
def test_a_sample_loses_nothing_on_any_provider(module):
    code, lines = check(module)

    assert 0 == code, lines
    assert [] == [line for line in lines if "data may be lost: " in line]


def test_azure_s_change_feed_doesn_t_tell_the_audit_of_removals():
    code, lines = check("audit/audit", "--for", "azure")

    assert 1 == code
    assert ["deletes"] == [line.split(": ")[3] for line in lines if "data may be lost: " in line]
    assert 0 == check("audit/audit", "--for", "aws,gcp,asgi")[0]
