"""What a body of 31 MiB costs, in shapes that are made to cost: CPU seconds, memory, longest turn.

``python bench/bodies.py`` runs this part of `make bench-memory` alone.
"""

import http.client
import os
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from rig import Bench, bench, build_name, need, resident_mib

SIZE = 31 << 20
CPU_S, FACTOR = 1.0, 3
START, END = b'{"model":"gpt-4o","messages":[],"x":', b"}"
RESPONSE = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}'
)
SHAPES: dict[str, tuple[bytes, bytes, bytes]] = {
    "one long string": (b'"', b"a", b'"'),
    "the same and an emoji": (b'"', b"a", b'\xf0\x9f\x98\x80"'),
    "emoji": (b'"', b"\xf0\x9f\x98\x80", b'"'),
    "spaces": (b"", b" ", b"1"),
    "empty strings": (b"[", b'"",', b'""]'),
    "empty lists": (b"[", b"[],", b"1]"),
    "backslashes": (b'"', b"\\\\", b'"'),
    "escaped quotes": (b'"', b'\\"', b'"'),
    "escaped surrogates": (b'"', b"\\ud83d", b'"'),
    "nesting": (b"", b"[", b""),
    "nested fields": (b"", b'{"x":', b""),
    "digits": (b"", b"1", b""),
    "strings with commas": (b"[", b'"a,\\n",', b"1]"),
}
"""What stands before, is repeated, and stands after."""


def body(shape: str) -> bytes:
    """Return a body of this shape."""
    before, again, after = SHAPES[shape]
    room = SIZE - len(START) - len(END) - len(before) - len(after)
    return START + before + again * (room // len(again)) + after + END


def sink() -> int:
    """Take bodies and answer them, as slowly as anybody; return the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as file:
            length = 0
            for line in iter(file.readline, b"\r\n"):
                if not line:
                    return
                if line.lower().startswith(b"content-length:"):
                    length = int(line[15:])
            while length > 0 and (piece := file.read(min(length, 1 << 16))):
                length -= len(piece)
            if length == 0:
                connection.sendall(head + b"content-length: %d\r\n\r\n" % len(RESPONSE) + RESPONSE)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return int(listener.getsockname()[1])


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    """Return the most that a process ever had resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def ask(port: int, data: bytes) -> int:
    """Send one body; return the status, or 0 where the connection broke."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with suppress(OSError):  # refused while it is being sent: the answer may be there
        connection.request("POST", "/v1/chat/completions", data)
    try:
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def others_wait_ms(port: int, until: threading.Event) -> float:
    """Return how long the slowest of the small requests took that came meanwhile."""
    worst = 0.0
    while not until.is_set():
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/v1/models")
        connection.getresponse().read()
        connection.close()
        worst = max(worst, time.monotonic() - began)
        until.wait(0.005)
    return worst * 1000


def measure(held: Bench) -> bool:
    """Print a line for each shape, each before a proxy of its own; return whether all hold."""
    document = {
        "backends": [{"name": "local", "inferenceServiceRef": {"name": "m"}}],
        "defaultRoute": "local",
    }
    upstream, good = sink(), True
    print(f"a body of {SIZE >> 20} MiB of   status   CPU s   MiB over idle   others waited ms")
    for shape in SHAPES:
        port, process = held.lockgate(upstream, document)
        ask(port, b'{"model":"gpt-4o","messages":[]}')
        idle, before, data = resident_mib(process.pid), cpu_s(process.pid), body(shape)
        over = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            others = pool.submit(others_wait_ms, port, over)
            status = ask(port, data)
            over.set()
        used, more = cpu_s(process.pid) - before, peak_mib(process.pid) - idle
        held.stop(process)
        print(f"  {shape:<22} {status:>6} {used:>8.2f} {more:>12.0f} {others.result():>16.0f}")
        good = good and status in {200, 400} and used < CPU_S and more < FACTOR * (SIZE >> 20)
    print(f"  wanted: under {CPU_S:.0f} s and {FACTOR * (SIZE >> 20)} MiB")
    return good


def main() -> None:
    """Print the table; exit status 1 where a body costs too much."""
    need("taskset")
    print(build_name())
    with bench() as held:
        sys.exit(0 if measure(held) else 1)


if __name__ == "__main__":
    main()
