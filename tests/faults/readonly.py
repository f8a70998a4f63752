"""X15: a proxy where nothing can be written but the pipe it inherits. Run with a read-only root."""

import json
import os
import socket
import subprocess
import sys

from tests.faults.rig import body, request
from tests.support.client import Answer, connected
from tests.support.proxy import ROOT, free_port
from tests.support.upstream import Upstream
from tests.support.wait import eventually

POLICY = {"backends": [{"name": "a", "inferenceServiceRef": {"name": "a"}}], "defaultRoute": "a"}


def main() -> None:
    """Serve 200 kB and a chunked body, then drain."""
    upstream = Upstream()
    port = free_port()
    policy = os.memfd_create("policy")
    os.write(policy, json.dumps(POLICY).encode())
    command = [
        sys.executable,
        "-B",
        "-m",
        "lockgate.cli.main",
        "serve",
        "--policy",
        f"/proc/self/fd/{policy}",
    ]
    command += ["--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{free_port()}"]
    command += ["--address", f"a=http://127.0.0.1:{upstream.port}"]
    running = subprocess.Popen(command, cwd=ROOT, pass_fds=[policy], stdout=subprocess.PIPE)
    connection = eventually(lambda: connected(port), 20)
    assert connection is not None
    with connection:
        connection.sendall(request({**body(), "x": "y" * 200_000}, close=True))
        assert Answer.read(connection).status == 200
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        data = json.dumps(body()).encode()
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
        )
        assert Answer.read(connection).status == 200
    running.terminate()
    out, _ = running.communicate(timeout=20)
    assert running.returncode == 0
    assert len(out.splitlines()) == 2


if __name__ == "__main__":
    main()
