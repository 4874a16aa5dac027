"""Each sample's files import each other as they do where they are deployed, from one flat folder."""

import sys
from pathlib import Path

sys.path += [str(file.parent) for file in sorted(Path(__file__).parent.glob("*/README.md"))]
