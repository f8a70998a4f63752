"""What a policy and the address listened on add to the gates of a head."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.doors import DOORS, NO_RULES
from lockgate.errors.kinds import RejectedError
from lockgate.http1.head_rules import FRAMING, HeadRules, is_loopback
from lockgate.http1.request_head import Head, Heads, read_head

LABELS = ("x-data-class", "x-llmkube-team", "x-org")
PAGES = ("https://chat.example",)
HERE = HeadRules(DOORS, LABELS, PAGES, "127.0.0.1")
EVERYWHERE = HeadRules(DOORS, LABELS, PAGES, "0.0.0.0")


def raw(*fields: str, line: str = "POST /v1/chat/completions", host: str = "127.0.0.1:1") -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode("latin-1")


def read(*fields: str, rules: HeadRules = EVERYWHERE, **more: str) -> Head:
    return read_head(raw(*fields, **more), rules)


def refused(*fields: str, rules: HeadRules = EVERYWHERE, **more: str) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        read(*fields, rules=rules, **more)
    return caught.value


# -- underscores


@pytest.mark.parametrize(
    "name",
    [
        "Content_Length", "content_length", "Transfer_Encoding", "TRANSFER_ENCODING", "X_API_KEY",
        "X_Api-Key", "X-Api_key", "Content_Encoding", "Sec_Fetch_Site", "x_data_class", "X-Data_Class",
        "X_LLMKUBE_TEAM", "x_org",
    ],
)  # fmt: skip
def test_a_name_that_folds_into_one_that_is_read_is_refused_by_name(name: str) -> None:
    rejection = refused(f"{name}: 1")
    assert rejection.kind.code == "bad_request"
    assert rejection.param == name.lower()
    assert name.lower() in rejection.detail
    assert name.lower().replace("_", "-") in rejection.detail


@pytest.mark.parametrize(
    "name", ["langfuse_trace_id", "X_Org_Id", "x__org", "_", "host_", "_host", "x_request_id"]
)
def test_any_other_name_with_an_underscore_goes_nowhere(name: str) -> None:
    head = read(f"{name}: 1", "X-A: b")
    assert set(head.headers) == {"host", "x-a"}
    assert head.dropped == (name.lower(),)
    assert head.client_request_id is None


def test_another_policy_reads_other_names_whatever_was_remembered() -> None:
    heads = Heads(NO_RULES)
    asked = raw("X_Org: acme")
    assert heads.read(asked)[0].dropped == ("x_org",)
    assert heads.read(asked)[0].dropped == ("x_org",)
    heads.adopt(EVERYWHERE)
    with pytest.raises(RejectedError):
        heads.read(asked)
    heads.adopt(NO_RULES)
    assert heads.read(asked)[0].dropped == ("x_org",)


@given(
    st.lists(
        st.tuples(
            st.text("xXoOrR-_", min_size=1, max_size=6)
            | st.sampled_from(["X_Org", "x-org", "Host_"]),
            st.text("ab ,", max_size=4),
        ),
        max_size=6,
    )
)
def test_what_is_let_in_is_what_was_sent_without_underscores(
    fields: list[tuple[str, str]],
) -> None:
    plain: dict[str, tuple[str, ...]] = {"host": ("127.0.0.1:1",)}
    taken_for_ours = False
    for name, value in fields:
        key = name.lower()
        if "_" in key:
            taken_for_ours |= key.replace("_", "-") in {*LABELS, *FRAMING}
        else:
            plain[key] = (*plain.get(key, ()), value.strip(" "))
    asked = [f"{name}: {value}" for name, value in fields]
    if taken_for_ours:
        assert "_" in (refused(*asked).param or "")
    else:
        assert read(*asked).headers == plain


# -- trailers


@pytest.mark.parametrize(
    "value", ["x-org", "X-Org", "a, X-LLMKUBE-TEAM", "a ,\tx-data-class\t, b", "x_org"]
)
def test_a_trailer_may_not_name_what_routing_reads(value: str) -> None:
    rejection = refused(f"Trailer: {value}", "Transfer-Encoding: chunked")
    assert rejection.kind.code == "bad_request"
    assert "trailer" in rejection.detail


@pytest.mark.parametrize("value", ["x-checksum", "", "content-length", "x-org-2", "expires, , a"])
def test_any_other_trailer_may_be_named(value: str) -> None:
    head = read(f"Trailer: {value}", "Transfer-Encoding: chunked")
    assert head.framing == "chunked"


def test_a_field_of_a_trailer_is_judged_as_one_of_a_head_is() -> None:
    EVERYWHERE.check_trailer(["x-checksum", "content-length", "host", "authorization", "x-org-id"])
    for name in ("x-org", "x_org", "x-data_class"):
        with pytest.raises(RejectedError):
            EVERYWHERE.check_trailer(["x-checksum", name])


# -- pages


@pytest.mark.parametrize(
    "fields",
    [
        ["Origin: https://evil.example"],
        ["Origin: http://localhost.evil.example"],
        ["Origin: http://127.0.0.1.evil.example"],
        ["Origin: http://localhost@evil.example"],
        ["Origin: https://CHAT.example"],
        ["Origin: https://chat.example:8443"],
        ["Origin: http://chat.example"],
        ["Origin: null"],
        ["Origin: "],
        ["Origin: https://chat.example, https://evil.example"],
        ["Origin: https://chat.example", "Origin: https://evil.example"],
        ["Origin: file://"],
        ["Origin: http://128.0.0.1"],
        ["Sec-Fetch-Site: cross-site"],
        ["Sec-Fetch-Site:  CROSS-SITE"],
        ["Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"],
    ],
)
@pytest.mark.parametrize("line", ["POST /v1/chat/completions", "GET /v1/models"])
def test_a_page_of_another_origin_may_not_call_a_proxy_on_loopback(
    fields: list[str], line: str
) -> None:
    rejection = refused(*fields, rules=HERE, line=line)
    assert (rejection.kind.code, rejection.kind.status) == ("cross_origin", 403)
    assert "origin" in rejection.detail
    assert refused(*fields, rules=HERE, line=line, host="[::1]:8080").kind.status == 403
    assert read(*fields, line=line).door  # not judged where it listens elsewhere


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["Origin: https://chat.example", "Sec-Fetch-Site: cross-site"],
        ["Origin: http://localhost"],
        ["Origin: http://localhost:3000", "Sec-Fetch-Site: cross-site"],
        ["Origin: https://127.9.8.7:3000"],
        ["Origin: http://[::1]:3000"],
        ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"],
        ["Sec-Fetch-Site: same-origin"],
        ["Sec-Fetch-Mode: cors"],
    ],
)
def test_loopback_listed_origins_and_what_is_no_page_are_let_in(fields: list[str]) -> None:
    for host in ("127.0.0.1:8080", "localhost:1", "LOCALHOST", "[::1]:8080", "127.1.2.3"):
        assert read(*fields, rules=HERE, host=host).door == "chat"


@pytest.mark.parametrize(
    "field",
    ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "Sec-Fetch-Dest: image"],
)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "10.0.0.1", "localhost.evil"]
)
def test_a_page_under_a_name_that_was_made_to_point_here_is_refused(field: str, host: str) -> None:
    rejection = refused(field, rules=HERE, host=host)
    assert (rejection.kind.code, rejection.param) == ("cross_origin", "host")


@pytest.mark.parametrize("origin", ["https://chat.example", "http://localhost:1"])
def test_a_page_that_is_let_in_may_call_by_any_name(origin: str) -> None:
    """Under a name that was made to point here that name would be its origin."""
    assert read(f"Origin: {origin}", rules=HERE, host="gateway.example").door == "chat"


def test_a_preflight_is_answered_to_everybody() -> None:
    fields = ["Origin: https://evil.example", "Access-Control-Request-Method: POST"]
    assert read(*fields, rules=HERE, line="OPTIONS /v1/chat/completions", host="x").door


@pytest.mark.parametrize("fields", [[], ["Sec-Fetch-Mode: cors"], ["X-A: b"]])
def test_the_host_of_what_no_page_sent_is_not_judged(fields: list[str]) -> None:
    """Node's fetch says Sec-Fetch-Mode alone (nodejs/undici), and containers ask for a host's name."""
    assert read(*fields, rules=HERE, host="host.docker.internal:8080").door == "chat"


@pytest.mark.parametrize(
    ("host", "is_it"),
    [("127.0.0.1", True), ("127.255.0.9", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("LocalHost.", True), ("0.0.0.0", False), ("::", False), ("localhost.example", False),
     ("10.0.0.1", False), ("", False), ("127.0.0.1.example", False), ("169.254.169.254", False)],
)  # fmt: skip
def test_loopback_is_this_machine_alone(host: str, *, is_it: bool) -> None:
    assert is_loopback(host) is is_it


# -- CORS


@pytest.mark.parametrize("rules", [HERE, EVERYWHERE])
def test_a_listed_origin_may_read_what_it_is_answered(rules: HeadRules) -> None:
    lines = read("Origin: https://chat.example", rules=rules).cors.split(b"\r\n")
    assert b"access-control-allow-origin: https://chat.example" in lines
    assert b"vary: Origin" in lines
    exposed = next(line for line in lines if line.startswith(b"access-control-expose-headers"))
    assert b"x-request-id" in exposed
    assert b"x-lockgate-backend" in exposed


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000", "*"])
def test_no_other_origin_is_told_anything(origin: str) -> None:
    assert read(f"Origin: {origin}").cors == b"vary: Origin\r\n"
    assert read(f"Origin: {origin}", rules=HeadRules(DOORS, LABELS)).cors == b""
    assert read().cors == b"vary: Origin\r\n"


@pytest.mark.parametrize("field", ["X_Org: 1", "Expect: magic", "Content-Encoding: gzip"])
def test_a_listed_origin_may_read_why_its_head_is_refused(field: str) -> None:
    rejection = refused(field, "Origin: https://chat.example")
    assert b"access-control-allow-origin: https://chat.example" in rejection.headers


def test_a_preflight_is_allowed_the_headers_it_asks_for() -> None:
    asked = "authorization,content-type,x-stainless-os, x-llmkube-team"
    head = read(
        "Origin: https://chat.example",
        "Access-Control-Request-Method: POST",
        f"Access-Control-Request-Headers: {asked}",
        line="OPTIONS /v1/chat/completions",
    )
    lines = head.options.split(b"\r\n")
    assert b"allow: POST, OPTIONS" in lines
    assert b"access-control-allow-methods: POST, OPTIONS" in lines
    assert b"access-control-allow-headers: " + asked.encode() in lines


@pytest.mark.parametrize("asked", ["a b", "a:b", "a,,b", "(x)", "", "x\xe9"])
def test_what_is_no_list_of_names_is_not_said_back(asked: str) -> None:
    head = read(
        "Origin: https://chat.example",
        "Access-Control-Request-Method: POST",
        f"Access-Control-Request-Headers: {asked}",
        line="OPTIONS /v1/models",
    )
    assert b"allow-headers" not in head.options
    assert b"allow-methods: GET, HEAD, OPTIONS" in head.options


@pytest.mark.parametrize("field", ["X-A: b", "Origin: https://chat.example"])
def test_options_that_is_no_preflight_is_told_the_methods(field: str) -> None:
    assert read(field, line="OPTIONS /v1/models").options == b"allow: GET, HEAD, OPTIONS\r\n"


# -- the caller's own id


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("abc-1", "abc-1"),
        ("a b", "a b"),
        ("", None),
        ("x" * 500, "x" * 128),
        ("caf\xe9", "caf?"),
        ("a\tb", "a?b"),
    ],
)
def test_the_callers_own_id_is_kept_short_and_printable(value: str, kept: str | None) -> None:
    assert read(f"X-Request-Id: {value}").client_request_id == kept


def test_the_first_of_several_ids_is_kept() -> None:
    assert read("X-Request-Id: a", "X-Request-Id: b").client_request_id == "a"
