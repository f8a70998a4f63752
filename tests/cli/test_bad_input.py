"""Files that are no policy, or far too much of one: a clear refusal, in bounded time and memory.

Each goes through the command as a process of its own whose address space is limited, so that what
would eat the machine ends here as a red test. The timeout is a guard against a hang.
"""

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from lockgate.policy.reading.document import MAX_BYTES

MEMORY = 1 << 30
"""Bytes of address space, the interpreter and its libraries included."""
HEAD = """\
backends:
- name: local
  inferenceServiceRef: { name: qwen }
defaultRoute: local
"""
RULE = "- name: r{0}\n  match: {{ models: ['m{0}-*'] }}\n  route: {{ backends: [local] }}\n"
BOMB = "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))  # fmt: skip


def lockgate(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))"
    code = f"{limit}\nfrom lockgate.cli.main import main\nmain()"
    line = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=100)


def check(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return lockgate("check", *arguments)


def rules(count: int) -> str:
    return HEAD + "rules:\n" + "".join(RULE.format(number) for number in range(count))


def glob(pattern: str) -> str:
    return rules(1).replace("m0-*", pattern)


REFUSED: dict[str, tuple[bytes, str]] = {
    "ten megabytes": (b"# nothing\n" * 1_000_000, f": (document): larger than {MAX_BYTES} bytes; a policy fits a ConfigMap: 1 MiB"),
    "four megabytes of values": (b"rules: [" + b"a," * 2_000_000 + b"]", ": (document): has more than 250000 values; is this a policy at all?"),
    "ten thousand rules": (rules(10_000).encode(), ":5: rules: has 10000 entries, more than can be proved; write at most 2000; one pattern covers many models"),
    "more than a ConfigMap holds": (rules(2_000).replace("'m", "'" + "m" * 240).replace("local] }", "local] }\n  timeout: 1000000s").replace("'m", "'x" + "y" * 200 + "', 'm").encode(), ":1: (document): is 1087883 bytes as policy.json; make it smaller: a ConfigMap holds 1000000"),
    "nested a thousand deep, in flow": (b"a: " + b"[" * 1000 + b"]" * 1000, ":1: (document): is nested too deep; at most 64 levels"),
    "nested a thousand deep, in blocks": ("".join(f"{' ' * n}a{n}:\n" for n in range(1000)).encode(), ":65: (document): is nested too deep; at most 64 levels"),
    "nested a thousand deep, in JSON": (b'{"a":' * 1000 + b"1" + b"}" * 1000, ":1: (document): is nested too deep; at most 64 levels"),
    "a bomb of aliases": (BOMB.encode(), ":1: (document): uses an anchor or an alias; write the value out; quote a leading * or &"),
    "a pattern of four thousand stars": (glob("*a" * 2000 + "*b").encode(), ":7: rules[0].match.models[0]: has 4002 characters; write at most 256"),
    "a label in another script": (rules(1).replace("models: ['m0-*']", "dataClassification: [рii]").encode(), ":7: rules[0].match.dataClassification[0]: 'рii' is neither a sensitive nor a known label: 'р' is CYRILLIC SMALL LETTER ER (U+0440), not ASCII; did you mean pii? write `pii`"),
    "a label in another script, where labels are made": ((HEAD + "policy: { classification: { sensitiveClassifications: [pіi] } }\n").encode(), ":5: policy.classification.sensitiveClassifications[0]: 'pіi' is not a label: 'і' is CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I (U+0456), not ASCII; write `p-i`"),
    "a binary file": (bytes(range(256)) * 4000, ":2: (document): is not UTF-8; save it as UTF-8"),
    "a text with a zero byte": (b"backends:\0", ": (document): is not YAML: unacceptable character #x0000: control characters are not allowed; fix the syntax"),
    "an empty file": (b"", ": (document): is empty; write a policy, beginning with `backends:`"),
    "a file of comments": (b"# later\n", ": (document): is empty; write a policy, beginning with `backends:`"),
    "a byte order mark": (b"\xef\xbb\xbf" + HEAD.encode(), ":1: (document): begins with a byte order mark; save it as UTF-8 without one"),
    "UTF-16": (HEAD.encode("utf-16"), ":1: (document): is not UTF-8; save it as UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_policy_is_refused_in_bounded_memory(name: str, tmp_path: Path) -> None:
    text, said = REFUSED[name]
    file = tmp_path / "policy.yaml"
    file.write_bytes(text)
    done = check(file)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr == f"{file}{said}\n"


def test_a_file_with_thousands_of_faults_tells_the_first_hundred(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(rules(1_000).replace("local]", "locla]"))
    done = check(file)
    first, *_, last = done.stderr.splitlines()
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 101)
    assert (
        first
        == f"{file}:8: rules[0].route.backends[0]: there is no backend 'locla'; did you mean local? write `local`"
    )
    assert last == f"{file}: (document): has more faults; only the first 100 are listed"


def test_windows_line_ends_are_read_with_the_same_lines(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(rules(1).replace("\n", "\r\n").encode())
    assert check(file).returncode == 0
    file.write_bytes(rules(1).replace("local]", "locla]").replace("\n", "\r\n").encode())
    assert check(file).stderr.startswith(f"{file}:8: rules[0].route.backends[0]: ")


def test_what_cannot_be_read_is_named_with_its_reason(tmp_path: Path) -> None:
    missing, folder = tmp_path / "none.yaml", tmp_path / "folder.yaml"
    folder.mkdir()
    for path, reason in ((missing, "No such file or directory"), (folder, "Is a directory")):
        done = check(path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"{path}: cannot be read: {reason}\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_the_right_to_read_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(HEAD)
    file.chmod(0)
    assert check(file).stderr == f"{file}: cannot be read: Permission denied\n"


@pytest.mark.parametrize(
    "line",
    [
        ["check", "/dev/zero"],
        ["explain", "/dev/zero", "--model", "m"],
        ["graph", "/dev/zero", "--out", "/dev/null"],
        ["replay", "/dev/null", "--policy", "/dev/zero"],
        ["serve", "--policy", "/dev/zero"],
        ["diff", "/dev/zero", "/dev/zero"],
    ],
    ids=lambda line: line[0],
)
def test_an_endless_file_is_read_up_to_the_bound(line: list[str]) -> None:
    done = lockgate(*line)
    assert (done.returncode, done.stdout) == (2, "")
    assert "/dev/zero: (document): larger than" in done.stderr


@pytest.mark.parametrize(
    "line",
    [["explain", "none.yaml", "--model", "m"], ["serve", "--policy", "none.yaml"]],
    ids=lambda line: line[0],
)
def test_the_proxys_commands_name_what_cannot_be_read(line: list[str]) -> None:
    done = lockgate(*line)
    assert done.returncode == 2
    assert (
        done.stderr.removeprefix("Error: ")
        == "none.yaml: cannot be read: No such file or directory\n"
    )


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "policy.yaml"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(rules(1),), daemon=True)
    writer.start()
    done = check(pipe)
    writer.join()
    assert (done.returncode, "PROVED" in done.stdout) == (0, True), done.stderr


def test_the_limit_on_memory_is_in_force() -> None:
    code = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY})); bytearray({MEMORY})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert b"MemoryError" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != MEMORY, "and here it is not"
