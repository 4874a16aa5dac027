"""What `make` installs is pinned by version and by hash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pins(text: str) -> dict[str, list[str]]:
    """By `name==version`, with its marker if it has one, the hashes that follow it."""
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE | re.IGNORECASE)
    return {
        re.split(r"\s*[;\\\n]", entry)[0]: re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)
        for entry in entries
        if "==" in entry.partition("\n")[0]
    }


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_each_package_that_make_installs_has_its_version_and_its_hashes(lock: Path) -> None:
    found = pins(lock.read_text())
    assert found
    assert [] == [name for name, hashes in found.items() if not hashes]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_index_and_no_file(lock: Path) -> None:
    assert None is re.search(r"://|^-|@ ", lock.read_text(), re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_the_locks_have_the_versions_of_constraints(lock: Path) -> None:
    constraints = (ROOT / "constraints.txt").read_text()
    wanted = {line.partition(";")[0].strip() for line in constraints.splitlines()}
    names = {pin.partition("==")[0] for pin in wanted}
    found = {pin for pin in pins(lock.read_text()) if pin.partition("==")[0] in names}
    assert found <= wanted, "run make lock"
    if lock.name == "dev.txt":
        assert wanted == found, "constraints.txt names what nobody installs, or make lock wasn't run"
