"""The emulators that come with Google's command line: found on the machine, since no registry has them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.runtimes.environments import Unavailable


def emulator(jar: str) -> list[str | Path]:
    """The start of the command that runs with a jar of the Cloud SDK's folder `platform` on its class path."""
    if shutil.which("java") is None:
        raise Unavailable("java is not on this machine")
    gcloud = shutil.which("gcloud")
    homes = [Path(os.environ["CLOUDSDK_ROOT_DIR"])] if "CLOUDSDK_ROOT_DIR" in os.environ else []
    homes += [Path(gcloud).resolve().parents[1]] if gcloud else []
    found = [path for home in homes for path in sorted(home.glob(f"platform/{jar}"))]
    if not found:
        raise Unavailable(f"no {jar} of the Google Cloud SDK on this machine")
    # Half of the start goes to the optimising compiler, which so short a life never repays.
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp", found[-1]]
