"""A node and a pod in network namespaces of their own: who reaches whom, with rules and without.

`python -m tests.support.isolated` runs under ``unshare --net`` as the node, and starts the pod under
another one. It reads a question as JSON and writes the answer, and leaves nothing behind.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

LINK: Final = "pod0"
NODE: Final = ("10.244.1.1", "fd10:1::1")
POD: Final = ("10.244.1.2", "fd10:1::2")
WAIT_S: Final = 1.5
"""Long enough for one SYN that is lost and sent again."""
TRIES: Final = 5
ROOT: Final = Path(__file__).parents[2]


def why_not() -> str | None:
    """Return why no pod can be isolated here, None where one can."""
    missing = [name for name in ("nft", "ip", "unshare", "nsenter") if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)} on PATH (apt-get install nftables iproute2 util-linux)"
    tried = subprocess.run(
        ["unshare", "--net", "true"], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else f"root is needed: {tried.stderr.strip()}"


def asked(
    rules: str, out: Iterable[tuple[str, int]], into: Iterable[tuple[str, int]]
) -> dict[str, Any]:
    """Return which connections are made, before `rules` are in force and after.

    `out` are (address, port) that the pod connects to; `into` are (source address, port of the pod).
    """
    question = {"rules": rules, "out": list(out), "into": list(into)}
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.support.isolated"],
        input=json.dumps(question), capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _serve(port: int) -> None:
    """Accept every connection on `port`, for as long as this process lives."""
    for family, any_ in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        listener = socket.socket(family)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((any_, port))
        listener.listen(64)
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()


def _accept(listener: socket.socket) -> None:
    while one := listener.accept()[0]:
        one.close()


def _connects(address: str, port: int, source: str | None = None) -> bool:
    """Whether a plain socket gets through: what a process that was taken over would open."""
    try:
        socket.create_connection((address, port), WAIT_S, (source, 0) if source else None).close()
    except OSError:
        return False
    return True


def _all(calls: list[tuple[Any, ...]]) -> list[bool]:
    with ThreadPoolExecutor(max(1, len(calls))) as threads:
        return list(threads.map(lambda call: _connects(*call), calls))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def _begin() -> None:
    """Bring loopback up, and have addresses used at once: nobody else is here to have them."""
    _run("ip", "link", "set", "lo", "up")
    for name in ("all", "default"):
        Path(f"/proc/sys/net/ipv6/conf/{name}/accept_dad").write_text("0")


def _pod() -> None:
    """Be the pod: two listeners, and connections to what each line of stdin names."""
    _begin()
    for port in (8080, 9090):
        _serve(port)
    _say("ready")
    for line in sys.stdin:
        _say(json.dumps(_all([tuple(one) for one in json.loads(line)])))


@contextlib.contextmanager
def _linked() -> Iterator["subprocess.Popen[str]"]:
    """Start the pod and link it to this namespace."""
    pod = subprocess.Popen(
        ["unshare", "--net", sys.executable, "-m", "tests.support.isolated", "pod"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        assert pod.stdout is not None
        assert pod.stdout.readline() == "ready\n"
        there = ("nsenter", f"--net=/proc/{pod.pid}/ns/net", "ip")
        _run("ip", "link", "set", "lo", "up")
        _run(
            "ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", str(pod.pid)
        )
        _run("ip", "link", "set", LINK, "up")
        _run(*there, "link", "set", "eth0", "up")
        for node, own, length in ((NODE[0], POD[0], "24"), (NODE[1], POD[1], "64")):
            more = ("nodad",) if ":" in own else ()
            _run("ip", "address", "add", f"{node}/{length}", "dev", LINK, *more)
            _run(*there, "address", "add", f"{own}/{length}", "dev", "eth0", *more)
            _run(*there, "route", "add", "default", "via", node)
        yield pod
    finally:
        pod.kill()
        pod.wait()


def _ask(pod: "subprocess.Popen[str]", out: list[Any]) -> list[bool]:
    assert pod.stdin is not None
    assert pod.stdout is not None
    pod.stdin.write(json.dumps(out) + "\n")
    pod.stdin.flush()
    found: list[bool] = json.loads(pod.stdout.readline())
    return found


def _node() -> None:
    """Be the node: every address that is asked about is here, and answers on every port asked."""
    question = json.load(sys.stdin)
    out, into = question["out"], question["into"]
    with _linked() as pod:
        for address in {one for one, _ in out} | {one for one, _ in into} - set(NODE):
            more = ("nodad",) if ":" in address else ()
            _run("ip", "address", "add", address, "dev", "lo", *more)
        for port in {port for _, port in out}:
            _serve(port)
        calls = [(POD[":" in source], port, source) for source, port in into]
        for _ in range(TRIES):  # neighbours are found while the first ones ask
            before = {"out": _ask(pod, out), "into": _all(calls)}
            if all(before["out"]) and all(before["into"]):
                break
        loaded = subprocess.run(["nft", "-f", "-"], input=question["rules"], text=True, check=False)
        assert loaded.returncode == 0, question["rules"]
        after = {"out": _ask(pod, out), "into": _all(calls)}
    _say(json.dumps({"before": before, "after": after}))


if __name__ == "__main__":
    _pod() if sys.argv[1:] == ["pod"] else _node()
    os._exit(0)  # the listeners' threads wait for ever
