"""The lexer takes what Python's json takes, however it comes, in time that is linear."""

import json
import time

import pytest
from hypothesis import given
from lockgate.bodies.lexer import MAX_DEPTH, SLICE_BYTES, Lexer, NotJsonError

from tests.bodies.json_pieces import bodies, chunkings, places


def is_json(data: bytes, *, constants: bool = False) -> bool:
    """Whether Python's json reads it."""

    def constant(name: str) -> object:
        if constants:
            return name
        raise ValueError(name)

    try:
        json.loads(data.decode(), parse_constant=constant, parse_int=float)
    except ValueError:
        return False
    return True


def lexed(pieces: list[bytes], *, constants: bool = False) -> bool:
    """Whether the lexer reads it."""
    lexer = Lexer(constants=constants)
    try:
        for piece in pieces:
            lexer.feed(piece)
        lexer.end()
    except NotJsonError:
        return False
    return True


@given(bodies, places)
def test_it_takes_what_json_takes_however_it_comes(data: bytes, at: list[int]) -> None:
    for constants in (False, True):
        wanted = is_json(data, constants=constants)
        for pieces in chunkings(data, at):
            assert lexed(pieces, constants=constants) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "0", "-0", "1.5e-7", "1E+9", "-12.0", "true", "null", '"x"', "[]", "{}", " [ 1 , 2 ] ", "[0,[1,2],[ ],{},{ },1]", '[0,{"a":1,"b":"c"},[1,[2]],3]', '[0,{"a":1,},2]', "[0,[1,],2]", '{"a":{"b":[{}]}}',
        '"\\ud83d\\ude00"', '"\\ud83d"', '"\\\\"', '"\\\\\\""', "[[],[[]],{}]", '["a,b","[",{"{":"}"}]',
        "", " ", "01", "-", "1.", ".5", "1e", "1e+", "+1", "tru", "True", "nul", "[1,]", "[,1]", '{"a":1,}', '{"a"}',
        '{"a":}', "{1:2}", "[1 2]", '["a" "b"]', "[1]]", "[1}", '{"a":1]', '"\\x"', '"\\u12"', '"\\u12g4"', '"\t"',
        '"', '"\\"', "1 1", "[1][", "\ufeff1", "{,}", "[}", "'a'", "nan", "--1", "1-1", "[1", '{"a":"b"',
    ],
)  # fmt: skip
def test_of_every_piece_of_the_grammar_it_says_what_json_says(text: str) -> None:
    data = text.encode()
    for pieces in chunkings(data, [1, 3]):
        assert lexed(pieces) == is_json(data)


def test_what_lies_across_the_border_of_a_slice_is_read_as_anywhere_else() -> None:
    for token in (b"1234.5e-67", b'"\\u00e9\\\\\\"x"', b"null", '"é😀"'.encode(), b'{"k":[{}]}'):
        for before in range(SLICE_BYTES - len(token) - 2, SLICE_BYTES + 2):
            assert lexed([b"[" + b" " * before + token + b"]"])
            assert not lexed([b"[" + b" " * before + token + token + b"]"])


def test_depth_has_an_end() -> None:
    assert lexed([b"[" * MAX_DEPTH + b"]" * MAX_DEPTH])
    assert not lexed([b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)])
    for flat in (b"[]", b"{}", b"[1]", b'{"a":1}'):
        for levels in (MAX_DEPTH - 1, MAX_DEPTH):
            data = b"[" * levels + b"1," + flat + b",2" + b"]" * levels
            assert lexed([data]) == (levels < MAX_DEPTH)


def test_values_are_counted_as_separators_outside_of_strings() -> None:
    lexer = Lexer()
    lexer.feed(b'[1,2,{"a":[],"b,[{":"c,[{"},["x","y",[],{}],"\\"[,{"]')
    lexer.end()
    assert lexer.values == 14


MIB = 1 << 20


@pytest.mark.parametrize(
    "data",
    [
        b" " * 8 * MIB + b"1",
        b'"' + b"\\\\" * 4 * MIB + b'"',
        b'"' + b'\\"' * 4 * MIB + b'"',
        b'"' + b"\\ud83d" * MIB + b'"',
        b"1" * 8 * MIB,
        b'"' + b"a" * 8 * MIB + "😀".encode() + b'"',
        b"[" + b'"",' * MIB + b"1]",
        b"[" + b"[]," * MIB + b"1]",
        b'{"' + b"k" * 8 * MIB + b'":1}',
        b"[" + (b" " * 1000 + b"1,") * 8 * 1024 + b"1]",
    ],
)
def test_eight_mebibytes_of_anything_cost_little(data: bytes) -> None:
    began = time.process_time()
    assert lexed([data])
    assert time.process_time() - began < 2.0  # some 0.1 s on a quiet machine
