"""llama.cpp's own HTTP server in a process of its own: `python -m tests.clients.llama MODEL PORT CONTEXT HOST`."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from tests.support.proxy import ROOT, environment, free_port
from tests.support.wait import eventually


class Llama:
    """A started server; `url` is where it listens."""

    def __init__(
        self, folder: Path, model: Path, context: int, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        port = port or free_port()
        self.url = f"http://{host}:{port}"
        self.log = folder / f"llama-{context}.log"
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(model), str(port), str(context), host],
            cwd=ROOT,
            env=environment(),
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        self._wait()

    def _wait(self) -> None:
        eventually(self._is_up, 60, what=self.log.read_text, every_s=0.05)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        try:
            urllib.request.urlopen(f"{self.url}/health", timeout=5).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(timeout=15)


def main(model: str, port: str, context: str, host: str) -> None:
    """Serve until the process is ended."""
    import xllamacpp  # 100 MB: only the child needs it

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.model_alias = {"tiny"}
    parameters.hostnames = [host]
    parameters.port = int(port)
    parameters.n_ctx = int(context)
    parameters.n_parallel = 1
    # a thread is held by each kept connection for five seconds; with all held, the next one waits
    parameters.n_threads_http = 16
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    assert server.listening_address
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
