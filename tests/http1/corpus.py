"""Requests that an HTTP server must, or should, refuse, and some that it must take.

The cases are facts read in RFC 9112 and in the public test suites of gunicorn (tests/requests),
h11 (h11/tests) and llhttp (test/request), written anew for this proxy's door. Each row: where it
comes from, the bytes, and the status that it earns; 200 means that one request reaches the backend.
"""

import random
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

LINE: Final = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST: Final = b"Host: x\r\n"
JSON: Final = b'{"model": "m"}'
LENGTH: Final = b"Content-Length: 14\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
CHUNKS: Final = b"e\r\n" + JSON + b"\r\n0\r\n\r\n"
PLAIN_HEAD: Final = LINE + HOST + LENGTH + b"\r\n"


def _head(*fields: bytes, line: bytes = LINE, host: bytes = HOST, length: bytes = LENGTH) -> bytes:
    return line + host + b"".join(field + b"\r\n" for field in fields) + length + b"\r\n" + JSON


def _line(line: bytes) -> bytes:
    return _head(line=line + b"\r\n")


def _target(target: bytes) -> bytes:
    return _line(b"POST " + target + b" HTTP/1.1")


def _framed(*fields: bytes, body: bytes = CHUNKS, line: bytes = LINE) -> bytes:
    return line + HOST + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def _chunked(body: bytes) -> bytes:
    return LINE + HOST + CHUNKED + b"\r\n" + body


