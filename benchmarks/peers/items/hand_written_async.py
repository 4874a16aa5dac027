"""Reads and answers what all of these do, written for API Gateway's payload 2.0 alone, with async functions."""

import asyncio

import hand_written

# One for the whole process, as clients need it; asyncio.run would make one at each call.
LOOP = asyncio.new_event_loop()


def lambda_handler(event, context):
    return LOOP.run_until_complete(handle(event))


async def handle(event):
    http = event["requestContext"]["http"]
    if http["method"] == "POST":
        return await create(event, http)
    if http["path"].startswith("/hello/"):
        return await hello(event)
    return await show(event, http)


async def hello(event):
    return hand_written.hello(event)


async def show(event, http):
    return hand_written.show(event, http)


async def create(event, http):
    return hand_written.create(event, http)
