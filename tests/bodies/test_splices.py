"""The body scan: what is refused, and that a splice changes nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.bodies.edits import edited, growth
from lockgate.bodies.splices import scan, splices
from lockgate.errors.kinds import RejectedError


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"hello", "invalid_json"),
        (b"[1]", "not_an_object"),
        (b'"x"', "not_an_object"),
        (b"{}", "missing_model"),
        (b'{"model": 1}', "invalid_field"),
        (b'{"model": ""}', "invalid_field"),
        (b'{"model": null}', "invalid_field"),
        (b'{"model": "a\\u0000"}', "invalid_field"),
        (b'{"model": "\\ud800"}', "invalid_field"),
        (b'{"model": "' + b"m" * 1025 + b'"}', "invalid_field"),
        (b'{"model": "a", "model": "b"}', "duplicate_key"),
        (b'{"model": "a", "mod\\u0065l": "b"}', "duplicate_key"),
        (b'{"mod\\u0065l": "b"}', "escaped_key"),
        (b'{"model": "a", "stream": true, "stream": false}', "duplicate_key"),
        (b'{"model": "a", "stream": "yes"}', "invalid_field"),
        (b'{"model": "a", "stream_options": []}', "invalid_field"),
        (b'{"model": "a", "stream_options": {"include_usage": 1}}', "invalid_field"),
        (
            b'{"model": "a", "stream_options": {"include_usage": true, "include_usage": false}}',
            "duplicate_key",
        ),
        (b'{"model": "a", "n": 1, "n": 2}', "duplicate_key"),
        (b'{"model": "a", "\\u006e": 2}', "escaped_key"),
        (b'{"model": "a", "x": NaN}', "invalid_json"),
        (b'{"model": "a", "x": Infinity}', "invalid_json"),
        (b'\xef\xbb\xbf{"model": "a"}', "invalid_json"),
        ('{"model": "a"}'.encode("utf-16"), "invalid_json"),
        (b'{"model": "\xff"}', "invalid_json"),
        (b'{"model": "a"} {}', "invalid_json"),
        (b'{"model": "a"', "invalid_json"),
        (b'{"model": "a",}', "invalid_json"),
        (b'{"model": "a", "x": ' + b"[" * 100_000, "invalid_json"),
        *[
            (b'{"model": "a", "%b": 1}' % key, "client_routing")
            for key in (
                b"fallbacks", b"models", b"route", b"provider", b"api_base", b"base_url", b"api_key",
                b"fallb\\u0061cks", b"context_window_fallbacks", b"content_policy_fallbacks",
                b"max_fallbacks", b"router_settings_override", b"user_config",
                b"litellm_credential_name", b"Router_Settings_Override",
            )
        ],
    ],
)  # fmt: skip
def test_a_body_that_routing_cannot_read_is_refused_by_name(body: bytes, code: str) -> None:
    with pytest.raises(RejectedError) as rejected:
        scan(body)
    assert rejected.value.kind.code == code


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "a", "messages": [{"models": 1, "model": "x", "api_key": 2}]}',
        b'{"model": "a", "n": ' + b"9" * 4000 + b"}",
        b' \n{ "model" : "a" } \n',
        b'{"model": "a", "stream": null, "stream_options": null}',
        '{"é": "ü", "model": "ö"}'.encode(),
    ],
)
def test_everything_else_passes_as_it_is(body: bytes) -> None:
    assert splices(scan(body), None, include_usage=False) == ((), ())


MANY = b",".join([b"[]"] * 400_000)


def test_c27_a_body_of_very_many_values_is_refused_before_it_is_parsed() -> None:
    body = b'{"model": "a", "x": [' + MANY + b"]}"
    with pytest.raises(RejectedError) as rejected:
        scan(body)
    assert rejected.value.kind.code == "too_many_values"
    with pytest.raises(RejectedError):
        scan(b"{" + b",".join(b'"k%d": 1' % n for n in range(1001)) + b', "model": "a"}')


def test_what_stands_in_a_text_counts_for_nothing() -> None:
    text = MANY.decode() + '\\"[{,'
    body = json.dumps({"model": "a", "x": text}).encode()
    assert scan(body).model == "a"
    thousand = b"{" + b"".join(b'"k%d": 1,' % n for n in range(999)) + b'"model": "a"}'
    assert scan(thousand).model == "a"


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (b"null", False),
        (b'{"include_usage": false}', False),
        (b'{"include_usage": null}', False),
        (b'{"include_usage": true}', True),
        (b'{"x": 1, "include_usage" : false}', False),
    ],
)
def test_what_the_caller_says_about_usage_stands(options: bytes, asked: bool) -> None:
    scanned = scan(b'{"model": "a", "stream": true, "stream_options": %b}' % options)
    assert (scanned.include_usage, scanned.usage_edit) == (asked, None)


@pytest.mark.parametrize(
    "options", [b"", b', "stream_options": {}', b', "stream_options": {"x": 1}']
)
def test_a_caller_who_says_nothing_about_usage_has_it_asked_for(options: bytes) -> None:
    scanned = scan(b'{"model": "a", "stream": true%b}' % options)
    assert scanned.usage_edit is not None
    assert not scanned.include_usage


@pytest.mark.parametrize(
    ("field", "choices"),
    [
        (b'"x": 1', 1),
        (b'"n": 1', 1),
        (b'"n": 3', 3),
        (b'"n": 3.0', 3),
        (b'"n": 2.5', 1),
        (b'"n": 0', 1),
        (b'"n": -2', 1),
        (b'"n": true', 1),
        (b'"n": null', 1),
        (b'"n": "4"', 1),
        (b'"n": [2]', 1),
        (b'"n": 1e400', 1),
        (b'"n": 9999999999999999999999999', 1),
        (b'"messages": [{"n": 7}]', 1),
        (b'"messages": [{"n": 7}], "n": 2', 2),
    ],
)
def test_as_many_choices_are_due_as_n_says(field: bytes, choices: int) -> None:
    for more in (b"", b', "y": "\\u00e9"'):  # both ways through a body
        assert scan(b'{"model": "a", %b%b}' % (field, more)).choices == choices


FOLDED = [
    ("Model", "folded_key"), ("MODEL", "folded_key"), ("\\u004dodel", "folded_key"), ("STREAM", "folded_key"),
    ("\u017ftream", "folded_key"), ("\\u017ftream", "folded_key"), ("Stream_Options", "folded_key"),
    ("stream_option\u017f", "folded_key"), ("N", "folded_key"), ("\\u004e", "folded_key"), ("Messages", "folded_key"),
    ("me\u017fsages", "folded_key"), ("Response_Format", "folded_key"), ("LogProbs", "folded_key"),
    ("Fallbacks", "client_routing"), ("Api_Base", "client_routing"), ("API_KEY", "client_routing"),
    ("api_\u212aey", "client_routing"), ("api_\\u212aey", "client_routing"), ("fallbac\u212a\u017f", "client_routing"),
    ("Provider", "client_routing"), ("Models", "client_routing"), ("rouTe", "client_routing"), ("Ba\u017fe_Url", "client_routing"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "code"), FOLDED)
def test_r20_a_key_that_go_would_take_for_one_of_ours_is_refused_by_name(
    key: str, code: str
) -> None:
    """golang/go #14750: its decoder takes a key for a field whatever its case; the last one wins."""
    for body in ('{"model": "a", "%s": 1}', '{"%s": 1, "model": "a"}', '{"%s": 1}'):
        with pytest.raises(RejectedError) as rejected:
            scan((body % key).encode())
        assert rejected.value.kind.code == code
        said = json.loads(f'"{key}"')
        assert rejected.value.param == said
        assert f'"{said}"' in rejected.value.detail