BAD: Final[dict[str, tuple[bytes, int]]] = {
    # the start line
    "9112-3 no version": (_line(b"POST /v1/chat/completions"), 400),
    "9112-3 two spaces before the target": (_line(b"POST  /v1/chat/completions HTTP/1.1"), 400),
    "9112-3 two spaces before the version": (_line(b"POST /v1/chat/completions  HTTP/1.1"), 400),
    "9112-3 a tab for a space": (_line(b"POST\t/v1/chat/completions HTTP/1.1"), 400),
    "9112-3 a space after the version": (_line(b"POST /v1/chat/completions HTTP/1.1 "), 400),
    "9112-3 a space before the method": (_line(b" POST /v1/chat/completions HTTP/1.1"), 400),
    "9112-3 a space inside the target": (_target(b"/v1/chat /completions"), 400),
    "9112-2.3 HTTP/2.0": (_line(b"POST /v1/chat/completions HTTP/2.0"), 400),
    "9112-2.3 HTTP/1.2": (_line(b"POST /v1/chat/completions HTTP/1.2"), 400),
    "9112-2.3 HTTP/0.9": (_line(b"POST /v1/chat/completions HTTP/0.9"), 400),
    "9112-2.3 http/1.1": (_line(b"POST /v1/chat/completions http/1.1"), 400),
    "9112-2.3 HTTP/1.10": (_line(b"POST /v1/chat/completions HTTP/1.10"), 400),
    "gunicorn 004 FTP/1.1": (_line(b"POST /v1/chat/completions FTP/1.1"), 400),
    "gunicorn 018 HTTP/111": (_line(b"POST /v1/chat/completions HTTP/111"), 400),
    "gunicorn 003b a colon in the method": (_line(b"bla:rgh /v1/chat/completions HTTP/1.1"), 400),
    "gunicorn 003c -bl": (_line(b"-bl /v1/chat/completions HTTP/1.1"), 400),
    "gunicorn prefix_02 a NUL in the method": (_line(b"POST\0 /v1/chat/completions HTTP/1.1"), 400),
    "gunicorn nonascii_01 a letter beyond ASCII": (_line(b"POST\xc3\x9f / HTTP/1.1"), 400),
    "gunicorn pp_01 PROXY protocol": (b"PROXY TCP4 192.168.0.1 192.168.0.11 1 2\r\n" + _head(), 400),
    "llhttp lower-case method": (_line(b"post /v1/chat/completions HTTP/1.1"), 400),
    "llhttp PRI": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "llhttp SOURCE": (_line(b"SOURCE /v1/chat/completions ICE/1.0"), 400),
    "llhttp M-SEARCH": (_line(b"M-SEARCH /v1/chat/completions HTTP/1.1"), 400),
    "llhttp ICY": (b"ICY 200 OK\r\n\r\n", 400),
    "h11 garbage": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    # the target
    "9112-3.2.3 authority-form": (_target(b"x:80"), 400),
    "9112-3.2.4 asterisk-form": (_line(b"OPTIONS * HTTP/1.1"), 400),
    "9112-3.2.1 a relative path": (_target(b"v1/chat/completions"), 400),
    "9112-3.2.2 another authority than Host's": (_target(b"http://y/v1/chat/completions"), 400),
    "9112-3.2.2 userinfo": (_target(b"http://a@x/v1/chat/completions"), 400),
    "9112-3.2.2 another scheme": (_target(b"ftp://x/v1/chat/completions"), 400),
    "9110-4.2.4 CONNECT": (_line(b"CONNECT x:443 HTTP/1.1"), 400),
    "9110-4.1 a fragment": (_target(b"/v1/chat/completions#a"), 400),
    "a fragment in the query": (_target(b"/v1/chat/completions?a#b"), 400),
    "dot segments": (_target(b"/v1/./chat/completions"), 400),
    "double dot segments": (_target(b"/v1/x/../chat/completions"), 400),
    "encoded dot segments": (_target(b"/v1/%2e%2E/chat/completions"), 400),
    "a doubled slash": (_target(b"/v1//chat/completions"), 400),
    "an encoded slash": (_target(b"/v1%2Fchat/completions"), 400),
    "a backslash": (_target(b"/v1\\chat/completions"), 400),
    "9112-3.2 a letter beyond ASCII": (_target("/v1/chat/complétions".encode()), 400),
    "9112-3 a target of 9,000 bytes": (_target(b"/" + b"x" * 9000), 414),
    # fields
    "9112-5.1 a space before the colon": (_head(b"X-A : b"), 400),
    "9112-5.1 a tab before the colon": (_head(b"X-A\t: b"), 400),
    "gunicorn 020 a space in Content-Length's name": (_head(length=b"Content-Length : 14\r\n"), 400),
    "9112-5.2 obs-fold": (_head(b"X-A: b\r\n c"), 400),
    "9112-5.2 obs-fold with a tab": (_head(b"X-A: b\r\n\tc"), 400),
    "9112-2.2 a space before the first field": (LINE + b" " + HOST + LENGTH + b"\r\n" + JSON, 400),
    "9112-2.2 a bare CR in a value": (_head(b"X-A: b\rc"), 400),
    "9112-2.2 a bare LF ends a field": (_head(b"X-A: b\nX-B: c"), 400),
    "9112-2.2 a bare LF ends the head": (LINE + HOST + b"\n" + JSON, 400),
    "9112-2.2 a bare LF ends the start line": (_head(line=LINE[:-2] + b"\n"), 400),
    "gunicorn invalid_field_value_01": (_head(b"Newline: a\nContent-Length: 26"), 400),
    "no colon": (_head(b"X-A"), 400),
    "no name": (_head(b": b"), 400),
    "gunicorn 005 a NUL in a name": (_head(b"X\0A: b"), 400),
    "a NUL in a value": (_head(b"X-A: b\0"), 400),
    "gunicorn ctl_bel a bell in a value": (_head(b"X-A: \x07b"), 400),
    "gunicorn ctl_del DEL in a value": (_head(b"X-A: b\x7f"), 400),
    "an escape in a value": (_head(b"X-A: \x1b[31m"), 400),
    "a vertical tab in a value": (_head(b"X-A: \x0bb"), 400),
    "gunicorn nonascii_03 a name beyond ASCII": (_head("Content-Lengthß: 3".encode()), 400),
    "gunicorn 040 an underscore in a name": (_head(b"Content_Length: 3"), 400),
    "an underscore for a dash": (_head(b"Transfer_Encoding: chunked"), 400),
    "a parenthesis in a name": (_head(b"X(A): b"), 400),
    "101 fields": (_head(*[b"X-A: b"] * 101), 431),
    "40,000 bytes of one field": (_head(b"X-A: " + b"y" * 40_000), 431),
    "a start line without an end": (b"POST /" + b"x" * 10_000, 414),
    # Host
    "9112-3.2 no Host": (_head(host=b""), 400),
    "9112-3.2 no Host in HTTP/1.0": (
        _head(host=b"", line=b"POST /v1/chat/completions HTTP/1.0\r\n"), 400,
    ),
    "9112-3.2 two Hosts": (_head(host=HOST + HOST), 400),
    "9112-3.2 a list of Hosts": (_head(host=b"Host: x, y\r\n"), 400),
    "gunicorn 011 no such host": (_head(host=b"Host: 0.0.0.0=5000\r\n"), 400),
    "an empty Host": (_head(host=b"Host:\r\n"), 400),
    "a path in Host": (_head(host=b"Host: x/y\r\n"), 400),
    # lengths
    "9112-6.3 two lengths": (_head(b"Content-Length: 15"), 400),
    "9112-6.3 two equal lengths": (_head(b"Content-Length: 14"), 400),
    "gunicorn cl_list a list of lengths": (_head(length=b"Content-Length: 14, 14\r\n"), 400),
    "gunicorn 022 -0": (_head(length=b"Content-Length: -0\r\n"), 400),
    "gunicorn 023 an underscore in a number": (_head(length=b"Content-Length: 1_4\r\n"), 400),
    "gunicorn 024 a plus sign": (_head(length=b"Content-Length: +14\r\n"), 400),
    "gunicorn 014 a negative length": (_head(length=b"CONTENT-LENGTH: -1\r\n"), 400),
    "gunicorn prefix_04 two numbers": (_head(length=b"Content-Length: 14 1\r\n"), 400),
    "a hexadecimal length": (_head(length=b"Content-Length: 0xe\r\n"), 400),
    "an empty length": (_head(length=b"Content-Length: \r\n"), 400),
    "a length in other digits": (_head(length="Content-Length: ١٤\r\n".encode()), 400),
    "a length of 40 digits": (_head(length=b"Content-Length: " + b"9" * 40 + b"\r\n"), 413),
    # transfer codings
    "9112-11.2 CL.TE": (_framed(CHUNKED[:-2], LENGTH[:-2]), 400),
    "9112-11.2 TE.CL": (_framed(LENGTH[:-2], CHUNKED[:-2]), 400),
    "9112-11.2 CL 0 and TE": (_framed(b"Content-Length: 0", CHUNKED[:-2]), 400),
    "9112-6.1 TE in HTTP/1.0": (
        _framed(CHUNKED[:-2], line=b"POST /v1/chat/completions HTTP/1.0\r\n"), 400,
    ),
    "9112-6.1 chunked twice": (_framed(CHUNKED[:-2], CHUNKED[:-2]), 400),
    "9112-6.1 chunked, chunked": (_framed(b"Transfer-Encoding: chunked, chunked"), 400),
    "9112-6.1 chunked not last": (_framed(b"Transfer-Encoding: chunked, gzip"), 400),
    "9112-6.1 gzip, chunked": (_framed(b"Transfer-Encoding: gzip, chunked"), 400),
    "gunicorn chunked_03 identity, chunked": (_framed(b"Transfer-Encoding: identity, chunked"), 400),
    "identity": (_framed(b"Transfer-Encoding: identity"), 400),
    "no coding at all": (_framed(b"Transfer-Encoding:"), 400),
    "xchunked": (_framed(b"Transfer-Encoding: xchunked"), 400),
    "chunked with a parameter": (_framed(b"Transfer-Encoding: chunked;a=b"), 400),
    "a vertical tab before chunked": (_framed(b"Transfer-Encoding: \x0bchunked"), 400),
    "chunked in quotes": (_framed(b'Transfer-Encoding: "chunked"'), 400),
    # chunks
    "gunicorn chunked_01 an underscore in a size": (_chunked(b"1_e\r\n"), 400),
    "gunicorn a minus sign": (_chunked(b"-5\r\nhello\r\n0\r\n\r\n"), 400),
    "gunicorn a plus sign in a size": (_chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "0x in a size": (_chunked(b"0xe\r\n" + JSON + b"\r\n0\r\n\r\n"), 400),
    "gunicorn chunked_09 a space after a size": (_chunked(b"e \r\n" + JSON + b"\r\n0\r\n\r\n"), 400),
    "gunicorn chunked_10 a space before a size": (_chunked(b" e\r\n" + JSON + b"\r\n0\r\n\r\n"), 400),
    "gunicorn chunked_11 an LF before an extension": (_chunked(b"e\n;\r\n" + JSON), 400),
    "gunicorn chunked_12 no size but an extension": (_chunked(b";a=b\r\nhello\r\n"), 400),
    "gunicorn chunked_13 no size": (_chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    "gunicorn chunked_14 a bare CR in an extension": (_chunked(b"e;a=b\rc\r\n" + JSON), 400),
    "9112-7.1 17 digits": (_chunked(b"0" * 16 + b"e\r\n" + JSON + b"\r\n0\r\n\r\n"), 400),
    "9112-7.1.1 257 bytes of extension": (_chunked(b"e;" + b"x" * 256 + b"\r\n" + JSON), 400),
    "64 KiB of extension": (_chunked(b"e;" + b"x" * 65536 + b"\r\n" + JSON), 400),
    "a size of all sixteen Fs": (_chunked(b"f" * 16 + b"\r\n" + b"x" * 100), None),  # type: ignore[dict-item]
    "a chunk longer than its size": (_chunked(b"d\r\n" + JSON + b"\r\n0\r\n\r\n"), 400),
    "h11 no CRLF after a chunk": (_chunked(b"e\r\n" + JSON + b"xx0\r\n\r\n"), 400),
    "an LF after a chunk": (_chunked(b"e\r\n" + JSON + b"\n0\r\n\r\n"), 400),
    "a bare LF after a size": (_chunked(b"e\n" + JSON + b"\r\n0\r\n\r\n"), 400),
    "a trailer without a colon": (_chunked(CHUNKS[:-2] + b"oops\r\n\r\n"), 400),
    "a trailer with a NUL": (_chunked(CHUNKS[:-2] + b"X: \0\r\n\r\n"), 400),
    "obs-fold in a trailer": (_chunked(CHUNKS[:-2] + b"X: a\r\n b\r\n\r\n"), 400),
    "9 KiB of trailers": (_chunked(CHUNKS[:-2] + b"X: " + b"y" * 9216 + b"\r\n\r\n"), 400),
    # others
    "9110-10.1.1 another expectation": (_head(b"Expect: magic"), 417),
    "9110-8.4 a coded body": (_head(b"Content-Encoding: gzip"), 415),
}  # fmt: skip
del BAD["a size of all sixteen Fs"]  # a size to be waited for: no verdict before the body's cap

GOOD: Final[dict[str, bytes]] = {
    "plain": _head(),
    "9112-2.2 one empty line before": b"\r\n" + _head(),
    "9112-3.2.2 absolute-form with Host's authority": _target(b"http://x/v1/chat/completions"),
    "a query": _target(b"/v1/chat/completions?beta=true"),
    "gunicorn 008 a length in odd case": _head(length=b"conTENT-Length: 14\r\n"),
    "a length in capitals with a tab": _head(length=b"CONTENT-LENGTH: \t14 \r\n"),
    "gunicorn padding_01 tabs around a value": _head(b"X-A: \t v \t "),
    "gunicorn obs_text": _head("X-A: café".encode()),
    "gunicorn special_chars in a name": _head(b"X.Custom|Pipe: ok"),
    "an empty value": _head(b"X-A:"),
    "a port in Host": _head(host=b"Host: x:8080\r\n"),
    "IPv6 in Host": _head(host=b"Host: [::1]:8080\r\n"),
    "9110-7.8 an upgrade that is ignored": _head(b"Connection: upgrade", b"Upgrade: h2c"),
    "chunked": _chunked(CHUNKS),
    "Chunked": _framed(b"Transfer-Encoding: Chunked"),
    "gunicorn leading zeros": _chunked(b"000e\r\n" + JSON + b"\r\n000\r\n\r\n"),
    "gunicorn upper-case hex": _chunked(b"E\r\n" + JSON + b"\r\n0\r\n\r\n"),
    "9112-7.1.1 an extension": _chunked(b'e;foo="bar baz"\r\n' + JSON + b"\r\n0\r\n\r\n"),
    "9112-7.1.2 trailers that would lie": _chunked(
        CHUNKS[:-2] + b"Content-Length: 99\r\nHost: evil\r\nAuthorization: Bearer x\r\n\r\n"
    ),
    "two chunks": _chunked(b"7\r\n" + JSON[:7] + b"\r\n7\r\n" + JSON[7:] + b"\r\n0\r\n\r\n"),
}

OK: Final = b"HTTP/1.1 200 OK\r\n"
TYPE: Final = b"Content-Type: application/json\r\n"


def _answer(*fields: bytes, line: bytes = OK, body: bytes = b"{}") -> bytes:
    return line + TYPE + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


LEN2: Final = b"Content-Length: 2"
BAD_ANSWERS: Final[dict[str, bytes]] = {
    "H2 a status of four digits": _answer(LEN2, line=b"HTTP/1.1 2000 OK\r\n"),
    "H2 status 099": _answer(LEN2, line=b"HTTP/1.1 099 X\r\n"),
    "H2 status 600": _answer(LEN2, line=b"HTTP/1.1 600 X\r\n"),
    "H2 HTTP/9.9": _answer(LEN2, line=b"HTTP/9.9 200 OK\r\n"),
    "H2 HTTP/2": _answer(LEN2, line=b"HTTP/2 200 OK\r\n"),
    "H2 garbage": b"nonsense\r\n\r\n",
    "H2 a TLS alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "H2 a space before the version": _answer(LEN2, line=b" HTTP/1.1 200 OK\r\n"),
    "H2 a control character in the reason": _answer(LEN2, line=b"HTTP/1.1 200 O\x01K\r\n"),
    "H3 both framings": _answer(LEN2, CHUNKED[:-2], body=b"2\r\n{}\r\n0\r\n\r\n"),
    "H3 two lengths": _answer(LEN2, b"Content-Length: 3"),
    "H3 two equal lengths": _answer(LEN2, LEN2),
    "H3 a list of lengths": _answer(b"Content-Length: 2, 2"),
    "H3 a negative length": _answer(b"Content-Length: -2"),
    "H3 a length of 40 digits": _answer(b"Content-Length: " + b"9" * 40),
    "H3 gzip, chunked": _answer(b"Transfer-Encoding: gzip, chunked"),
    "H3 chunked in HTTP/1.0": _answer(CHUNKED[:-2], line=b"HTTP/1.0 200 OK\r\n"),
    "H4 a NUL in a value": _answer(LEN2, b"X-A: \0"),
    "H4 a bare CR": _answer(LEN2, b"X-A: a\rb"),
    "H4 a bare LF": _answer(LEN2, b"X-A: a\nb: c"),
    "H4 obs-fold": _answer(LEN2, b"X-A: a\r\n b"),
    "H4 a space before the colon": _answer(b"Content-Length : 2"),
    "H4 5,000 fields": _answer(LEN2, *[b"a: b"] * 5000),
    "H4 101 fields": _answer(LEN2, *[b"a: b"] * 100),
    "H4 a line of 40 KiB": _answer(LEN2, b"X-A: " + b"y" * 40_960),
    "H5 an unsolicited 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "H5 a 101 that names no protocol": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + _answer(LEN2),
    "H5 nine interim answers": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9 + _answer(LEN2),
    "S7 a chunk without a size": _answer(CHUNKED[:-2], body=b"\r\n{}\r\n0\r\n\r\n"),
    "S7 a chunk longer than its size": _answer(CHUNKED[:-2], body=b"1\r\n{}\r\n0\r\n\r\n"),
    "S7 a negative chunk": _answer(CHUNKED[:-2], body=b"-2\r\n{}\r\n0\r\n\r\n"),
    "S7 64 KiB of extension": _answer(CHUNKED[:-2], body=b"2;" + b"x" * 65_536),
}
GOOD_ANSWERS: Final[dict[str, bytes]] = {
    "a length": _answer(LEN2),
    "chunked": _answer(CHUNKED[:-2], body=b"2\r\n{}\r\n0\r\n\r\n"),
    "chunked with a trailer": _answer(CHUNKED[:-2], body=b"2;a=b\r\n{}\r\n0\r\nServer: x\r\n\r\n"),
    "no reason": _answer(LEN2, line=b"HTTP/1.1 200 \r\n"),
    "no reason and no space": _answer(LEN2, line=b"HTTP/1.1 200\r\n"),
    "HTTP/1.0": _answer(LEN2, line=b"HTTP/1.0 200 OK\r\n"),
    "eight interim answers": b"HTTP/1.1 102 Processing\r\nx: y\r\n\r\n" * 8 + _answer(LEN2),
    "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + _answer(LEN2),
    "an underscore in a name": _answer(LEN2, b"x_a: b"),
}


def pieces(raw: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """Return `raw` cut at these places."""
    edges = [0, *sorted(places), len(raw)]
    return (raw[a:b] for a, b in pairwise(edges) if a < b)


def every_way(raw: bytes) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Return `raw` whole, per line, per byte, and at ten random cuts, each with its name."""
    yield "whole", iter([raw])
    yield "per line", iter(raw.splitlines(keepends=True))
    yield "per byte", (raw[n : n + 1] for n in range(len(raw)))
    chance = random.Random(raw)
    for number in range(10):
        places = [chance.randrange(len(raw) + 1) for _ in range(chance.randrange(1, 6))]
        yield f"split {number}", pieces(raw, places)
