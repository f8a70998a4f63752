"""300 streams of 50 events a second through one core of Lockgate: CPU and memory.

The upstream and the client are one asyncio process each on the other core.
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from rig import LOAD_CORE, bench, build_name, cpu_seconds, free_port, need, resident_mib, wait

STREAMS, RATE, SECONDS = 300, 50, 10
EVENT = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}],
    }
)


async def upstream(port: int) -> None:
    """Serve streams of RATE events a second until killed."""
    data = f"data: {EVENT}\n\n".encode()
    piece = b"%x\r\n%b\r\n" % (len(data), data)
    stop = EVENT.replace('{"content": "word "}', "{}").replace("null", '"stop"')
    last = f"data: {stop}\n\ndata: [DONE]\n\n".encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
            writer.write(b"transfer-encoding: chunked\r\n\r\n")
            due = time.monotonic()
            for _ in range(RATE * SECONDS):
                writer.write(piece)
                due += 1 / RATE
                await asyncio.sleep(max(0, due - time.monotonic()))
            writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(last), last))

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


async def client(port: int) -> int:
    """Read STREAMS streams to their end; return how many events came."""
    body = b'{"model": "gpt-4o", "messages": [], "stream": true}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(
        body
    )

    async def read(number: int) -> int:
        await asyncio.sleep(number / STREAMS)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        events, tail = 0, b""
        while b"0\r\n\r\n" not in tail:
            data = await reader.read(65536)
            if not data:
                raise EOFError("a stream was cut")
            events += data.count(b"data: ")
            tail = (tail + data)[-8:]
        writer.close()
        return events

    return sum(await asyncio.gather(*[read(number) for number in range(STREAMS)]))


def main() -> None:
    """Print CPU per event, the core's share and memory."""
    need("taskset")
    if sys.argv[1:2] == ["upstream"]:
        asyncio.run(upstream(int(sys.argv[2])))
        return
    if sys.argv[1:2] == ["client"]:
        print(asyncio.run(client(int(sys.argv[2]))))
        return
    print(build_name())
    with bench() as held:
        port = free_port()
        held.spawn(LOAD_CORE, sys.executable, __file__, "upstream", str(port))
        wait(port)
        nginx = held.nginx_proxy(port, "proxy_buffering off;")
        served, process = held.lockgate(port)
        found = {
            "nginx": measured(nginx, held.worker_of("proxy")),
            "lockgate": measured(served, process.pid),
        }
        memory = resident_mib(process.pid)
    print(f"{STREAMS} streams of {RATE} events/s for {SECONDS} s:")
    for name, (events, used, took) in found.items():
        each = used / events * 1e6
        share = used / took
        print(f"  {name:<10} {events:>8} events  {each:>6.1f} us each, {share:>4.0%} of one core")
    ratio = found["lockgate"][1] / found["nginx"][1]
    print(f"  ratio      {ratio:>8.2f} x nginx's CPU; resident {memory:.0f} MiB")


def measured(port: int, pid: int) -> tuple[int, float, float]:
    """Return events, CPU seconds of the process and seconds of one run."""
    before, began = cpu_seconds(pid), time.monotonic()
    done = subprocess.run(
        ["taskset", "-c", LOAD_CORE, sys.executable, __file__, "client", str(port)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout), cpu_seconds(pid) - before, time.monotonic() - began


if __name__ == "__main__":
    main()
