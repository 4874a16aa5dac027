"""Read TARGET: a file or module, and the portable functions in it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from portable_fn.adapter.binding import Binding
from portable_fn.cli.errors import IMPORT, Failure
from portable_fn.providers import nearest


@dataclass(frozen=True)
class Target:
    """A file (`path/to/app.py`) or a module (`package.module`), with or without the name of a function."""

    place: str
    function: str
    file: Path | None

    @classmethod
    def parse(cls, text: str) -> Target:
        """Parse TARGET: `app.py:hello`, `package.module:hello`, or either without a function."""
        place, _, function = text.rpartition(":")
        if not place or not function.isidentifier():
            place, function = text, ""
        if all(part.isidentifier() for part in place.split(".")) and not place.endswith(".py"):
            return cls(place, function, None)
        if not Path(place).is_file():
            raise Failure(f"no such file: {place}{_file_meant(place)}")
        return cls(place, function, Path(place).resolve())

    @contextmanager
    def imported(self) -> Generator[list[Binding]]:
        """Import the target again for the block, because each provider starts a new process, and return its functions."""
        before = dict(sys.modules)
        root = str(self.file.parent if self.file else Path.cwd())
        sys.path.insert(0, root)
        try:
            yield self._chosen(self._import(root))
        finally:
            sys.path.remove(root)
            for name, module in list(sys.modules.items()):
                if before.get(name) is module or not _is_of(self.file.parent if self.file else Path.cwd(), module):
                    continue
                # A module of the same name may have been there before.
                if name in before:
                    sys.modules[name] = before[name]
                else:
                    del sys.modules[name]

    def _import(self, root: str) -> ModuleType:
        importlib.invalidate_caches()
        try:
            return importlib.import_module(self.place) if self.file is None else _run(self.file)
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            if (
                self.file is None
                and isinstance(exc, ModuleNotFoundError)
                and f"{self.place}.".startswith(f"{exc.name}.")
            ):
                raise Failure(f"no module {exc.name!r}, neither installed nor in {root}{self._meant()}") from exc
            raise Failure(f"{place(exc)}: {what(exc)}", IMPORT) from exc

    def _meant(self) -> str:
        """Return "; is it shop:ship?" for shop.ship, if there is a module shop."""
        if meant := _file_meant(self.place):
            return meant
        module, _, function = self.place.rpartition(".")
        try:
            found = bool(module) and importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):
            found = False
        return f"; is it {module}:{function}?" if found and not self.function else ""

    def _chosen(self, module: ModuleType) -> list[Binding]:
        inside = _functions(module)
        if not self.function and inside:
            return list(inside.values())
        if self.function in inside:
            return [inside[self.function]]
        known = f"with @portable are {', '.join(inside)}" if inside else "no function there has @portable"
        if not self.function:
            raise Failure(f"{self.place}: {known}")
        if hasattr(module, self.function):
            raise Failure(f"{self.function} in {self.place} has no @portable; {known}")
        raise Failure(f"no function {self.function!r} in {self.place}{nearest(self.function, inside)}; {known}")


def _file_meant(place: str) -> str:
    """Return "; is it app.py:hello?" for app.py.hello and app.py/hello, if there is a file app.py."""
    file, _, function = place.rpartition(".py")
    meant = file and function[1:].isidentifier() and Path(f"{file}.py").is_file()
    return f"; is it {file}.py:{function[1:]}?" if meant else ""


def what(error: BaseException) -> str:
    """Return the error's type and message on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def _run(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise Failure(f"not a Python file: {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _functions(module: ModuleType) -> dict[str, Binding]:
    by_name: dict[str, Binding] = {}
    for name, value in vars(module).items():
        binding: Any = getattr(value, "__portable__", None)
        if isinstance(binding, Binding) and binding not in by_name.values():
            by_name[name] = binding
    return by_name


def _is_of(folder: Path, module: ModuleType) -> bool:
    """Whether the module is the user's and in the folder: not installed, and not ours."""
    file: str | None = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder) and is_own(file)


def place(error: BaseException) -> str:
    """Return the file and line of a syntax error, or else of the last line reached in the user's files."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{short(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    frame = next((frame for frame in reversed(frames) if is_own(frame.filename)), frames[-1])
    return f"{short(frame.filename)}:{frame.lineno}"


def is_own(file: str) -> bool:
    """Whether the file is the user's: not installed, not Python's, and not ours."""
    return (
        not file.startswith(("<", sys.prefix, sys.base_prefix, str(Path(__file__).parents[1])))
        and "portable_fn_" not in file
    )


def short(file: str) -> str:
    """Return a path relative to the current folder, if the file is in it."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
