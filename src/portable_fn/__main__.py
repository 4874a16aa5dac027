"""Run the command `portable-fn` by `python -m portable_fn`."""

import sys

from portable_fn.cli import main

sys.exit(main())
