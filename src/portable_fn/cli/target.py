"""TARGET: the file or module that the command names, and the portable functions in it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from portable_fn.binding import Binding
from portable_fn.cli.failure import IMPORT, Failure


@dataclass(frozen=True)
class Target:
    """A file (`path/to/app.py`) or a module (`package.module`), and perhaps the name of one function in it."""

    place: str
    function: str = ""

    @classmethod
    def parse(cls, text: str) -> Target:
        """What TARGET says: `app.py:hello`, `package.module:hello`, or either without a function."""
        place, colon, function = text.rpartition(":")
        if not colon or not function.isidentifier():
            place, function = text, ""
        if place.endswith(".py") or "/" in place or "\\" in place:
            if not Path(place).is_file():
                raise Failure(f"no such file: {place}")
        elif not all(part.isidentifier() for part in place.split(".")):
            raise Failure(f"{place!r} is neither a file such as app.py nor a module such as package.module")
        return cls(place, function)

    @contextmanager
    def imported(self) -> Iterator[list[Binding]]:
        """The functions of a fresh import, which ends with the block: each provider gets a process of its own, too."""
        before = set(sys.modules)
        folder = Path(self.place).resolve().parent if self._is_file else Path.cwd()
        sys.path.insert(0, str(folder))
        try:
            module = self._import(folder)
            file = getattr(module, "__file__", None)
            folder = Path(file).resolve().parent if file else folder
            yield self._functions(module)
        finally:
            sys.path.remove(str(folder if self._is_file else Path.cwd()))
            for name in set(sys.modules) - before:
                if _belongs_to(folder, name, sys.modules[name]):
                    del sys.modules[name]

    @property
    def _is_file(self) -> bool:
        return not all(part.isidentifier() for part in self.place.split(".")) or self.place.endswith(".py")

    def _import(self, folder: Path) -> ModuleType:
        importlib.invalidate_caches()
        try:
            if self._is_file:
                return _from_file(Path(self.place).resolve())
            return importlib.import_module(self.place)
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            if isinstance(exc, ModuleNotFoundError) and f"{self.place}.".startswith(f"{exc.name}."):
                raise Failure(f"no module {exc.name!r} in {folder} or installed") from exc
            raise Failure(f"{_where(exc, folder)}{_what(exc)}", IMPORT) from exc

    def _functions(self, module: ModuleType) -> list[Binding]:
        inside = {
            name: value.__portable__ for name, value in vars(module).items() if isinstance(value, _Portable)
        }
        known = f"with @portable are {', '.join(inside)}" if inside else "no function has @portable"
        if self.function:
            if self.function in inside:
                return [inside[self.function]]
            if hasattr(module, self.function):
                raise Failure(f"{self.function} in {self.place} has no @portable; {known}")
            raise Failure(f"no function {self.function!r} in {self.place}; {known}")
        if not inside:
            raise Failure(f"{self.place}: {known}")
        return list({id(binding): binding for binding in inside.values()}.values())