def test_r20_so_is_one_inside_stream_options() -> None:
    for key in ("Include_Usage", "include_u\u017fage", "\\u0049nclude_usage"):
        body = '{"model": "a", "stream": true, "stream_options": {"' + key + '": true}}'
        with pytest.raises(RejectedError) as rejected:
            scan(body.encode())
        assert rejected.value.kind.code == "folded_key"


@pytest.mark.parametrize(
    "body",
    [
        '{"model": "a", "messages": [{"Model": 1, "STREAM": 2, "Api_Base": 3}]}',
        '{"model": "a", "stream_options": {"Model": 1}}',
        '{"model": "a", "Include_Usage": 1, "Temperature": 2, "\u212ai": 3, "modeL ": 4, "ſ": 5}',
    ],
)
def test_other_letters_elsewhere_are_the_upstreams_affair(body: str) -> None:
    assert scan(body.encode()).model == "a"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
_options = st.none() | st.fixed_dictionaries(
    {}, optional={"include_usage": st.booleans(), "x": _json}
)
_bodies = st.fixed_dictionaries(
    {"model": st.from_regex(r"[a-zé☺][a-z0-9-]{0,6}", fullmatch=True)},
    optional={"stream": st.booleans(), "stream_options": _options, "é": _json, "messages": _json},
)


@given(_bodies, st.booleans(), st.integers(0, 3))
def test_a_splice_changes_model_and_usage_and_nothing_else(
    document: dict[str, object], ascii_only: bool, indent: int
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent or None).encode()
    try:
        scanned = scan(body)
    except RejectedError as rejected:
        assert rejected.kind.code == "escaped_key"  # noqa: PT017 - an escaped é is not read
        return
    assert scanned.model == document["model"]
    edits, names = splices(scanned, "new-☺", include_usage=scanned.stream)
    out = b"".join(edited(body, edits))
    assert len(body) + growth(edits) == len(out)
    expected = {**document, "model": "new-☺"}
    options = document.get("stream_options", {})
    if scanned.stream and isinstance(options, dict):
        expected["stream_options"] = {"include_usage": True, **options}
    assert json.loads(out) == expected
    assert "model" in names
