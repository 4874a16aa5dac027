"""Call a contender again and again: `python call_loop.py MODULE`.

For each line of input, `EVENT COUNT`, calls the handler so often with the event and prints the CPU seconds for one call, garbage
collection on; for a count of 0, prints the answer.
"""

import json
import sys
from importlib import import_module
from time import process_time

from events import EVENTS, LambdaContext

handler = import_module(sys.argv[1]).lambda_handler
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
        print(json.dumps(handler(event, context)), flush=True)
    else:
        print(timed(event, int(count)), flush=True)
