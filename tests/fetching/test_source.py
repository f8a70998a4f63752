"""References: what each means, and which are none."""

import re

import pytest
from lockgate.fetching.source import Source, SourceError, key, read_source

HEX = "0" * 64


@pytest.mark.parametrize(
    ("text", "place", "path", "version", "file"),
    [
        ("hf://org/repo", "org/repo", "", "main", ""),
        ("hf://org/repo@v1/q4/m.gguf", "org/repo", "q4/m.gguf", "v1", "m.gguf"),
        ("hf://org/Qwen2.5-0.5B", "org/Qwen2.5-0.5B", "", "main", ""),
        ("hf://org/repo/q4/", "org/repo", "q4/", "main", ""),
        ("https://h.example:8/a/m.gguf", "h.example:8", "/a/m.gguf", "", "m.gguf"),
        ("s3://bucket/a/m.gguf", "bucket", "a/m.gguf", "", "m.gguf"),
        ("s3://bucket/a/", "bucket", "a/", "", ""),
        ("oci://r.example:5000/a/b:v1", "a/b", "", "v1", "model.gguf"),
        (f"oci://r.example/a/b@sha256:{HEX}", "a/b", "", f"sha256:{HEX}", "model.gguf"),
        (f"oci://r.example/a/b:v1@sha256:{HEX}", "a/b", "", f"sha256:{HEX}", "model.gguf"),
    ],
)
def test_a_reference_names_a_place(
    text: str, place: str, path: str, version: str, file: str
) -> None:
    source = read_source(text)
    assert (source.place, source.path, source.version, source.file) == (place, path, version, file)


@pytest.mark.parametrize(
    "text",
    [
        "", "model.gguf", "ftp://h/m", "http://h/m.gguf", "hf://repo", "hf://org/repo/../x", "hf:///a/b",
        "https://h.example/", "https://u:p@h.example/m", "https:///m", "s3://bucket", "s3://B/k", "s3://bucket/",
        "oci://r.example/a", "oci://a:v1", "oci://r.example/A:v1", "oci://r.example/a@sha256:0", "hf://a/b/c d",
        "pvc://claim/m.gguf", "https://h.example/m#part", "https://[::1/m", "https://h:99999/m", "https://h:x/m", "oci://r.example:70000/a:v1",
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(SourceError, match=re.escape(repr(text))):
        read_source(text)


def test_a_shard_stands_for_all_of_them() -> None:
    pattern = read_source("hf://o/r/q/m-00001-of-00003.gguf").pattern
    assert pattern.match("q/m-00003-of-00003.gguf")
    for other in ("q/m-00001-of-00004.gguf", "m-00001-of-00003.gguf", "q/m2-00001-of-00003.gguf"):
        assert not pattern.match(other)


def test_a_folder_is_what_is_below_it() -> None:
    source = read_source("hf://o/r/q4")
    assert not source.is_one_file
    assert source.pattern.match("q4/a/b.json")
    assert not source.pattern.match("q40/b.json")
    assert source.above == "q4/"


def test_another_reference_or_sum_has_another_folder() -> None:
    names = {
        key("hf://o/r", None),
        key("hf://o/r@v2", None),
        key("hf://o/r", HEX),
        key("hf://o/q", None),
    }
    assert len(names) == 4
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]+", name) for name in names)
    assert isinstance(read_source("hf://o/r"), Source)
