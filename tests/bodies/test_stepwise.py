"""Three ways through a body come to one verdict, and one of them in pieces of any size."""

import pytest
from hypothesis import example, given
from lockgate.bodies.scan import MAX_FIELDS, MAX_VALUES, Scan
from lockgate.bodies.splices import scan, walk
from lockgate.bodies.stepwise import BodyReader
from lockgate.errors.kinds import RejectedError

from tests.bodies.json_pieces import bodies, chunkings, places

Verdict = Scan | tuple[str, str | None]


def told(pieces: list[bytes]) -> Verdict:
    """Return what is said of a body that comes in these pieces."""
    body, reader = b"".join(pieces), BodyReader()
    try:
        for piece in pieces:
            reader.take(piece)
        return reader.finish(lambda start, stop: body[start:stop])
    except RejectedError as rejected:
        return rejected.kind.code, rejected.param


def whole(body: bytes, *, carefully: bool) -> Verdict:
    """Return what is said of it at once."""
    try:
        return walk(body) if carefully else scan(body)
    except RejectedError as rejected:
        return rejected.kind.code, rejected.param


@given(bodies, places)
@example(b'{"model": "a", "Stream": 3\x80', [])
@example(b'{"model": "a", "Stream": 1.\x80', [26])
@example(b'{"model": "a", "Stream": tru\x80', [27])
@example(b'{"model": "a", "Stream": -\x80', [])
def test_every_way_through_a_body_comes_to_one_verdict(body: bytes, at: list[int]) -> None:
    verdicts = [whole(body, carefully=False), whole(body, carefully=True)]
    verdicts += [told(pieces) for pieces in chunkings(body, at)]
    assert all(verdict == verdicts[0] for verdict in verdicts), verdicts


def fields(count: int, *, inner: bool) -> bytes:
    """Return a body with so many fields, or with so many in its stream_options."""
    many = b",".join([b'"x":1'] * count)
    if inner:
        return b'{"model":"a","stream":true,"stream_options":{%b}}' % many
    return b'{"model":"a",%b}' % many


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("more", [0, 1, 2])
def test_the_bound_on_fields_is_the_same(more: int, inner: bool) -> None:
    body = fields(MAX_FIELDS - (0 if inner else 1) + more, inner=inner)
    verdict = told([body])
    assert verdict == told([body[n : n + 7] for n in range(0, len(body), 7)])
    assert verdict == whole(body, carefully=True)
    assert isinstance(verdict, Scan) == (more == 0)


@pytest.mark.parametrize("depth", [1023, 1024])
def test_the_bound_on_depth_is_the_same(depth: int) -> None:
    """orjson has it; Python's own scanner, which would run into its recursion limit, is not asked."""
    body = b'{"model":"a","x":' + b"[" * depth + b"]" * depth + b"}"
    assert whole(body, carefully=False) == told([body])
    assert isinstance(told([body]), Scan) == (depth == 1023)
    escaped = body.replace(b'"a"', b'"\\u0061"')  # what the quick reading leaves to the others
    assert whole(escaped, carefully=False) == told([escaped[:12], escaped[12:]])


def test_the_bound_on_values_holds_as_soon_as_it_is_passed() -> None:
    body = b'{"model":"a","x":[' + b",".join([b"1"] * MAX_VALUES)
    reader = BodyReader()
    with pytest.raises(RejectedError) as rejected:
        reader.take(body)
    assert rejected.value.kind.code == "too_many_values"
    assert whole(body + b"]}", carefully=False) == told([body + b"]}"])
    fits = b'{"model":"a","x":[' + b",".join([b"1"] * (MAX_VALUES - 3)) + b"]}"
    assert isinstance(whole(fits, carefully=False), Scan)
    assert told([fits]) == whole(fits, carefully=False)


def test_the_model_is_known_as_soon_as_it_came() -> None:
    reader = BodyReader()
    reader.take(b'{"x":[1,2],"mod')
    reader.take(b'el" : "gp')
    assert reader.model_span is None
    reader.take(b't"')
    assert reader.model_span == (21, 26)
