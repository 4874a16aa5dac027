"""`python -m portable_fn`: the same as the command `portable-fn`."""

import sys

from portable_fn.cli import main

sys.exit(main())
