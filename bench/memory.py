"""1,000 streams and fifty bodies of 8 MiB at once: what fits is served, the rest is told when.

Then single bodies of 31 MiB that are made to cost (`bodies.py`).

Prints the most memory the proxy ever held (VmHWM). The memory budget is stated in the policy, as a
container's limit of 256 MiB would make it.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import bodies
from rig import LOAD_CORE, RESPONSE, bench, build_name, free_port, need, resident_mib, wait

STREAMS, BODIES, BODY_BYTES = 1000, 50, 8 << 20
LIMIT_MIB, BUDGET = 256, "96Mi"
EVENT = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
)
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n"
)


def chunk(data: bytes) -> bytes:
    """Return one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def skip(reader: asyncio.StreamReader, size: int) -> None:
    """Read so many bytes and forget them."""
    while size:
        size -= len(await reader.read(min(size, 1 << 20)))


async def upstream(port: int) -> None:
    """Serve endless streams and answer large bodies slowly, until killed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if b"transfer-encoding: chunked" in head:
                    while size := int(await reader.readline(), 16):
                        await skip(reader, size + 2)
                    await reader.readline()
                else:
                    await skip(reader, int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                if b"x-org: big" not in head:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
                    writer.write(b"transfer-encoding: chunked\r\n\r\n")
                    for _ in range(40):
                        writer.write(chunk(EVENT))
                        await asyncio.sleep(0.5)
                    writer.write(chunk(STOP) + b"0\r\n\r\n")
                else:
                    await asyncio.sleep(2)
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
                    writer.write(
                        b"content-length: %d\r\n\r\n%b" % (len(RESPONSE), RESPONSE.encode())
                    )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


async def ask(port: int, body: bytes, *fields: bytes) -> bytes:
    """Return a whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = HEAD % len(body)
    try:
        writer.write(head[:-2] + b"".join(field + b"\r\n" for field in fields) + b"\r\n")
        writer.write(body)
        await writer.drain()
    except ConnectionError:
        pass
    data = b""
    try:
        while piece := await reader.read(65536):
            data += piece
    except ConnectionError:
        pass
    writer.close()
    return data


async def client(port: int) -> None:
    """Open every stream, then ask with every body at once; print what came."""
    stream = b'{"model": "gpt-4o", "messages": [], "stream": true}'
    streams = []
    for number in range(STREAMS):
        streams.append(asyncio.create_task(ask(port, stream)))
        if number % 50 == 0:
            await asyncio.sleep(0.05)
    await asyncio.sleep(3)
    big = b'{"model": "gpt-4o", "x": "' + b"y" * (BODY_BYTES - 28) + b'"}'
    responses = await asyncio.gather(*[ask(port, big, b"x-org: big") for _ in range(BODIES)])
    whole = [data for data in await asyncio.gather(*streams) if data.endswith(b"0\r\n\r\n")]
    statuses = Counter(data[9:12].decode() for data in responses)
    refused = [data for data in responses if data[9:12] == b"503"]
    told = sum(b"retry-after: " in data for data in refused)
    print(json.dumps({"streams": len(whole), "bodies": statuses, "told": told}))


def main() -> None:
    """Print the table; exit status 1 where something was killed or grew too large."""
    need("taskset")
    if sys.argv[1:2] == ["upstream"]:
        asyncio.run(upstream(int(sys.argv[2])))
        return
    if sys.argv[1:2] == ["client"]:
        asyncio.run(client(int(sys.argv[2])))
        return
    print(build_name())
    document = {
        "backends": [
            {"name": "local", "inferenceServiceRef": {"name": "m"}, "upwardHeaders": ["x-org"]}
        ],
        "defaultRoute": "local",
        "proxy": {"memoryBudget": BUDGET},
    }
    with bench() as held:
        port = free_port()
        held.spawn(LOAD_CORE, sys.executable, __file__, "upstream", str(port))
        wait(port)
        served, process = held.lockgate(port, document)
        idle = resident_mib(process.pid)
        began = time.monotonic()
        done = subprocess.run(
            ["taskset", "-c", LOAD_CORE, sys.executable, __file__, "client", str(served)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        took = time.monotonic() - began
        found = json.loads(done.stdout)
        alive = process.poll() is None
        metrics = held.metrics()
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    served_bodies, refused = found["bodies"].get("200", 0), found["bodies"].get("503", 0)
    print(
        f"{STREAMS} streams and {BODIES} bodies of {BODY_BYTES >> 20} MiB, "
        f"budget {BUDGET}, {took:.0f} s:"
    )
    print(f"  streams whole   {found['streams']:>6} of {STREAMS}")
    print(f"  bodies served   {served_bodies:>6}")
    print(f"  told to come back {refused:>4}, {found['told']} of them when (Retry-After)")
    print(f"  counted         {metrics['lockgate_memory_refused']:>6.0f}")
    print(f"  resident        {idle:>6.0f} MiB idle, {peak:.0f} MiB at most; wanted: {LIMIT_MIB}")
    with bench() as held:
        cheap = bodies.measure(held)
    good = cheap and alive and found["streams"] == STREAMS and served_bodies + refused == BODIES
    sys.exit(0 if good and peak <= LIMIT_MIB and found["told"] == refused else 1)


if __name__ == "__main__":
    main()
