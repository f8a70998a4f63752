"""Keys that are given at the start: where they may come from, and where they must not appear."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from lockgate.cli.main import cli

from tests.support.proxy import POLICY, Proxy, environment
from tests.support.upstream import Upstream

COMPLEX = ("x-llmkube-task-complexity", "complex")
CANARY = "sk-CANARY-given"


def started(folder: Path, upstreams: dict[str, Upstream], *more: str, **variables: str) -> Proxy:
    for upstream in upstreams.values():
        upstream.reset()
    addresses = {name: f"http://127.0.0.1:{u.port}" for name, u in upstreams.items()}
    return Proxy(folder, POLICY, addresses, *more, env=environment(**variables))


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("source", ["env:CLOUD_KEY", "@FILE"])
def test_a_given_key_goes_up_and_nowhere_else(
    tmp_path: Path, upstreams: dict[str, Upstream], source: str, workers: str
) -> None:
    (tmp_path / "key").write_text(CANARY + "\n")
    variables = {"CLOUD_KEY": CANARY} if source.startswith("env") else {}
    place = source.replace("FILE", str(tmp_path / "key"))
    more = ["--key", f"openai-key={place}", "--workers", workers]
    proxy = started(tmp_path, upstreams, *more, **variables)
    answer = proxy.ask(None, COMPLEX)
    assert "x-lockgate-backend: cloud" in answer.head
    assert f"authorization: Bearer {CANARY}".encode() in upstreams["cloud"].requests[-1]
    pages = proxy.get("/metrics") + proxy.get("/readyz?verbose")
    assert "[+] Secrets of cloud" in pages or workers == "2"
    children = Path(f"/proc/{proxy.process.pid}/task/{proxy.process.pid}/children").read_text()
    for pid in (proxy.process.pid, *map(int, children.split())):
        assert CANARY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        if not variables:
            assert CANARY.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    record = str(proxy.record())
    assert proxy.stop() == 0
    assert CANARY not in pages + record + proxy.log.read_text()


def test_a_missing_key_is_an_alarm_and_names_its_file(
    tmp_path: Path, upstreams: dict[str, Upstream]
) -> None:
    for workers in ("1", "2"):
        held = tmp_path / "none"
        proxy = started(tmp_path, upstreams, "--secrets", str(held), "--workers", workers)
        page = proxy.get("/readyz?verbose")
        wanted = f"there is no {held / 'openai-key' / 'OPENAI_API_KEY'}"
        assert f"[!] Secrets of cloud: Secret openai-key is not mounted: {wanted}\n" in page
        assert page.endswith("\nready\n")
        assert proxy.get("/readyz") == "ready\n"
        assert wanted in proxy.log.read_text()
        assert proxy.stop() == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("openai-key", "write SECRET=env:VARIABLE or SECRET=@FILE, never the key itself"),
        ("=env:A", "write SECRET=env:VARIABLE"),
        ("openai-key=", "write SECRET=env:VARIABLE"),
        ("openai-key=env:", "write SECRET=env:VARIABLE"),
        ("openai-key=@", "write SECRET=env:VARIABLE"),
        (f"openai-key={CANARY}", "write SECRET=env:VARIABLE"),
        ("openai-key=env:NOT_SET_HERE", "openai-key: the environment has no NOT_SET_HERE"),
        ("openai-key=env:TWO_LINES", "openai-key: the variable TWO_LINES holds no key"),
        ("openai-key=@missing", "openai-key: missing cannot be read: No such file or directory"),
        ("openai-key=@empty", "openai-key: empty holds no key: it must be one line"),
        ("other=env:GOOD", "--key other: no backend names this Secret; they name openai-key"),
    ],
)
def test_what_is_no_key_ends_with_2_and_is_not_repeated(
    given: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWO_LINES", f"{CANARY}\nx")
    monkeypatch.setenv("GOOD", CANARY)
    Path("empty").write_text("")
    Path("policy.yaml").write_text(
        "backends:\n- name: c\n  tier: cloud\n  external: { provider: openai, model: m, "
        "credentialsSecretRef: { name: openai-key } }\ndefaultRoute: c\n"
    )
    done = CliRunner().invoke(cli, ["serve", "--policy", "policy.yaml", "--key", given])
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert CANARY not in done.output
