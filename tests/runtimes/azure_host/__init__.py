"""Imitate the Azure Functions host around the real Python worker, in the worker's environment.

`__main__` starts all; `front` is the worker process; `worker` speaks gRPC with it; `rules` says what the host accepts
and which function a request is for; `http_messages` translates HTTP as the host does; `server` is its HTTP side.
"""
