"""Call a contender again and again: `python call_loop.py MODULE [EVENTS]`, the latter a module that has some.

For each line of input, `EVENT COUNT`, calls the handler so often with the event and prints the CPU seconds for one call, garbage
collection on; for a count of 0, prints the answer, with the contender's own TOTAL where it has one; for -1, the most bytes that a
call had allocated.
"""

import json
import sys
import tracemalloc
from importlib import import_module
from time import process_time

from events import LambdaContext

contender = import_module(sys.argv[1])
handler = contender.lambda_handler
EVENTS = import_module(sys.argv[2] if len(sys.argv) > 2 else "events").EVENTS
context = LambdaContext()


def timed(event, count):
    began = process_time()
    for _ in range(count):
        handler(event, context)
    return (process_time() - began) / count


for line in sys.stdin:
    name, count = line.split()
    event = EVENTS[name]
    if count == "0":
        total = getattr(contender, "TOTAL", None)
        if total is not None:
            total[0] = 0
        answer = handler(event, context)
        print(json.dumps(answer if total is None else [answer, total[0]]), flush=True)
    elif count == "-1":
        tracemalloc.start()
        handler(event, context)
        print(tracemalloc.get_traced_memory()[1], flush=True)
        tracemalloc.stop()
    else:
        print(timed(event, int(count)), flush=True)
