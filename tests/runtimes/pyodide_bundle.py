"""The Pyodide bundle that workerd otherwise downloads, assembled from the same release in npm's `pyodide`.

It is not byte-identical to production's: the edits to the glue below are ours.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Final

# The name workerd looks for under --pyodide-bundle-disk-cache-dir when a Worker has python_workers_development.
FILE_NAME: Final = "pyodide_dev.capnp.bin"

IMPORT: Final = (
    "import {getRandomValues, newWasmModule, patchedLoadLibData} from 'pyodide-internal:builtin_wrappers';\n"
)

EDITS: Final = (
    # Else "WebAssembly stack switching not supported in this JavaScript runtime", as Pyodide may compile no probe.
    ("new WebAssembly.Module(", "newWasmModule("),
    # Else "Disallowed operation called within global scope", for the seeds that workerd grants to imports.
    ("return view=>crypto.getRandomValues(view)", "return view=>getRandomValues(Module,view)"),
    # Else "could not load dynamic lib … Invalid call to `WebAssembly.Module`", for a wheel's .so.
    (
        "return loadWebAssemblyModule(loadLibData(),flags,",
        "return loadWebAssemblyModule(patchedLoadLibData(Module,libName,flags.rpath),flags,",
    ),
    # Else "does not provide an export named '_createPyodideModule'".
    ("export default _createPyodideModule", "export {_createPyodideModule}"),
)

SOURCE, WASM, DATA = range(3)  # the union of workerd's modules.capnp Module
INTERNAL = 2  # its ModuleType


def bundle(pyodide: Path, cache: Path) -> Path:
    """The folder for --pyodide-bundle-disk-cache-dir, made from an npm `pyodide` package unless it is there."""
    edition = hashlib.sha256(Path(__file__).read_bytes() + (pyodide / "package.json").read_bytes()).hexdigest()[:12]
    folder = cache / f"pyodide-{edition}"
    target = folder / FILE_NAME
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{FILE_NAME}.{os.getpid()}"
        partial.write_bytes(
            message(
                [
                    ("pyodideRuntime-internal:pyodide.asm", SOURCE, glue((pyodide / "pyodide.asm.mjs").read_text())),
                    ("pyodideRuntime-internal:pyodide.asm.wasm", WASM, (pyodide / "pyodide.asm.wasm").read_bytes()),
                    ("pyodideRuntime-internal:python_stdlib.zip", DATA, (pyodide / "python_stdlib.zip").read_bytes()),
                ]
            )
        )
        partial.replace(target)
    return folder


def glue(script: str) -> bytes:
    """Pyodide's JavaScript as workerd wants it."""
    for seen, wanted in EDITS:
        if seen not in script:
            raise ValueError(f"pyodide.asm.mjs has no {seen!r}; the pins of pyodide and workerd belong together")
        script = script.replace(seen, wanted)
    return (IMPORT + script).encode()


def message(modules: list[tuple[str, int, bytes]]) -> bytes:
    """`Bundle {modules :List(Module)}` as a Cap'n Proto message of one segment.

    A Module is one data word (its type, then the union's tag, 16 bits each) and four pointers: name, body, and two
    that stay null. https://capnproto.org/encoding.html
    """
    size = 1 + 4
    table, heap = b"", b""
    bodies = 3 + size * len(modules)  # words before the heap: root, list, tag, Modules
    for index, (name, kind, body) in enumerate(modules):
        pointer = 3 + size * index + 1
        table += struct.pack("<HHI", INTERNAL, kind, 0)
        for payload in (name.encode() + b"\0", body):
            offset = bodies + len(heap) // 8 - pointer - 1
            table += struct.pack("<II", offset << 2 | 1, len(payload) << 3 | 2)
            heap += payload + bytes(-len(payload) % 8)
            pointer += 1
        table += bytes(16)
    root = struct.pack("<IHH", 0, 0, 1)
    words = struct.pack("<II", 1, size * len(modules) << 3 | 7)
    tag = struct.pack("<IHH", len(modules) << 2, 1, 4)
    segment = root + words + tag + table + heap
    return struct.pack("<II", 0, len(segment) // 8) + segment
