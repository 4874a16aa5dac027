"""Ask a server again and again: `python load.py PORT TARGET CONNECTIONS SECONDS`.

Each of the kept connections has one request on its way at any time; it is sent again when its answer is read. So the server
always finds work, and this client, which looks at no more than the length and the status line, costs less than any server.
Prints how many answers came, in how many seconds.
"""

import socket
import sys
from time import perf_counter

port, target, count, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: */*\r\n\r\n".encode()
expected = b'{"hello":"Ada",'


def read_whole(connection):
    """Return the length of the first answer, after a check of its body. The others are as long."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    [length] = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < length:
        body += connection.recv(65536)
    assert body.replace(b" ", b"").startswith(expected), body
    return len(head) + 4 + length


connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
for connection in connections:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(request)
    size = read_whole(connection)

calls = [(connection.send, connection.recv) for connection in connections]
for send, _ in calls:
    send(request)
answers = 0
began = perf_counter()
end = began + seconds
while perf_counter() < end:
    for send, recv in calls:
        data = recv(size)
        while len(data) < size:
            if not (more := recv(size - len(data))):
                raise SystemExit("the server closed a connection")
            data += more
        if not data.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"the server answered {data!r}")
        send(request)
    answers += count
print(answers, perf_counter() - began)
