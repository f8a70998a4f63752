"""Models out of a bucket of an S3 server that was not written here: versitygw, which checks signatures.

Built from its Go module when the test runs (two minutes), and not run without `go`.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.session import Session

from tests.cli.test_fetch import fetch
from tests.support.proxy import free_port
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SERVER = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
DATA = {
    "llm/config.json": b"{}",
    "llm/a b+c.bin": b"three",
    "llm/m.gguf": bytes(range(256)) * 60_000,
}
KEYS = {"AWS_ACCESS_KEY_ID": "lockgate", "AWS_SECRET_ACCESS_KEY": "s/e+cret-CANARY"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    found = shutil.which("versitygw")
    if found is not None:
        return found
    if shutil.which("go") is None:
        pytest.skip("NOT RUN: no `go` on PATH to build versitygw with")
    folder = tmp_path_factory.mktemp("bin")
    environment = {**os.environ, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
    done = subprocess.run(
        ["go", "install", SERVER], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"NOT RUN: {SERVER} cannot be built: {done.stderr[-500:]}")
    return str(folder / "versitygw")


@pytest.fixture(scope="module")
def endpoint(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("s3"), free_port()
    line = [program, "--port", f"127.0.0.1:{port}", "--region", "eu-west-1"]
    line += ["--access", KEYS["AWS_ACCESS_KEY_ID"], "--secret", KEYS["AWS_SECRET_ACCESS_KEY"]]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([*line, "posix", str(folder)], stdout=subprocess.DEVNULL) as process:
        client = Session().create_client(
            "s3",
            "eu-west-1",
            endpoint_url=url,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        )

        def up() -> bool:
            try:
                client.create_bucket(Bucket="models")
            except OSError:
                return False
            return True

        try:
            eventually(up, 30, every_s=0.2)
            for key, data in DATA.items():
                client.put_object(Bucket="models", Key=key, Body=data, ChecksumAlgorithm="SHA256")
            yield url
        finally:
            process.terminate()


def test_a_folder_of_a_bucket(endpoint: str, tmp_path: Path) -> None:
    line = ("s3://models/llm/", "--to", str(tmp_path), "--endpoint", endpoint)
    done = fetch(*line, "--region", "eu-west-1", **KEYS)
    assert done.returncode == 0, done.stdout + done.stderr
    for key, data in DATA.items():
        assert (tmp_path / key.removeprefix("llm/")).read_bytes() == data
    assert "m.gguf: 15.4 MB, verified by its sha256 sum" in done.stdout


def test_one_object_goes_on_in_the_middle(endpoint: str, tmp_path: Path) -> None:
    (tmp_path / ".fetch-m.gguf.fetch").write_bytes(DATA["llm/m.gguf"][:1_000_000])
    line = ("s3://models/llm/m.gguf", "--to", str(tmp_path), "--endpoint", endpoint)
    done = fetch(*line, "--region", "eu-west-1", **KEYS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "m.gguf").read_bytes() == DATA["llm/m.gguf"]


@pytest.mark.parametrize("key", [{}, {**KEYS, "AWS_SECRET_ACCESS_KEY": "another"}])
def test_who_may_not_is_told(endpoint: str, tmp_path: Path, key: dict[str, str]) -> None:
    line = ("s3://models/llm/m.gguf", "--to", str(tmp_path), "--endpoint", endpoint)
    done = fetch(*line, "--region", "eu-west-1", **key)
    assert done.returncode == 1
    assert "answers 403" in done.stderr
    assert "CANARY" not in done.stdout + done.stderr
