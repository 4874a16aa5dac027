"""Azure's half of the wire: a request as host and worker hand it to a function, and its answer as the caller gets it.

The rules are the host's; see facts in the tests of the mock host, tests/runtimes/azure_host, around the real worker.
"""

from __future__ import annotations
