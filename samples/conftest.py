"""Each sample's files import each other as they do where they are deployed, from one flat folder."""

import sys
from pathlib import Path

sys.path += [str(Path(__file__).parent / name) for name in ("hello", "rest_api")]
