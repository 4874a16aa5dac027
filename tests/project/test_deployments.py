"""The samples' deployment commands, run as far as they go without an account, and what they make of a sample's folder."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

import portable_fn_aws.simulate
from portable_fn.testing import fake
from tests.runtimes.aws import emulator
from tests.runtimes.azure import azure_functions
from tests.runtimes.environments import ROOT, Unavailable, npm, pythons, venv
from tests.runtimes.process import free_ports, serving
from tests.runtimes.wire import send

pytestmark = pytest.mark.runtime

SAMPLES = sorted(file.parent.name for file in (ROOT / "samples").glob("*/lambda_function.py"))
WORKERS = sorted(file.parents[1].name for file in (ROOT / "samples").glob("*/src/worker.py"))
RUNNING = "{}.{}".format(*sys.version_info)
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
# What an account, or another tool, is needed for.
NEEDS_MORE = (
    "aws ",
    "gcloud ",
    "az ",
    "func ",
    "for name in",
    "    az ",
    "done",
    "npm ",
    "npx ",
    "uv ",
    "uvicorn ",
    "pytest",
)


def commands(sample: str, target: str) -> list[str]:
    """The lines of the README that deploy the sample to the target, those with a backslash at their end joined."""
    readme = (ROOT / "samples" / sample / "README.md").read_text()
    block = re.search(rf"^\*\*{re.escape(target)}\*\*.*?^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert block, f"{sample}/README.md has no commands for {target}"
    return block[1].replace("\\\n", " ").splitlines()


def documentation() -> str:
    return "\n".join(page.read_text() for page in sorted((ROOT / "docs").rglob("*.md")))


@cache
def wheel() -> Path:
    folder = Path(mkdtemp(prefix="portable_fn-"))
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def installed(arguments: tuple[str, ...]) -> Path:
    """The folder that `pip install` with the arguments makes, `--target` aside; portable-fn is the wheel of this checkout."""
    names = tuple(re.sub(r"^portable-fn(?=$|\[)", str(wheel()), word) for word in arguments)
    return _installed(names)


@cache
def _installed(arguments: tuple[str, ...]) -> Path:
    folder = Path(mkdtemp(prefix="portable_fn-"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(folder)]
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run([*pip, *arguments], env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return folder


def staged(sample: str, target: str, folder: Path, *, replacing: dict[str, str] | None = None) -> Path:
    """Copy the sample and run its commands for the target, except those that need an account."""
    here = folder / sample
    ignored = shutil.ignore_patterns("__pycache__", "python_modules", "package", "node_modules")
    shutil.copytree(ROOT / "samples" / sample, here, ignore=ignored)
    for command in commands(sample, target):
        if command.startswith(NEEDS_MORE):
            continue
        line = command
        for old, new in (replacing or {}).items():
            assert old in line or not line.startswith("pip "), f"{line!r} has no {old!r}"
            line = line.replace(old, new)
        words = shlex.split(line)
        if words[:2] == ["pip", "install"]:
            place = words.index("--target")
            made = installed((*words[2:place], *words[place + 2 :]))
            shutil.copytree(made, here / words[place + 1])
        else:
            subprocess.run(["bash", "-ec", line], cwd=here, check=True, capture_output=True)
    return here


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_the_zip_for_lambda_holds_what_runs_on_lambdas_machine_and_python(
    sample: str, machine: str, tmp_path: Path
) -> None:
    here = staged(sample, "AWS Lambda", tmp_path, replacing={"x86_64": machine})

    package = here / "package"
    assert (package / "lambda_function.py").exists()
    assert (package / "portable_fn_aws" / "entry.py").exists()
    compiled = [file.name for file in package.rglob("*.so")]
    assert [] == [name for name in compiled if f"cpython-313-{machine}-linux" not in name and ".abi3." not in name]
    assert (here / "function.zip").stat().st_size < 50_000_000, "what Lambda takes without a bucket"


def test_uv_brings_the_same_packages_for_arm64_as_the_docs_say(tmp_path: Path) -> None:
    text = documentation()
    (command,) = re.findall(r"^uv pip install .*", text, re.MULTILINE)
    words = shlex.split(command)
    assert ["uv", "pip", "install", "--target", "package"] == words[:5]
    words[3:5] = ["--target", str(tmp_path)]
    words[-1] = words[-1].replace("portable-fn", str(wheel()))

    subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, check=True, capture_output=True)

    by_pip = installed(
        (
            "--platform",
            "manylinux2014_aarch64",
            "--python-version",
            "3.13",
            "--only-binary",
            ":all:",
            "portable-fn[pydantic]",
        )
    )
    packages = [{file.parent.name for file in folder.glob("*.dist-info/METADATA")} for folder in (tmp_path, by_pip)]
    assert packages[0] == packages[1]


@pytest.mark.parametrize("python", sorted({RUNNING, "3.13"}))
@pytest.mark.parametrize("sample", ["hello", "rest_api"])
def test_the_zip_for_lambda_answers_under_awslambdaric(sample: str, python: str, tmp_path: Path) -> None:
    if python not in pythons():
        raise Unavailable(f"Python {python} is not on this machine")
    machine = MACHINES[platform.machine().lower()]
    here = staged(sample, "AWS Lambda", tmp_path, replacing={"3.13": python, "x86_64": machine})
    task = tmp_path / "task"
    shutil.unpack_archive(here / "function.zip", task)
    path = {"hello": "/hello/Ada", "rest_api": "/items/missing"}[sample]
    simulate = portable_fn_aws.simulate

    with emulator(task, "lambda_function.lambda_handler", python=pythons()[python]) as function:
        payload = simulate.payload(fake.request("GET", path), "http_api")
        answer = simulate.answer(function.invoke(payload), "http_api")

    assert {"hello": 200, "rest_api": 404}[sample] == answer.status
    assert answer.json()


@pytest.mark.parametrize("sample", [name for name in WORKERS if name != "image_upload"])
def test_wrangler_uploads_the_worker_and_what_it_imports_and_nothing_else(sample: str, tmp_path: Path) -> None:
    here = staged(sample, "Cloudflare Workers", tmp_path)
    for stray in (".venv/lib/site.py", "node_modules/tool/setup.py", "test_more.py"):
        (here / stray).parent.mkdir(parents=True, exist_ok=True)
        (here / stray).write_text("")

    said = wrangler(here, "deploy", "--dry-run", "--outdir", str(tmp_path / "out"))

    own = {file.name for file in (here / "src").glob("*.py")} - {"worker.py"}
    vendored = [file for file in (here / "python_modules").rglob("*") if file.is_file()]
    (total,) = re.findall(r"Total \((\d+) modules?\)", said)
    assert own == set(re.findall(r"│ (\w+\.py) +│ python", said))
    assert len(own) < int(total) <= len(own) + len(vendored)
    assert int(total) < 600
    (size,) = re.findall(r"Total Upload: ([\d.]+) KiB", said)
    assert float(size) < 10_240


def wrangler(folder: Path, *arguments: str) -> str:
    """What wrangler prints, by the Node that npm has, since wrangler needs version 22 or later."""
    modules = npm("wrangler") / "node_modules"
    nodes = [str(node) for node in modules.glob("node-linux-*/bin/node")]
    if not nodes:
        raise Unavailable("npm has a Node 22 for Linux only")
    variables = {**os.environ, "CI": "1", "WRANGLER_SEND_METRICS": "false", "HOME": str(folder.parent)}
    command = [nodes[0], str(modules / "wrangler" / "bin" / "wrangler.js"), *arguments]
    result = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING" not in result.stdout + result.stderr
    return result.stdout


def required(here: Path) -> Path:
    """What the requirements.txt of a staged folder brings, for this Python."""
    lines = tuple((here / "requirements.txt").read_text().split())
    return installed(("--constraint", str(ROOT / "constraints.txt"), *lines))


@pytest.mark.parametrize(("sample", "target"), [("hello", "hello"), ("rest_api", "items"), ("orders", "ship")])
def test_google_s_framework_serves_the_folder_with_what_its_requirements_bring(
    sample: str, target: str, tmp_path: Path
) -> None:
    here = staged(sample, "Google Cloud Functions", tmp_path)
    [port] = free_ports(1)
    command = [venv("gcp"), "-m", "functions_framework", "--source", here / "main.py", "--target", target]
    command += ["--host", "127.0.0.1", "--port", str(port)]

    with serving(command, port, cwd=here, pythonpath=[required(here)]) as server:
        answer = send(server.url, "GET", {"hello": "/hello/Ada"}.get(sample, "/nothing"), [], b"")

    assert (200 if sample == "hello" else 404) == answer.status


@pytest.mark.parametrize(("sample", "functions"), [("hello", {"http"}), ("orders", {"ship"}), ("audit", {"audit"})])
def test_azure_s_worker_indexes_the_folder_with_what_its_requirements_bring(
    sample: str, functions: set[str], tmp_path: Path
) -> None:
    here = staged(sample, "Azure Functions", tmp_path)
    places = [required(here), ROOT, here]  # the host that is played for the worker is in the tests

    with azure_functions(here, pythonpath=places) as host:
        assert len(functions) == len(host.functions)
        assert functions <= {one.name for one in host.functions} or sample == "hello"


@pytest.mark.parametrize("file", ["Dockerfile", "Dockerfile.cloud-run"])
def test_a_dockerfile_s_command_serves_the_files_that_it_copies(file: str, tmp_path: Path) -> None:
    sample = ROOT / "samples" / "hello"
    text = (sample / file).read_text()
    for line in re.findall(r"^COPY (.*) \./$", text, re.MULTILINE):
        for name in line.split():
            if name not in ("requirements.txt", "*.whl"):
                shutil.copy(sample / name, tmp_path / name)
    (command,) = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    program, *arguments = json.loads(command)
    [port] = free_ports(1)
    extra = {"uvicorn": "asgi", "functions-framework": "gcp"}[program]
    arguments = [str(port) if word == "8080" else word for word in arguments]
    module = [venv(extra), "-m", program.replace("-", "_"), *arguments]
    packages = installed(("--constraint", str(ROOT / "constraints.txt"), f"portable-fn[{extra}]"))

    # functions-framework listens on PORT, as Cloud Run sets it.
    with serving(module, port, cwd=tmp_path, pythonpath=[packages, tmp_path], env={"PORT": str(port)}) as server:
        answer = send(server.url, "GET", "/hello/Ada", [], b"")

    assert 200 == answer.status
    assert {"asgi": "asgi", "gcp": "gcp"}[extra] == json.loads(answer.body)["from"]


@pytest.mark.parametrize(
    ("page", "target"),
    [
        ("deploy-aws.md", "AWS Lambda"),
        ("deploy-gcp.md", "Google Cloud Functions"),
        ("deploy-azure.md", "Azure Functions"),
        ("deploy-cloudflare.md", "Cloudflare Workers"),
    ],
)
def test_a_page_packages_as_the_sample_does(page: str, target: str) -> None:
    text = (ROOT / "docs" / "how-to" / page).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text.replace("\\\n", " "), re.MULTILINE | re.DOTALL)
    packaging = [
        line
        for block in blocks
        for line in block.splitlines()
        if line.startswith(("pip install", "cp ", "(cd ", "echo "))
    ]

    assert packaging
    assert set(packaging) <= set(commands("hello", target))


def test_the_settings_for_azure_s_own_tools_are_those_that_the_docs_show() -> None:
    shown = documentation()
    settings = json.loads((ROOT / "samples" / "hello" / "local.settings.json").read_text())

    assert settings in [
        json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", shown, re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.parametrize("file", ["Dockerfile.cloud-run", "Dockerfile"])
def test_a_page_shows_the_dockerfile_of_the_sample(file: str) -> None:
    shown = re.findall(r"^```dockerfile\n(.*?)^```", documentation(), re.MULTILINE | re.DOTALL)
    text = (ROOT / "samples" / "hello" / file).read_text()

    assert text in shown
