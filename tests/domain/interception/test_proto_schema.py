"""Message types of ZITADEL's methods: the file that is shipped, and protobuf's JSON by its rules."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from protobuf import DescMessage

from outrider.domain.formats.json_text import read
from outrider.domain.interception.message import InvalidResponse
from outrider.domain.interception.proto_schema import ProtoSchemas, proto_schemas_from_json
from outrider.domain.interception.proto_values import CHECKS
from outrider.domain.interception.response_check import check_response
from outrider.domain.routing.condition import ConditionKind
from outrider_api.zitadel.action.v2 import action_service_pb
from outrider_api.zitadel.webkey.v2 import webkey_service_pb

DATA = json.loads(files("outrider").joinpath("method_schemas.json").read_text("utf-8"))
REQUEST, RESPONSE = ConditionKind.REQUEST, ConditionKind.RESPONSE
VALUES = {
    "b": (["true", "false"], ['"true"', "1", "{}"]),
    "s": (['""', '"x"'], ["1", "true", "[]", "{}"]),
    "y": (
        ['""', '"YQ=="', '"YQ"', '"-_-_"', '"+/+/"', '"YWI="', '"YQ==\\n"'],
        ['"Y"', '"YQ="', '"?"', '"+_"', "1", '"YQ==="'],
    ),
    "i": (
        ["0", "-1", "2147483647", '"5"', "1.0", "1e2", '"1e2"', "-0"],
        ["2147483648", "1.5", '""', '" 1"', "true", '"x"', "1e400", "1e999999999", '"01"'],
    ),
    "I": (['"9223372036854775807"', "-9223372036854775808"], ['"9223372036854775808"', "1e19"]),
    "u": (["4294967295"], ["4294967296", "-1"]),
    "U": (['"18446744073709551615"'], ['"18446744073709551616"', '"-1"']),
    "f": (["1.5", '"1.5"', '"NaN"', '"-Infinity"', "3.4e38"], ["1e39", "true", '"x"', '"nan"']),
    "d": (["1e308", "1"], ["1e309", "[]"]),
    "T": (['"2030-01-31T12:00:00Z"', '"2030-01-31T12:00:00.5+01:00"'], ['"2030-01-31"', "5", '""']),
    "D": (['"1s"', '"-1.5s"', '"0.000000001s"'], ['"1"', '"1m"', "1", '"s"', '"400000000000s"']),
    "S": (["{}", '{"a":{"b":null}}'], ["[]", '"x"']),
    "A": (['{"@type":"x"}'], ["[]"]),
    "L": (["[]", "[null,1]"], ["{}"]),
    "V": (["1", "{}", '"x"'], []),
    "M": (['"a,b"'], ["[]"]),
}


@pytest.fixture(scope="module")
def schemas() -> ProtoSchemas:
    return proto_schemas_from_json(DATA)


def one_field(text: str) -> ProtoSchemas:
    """A method `/s.S/M` whose request is this."""
    return ProtoSchemas({"s.S": "M:0,0"}, [text, "x:s"], ["A B"])


def is_taken(text: str, body: str, before: str = "{}") -> bool:
    schema = one_field(text).of("/s.S/M", REQUEST)
    try:
        check_response(body.encode(), lambda: before, schema)
    except InvalidResponse:
        return False
    return True


def test_every_type_has_values():
    assert CHECKS.keys() == VALUES.keys()


@pytest.mark.parametrize("letter", VALUES)
def test_a_type_takes_what_protojson_takes(letter):
    """
    What ZITADEL would refuse to read never gets there, and what it reads always does.
    """
    good, bad = VALUES[letter]
    check = CHECKS[letter]
    assert [] == [text for text in good if check(read(text)) is not None]
    assert [] == [text for text in bad if check(read(text)) is None]


@pytest.mark.parametrize(
    ("text", "good", "bad"),
    [
        ("a_b:s", ['{"aB":"x"}', '{"a_b":"x"}', '{"aB":null}'], ['{"AB":"x"}', '{"a-b":"x"}']),
        ("a:s*", ['{"a":[]}', '{"a":["x"]}'], ['{"a":"x"}', '{"a":[null]}', '{"a":{}}']),
        (
            "a:i%",
            ['{"a":{}}', '{"a":{"x":1}}'],
            ['{"a":[]}', '{"a":{"x":"y"}}', '{"a":{"x":null}}'],
        ),
        ("a:e0", ['{"a":"A"}', '{"a":7}'], ['{"a":"C"}', '{"a":"0"}', '{"a":1.5}', '{"a":true}']),
        ("a:m1", ['{"a":{"x":"y"}}', '{"a":{}}'], ['{"a":[]}', '{"a":{"y":1}}', '{"a":"x"}']),
        ("a:m1%", ['{"a":{"k":{"x":"y"}}}'], ['{"a":{"k":{"y":1}}}', '{"a":{"k":5}}']),
        ("a:s/0 b:s/0 c:s/1", ['{"a":"x","c":"y"}', '{"a":"x","b":null}'], ['{"a":"x","b":"y"}']),
        ("a:m0", ['{"a":{"a":{"a":{}}}}'], ['{"a":{"a":{"b":1}}}']),
        ("", ["{}"], ['{"a":null}']),
    ],
    ids=str,
)
def test_a_message_takes_what_protojson_takes(text, good, bad):
    assert [] == [body for body in good if not is_taken(text, body)]
    assert [] == [body for body in bad if is_taken(text, body)]


@pytest.mark.parametrize(
    ("body", "before", "expected"),
    [
        ('{"new":1}', '{"new":2}', True),
        ('{"new":1}', '{"newer":2}', False),
        ('{"a":{"new":{"x":1}}}', '{"a":{"new":5}}', True),
        ('{"a":{"new":1}}', '{"new":1}', False),
        ('{"b":[{"new":1}]}', '{"b":[{},{"new":2}]}', True),
        ('{"e":"NEW"}', '{"e":"NEW"}', True),
        ('{"e":"NEW"}', '{"e":"OTHER"}', False),
        ('{"o":"x","p":"y"}', '{"o":"1","p":"2"}', True),
        ('{"o":"x","p":"y"}', '{"o":"1"}', False),
        ('{"p":"x","o":"y"}', '{"o":"1"}', False),
    ],
)
def test_what_the_message_had_is_never_unknown(body, before, expected):
    """
    A newer ZITADEL has more fields and names than the file: targets that pass them on continue to work.
    """
    assert expected is is_taken("a:m1 b:m1* e:e0 o:s/0 p:s/0", body, before)


def test_every_method_of_zitadel_has_its_types(schemas):
    """
    All 899 of them, in both directions.
    """
    methods = [
        f"/{service}/{text.partition(':')[0]}"
        for service, texts in schemas.methods.items()
        for text in texts.split()
    ]
    assert 899 == len(methods)
    for method in methods:
        for kind in (REQUEST, RESPONSE):
            schema = schemas.of(method, kind)
            assert schema is not None
            check_response(b"{}", lambda: "{}", schema)


@pytest.mark.parametrize(
    "method",
    [
        "",
        "/",
        "/zitadel.user.v2.UserService/",
        "/zitadel.user.v2.UserService/Add",
        "/a.B/C",
        "x",
        "/zitadel.user.v2.UserService/.*",
    ],
)
def test_other_methods_have_none(schemas, method):
    assert schemas.of(method, REQUEST) is None


def names_of(message: DescMessage) -> set[str]:
    return {name for one in message.fields for name in (one.name, one.json_name)}


@pytest.mark.parametrize(
    "service",
    [action_service_pb.desc(), webkey_service_pb.desc()],
    ids=lambda file: file.name,
)
def test_the_types_are_those_of_the_protos_that_we_serve(schemas, service):
    """
    The file is made from another copy of ZITADEL's protos: both say the same.
    """
    for one in service.services:
        for method in one.methods:
            full = f"/{one.type_name}/{method.name}"
            for kind, message in ((REQUEST, method.input), (RESPONSE, method.output)):
                schema = schemas.of(full, kind)
                assert schema is not None, full
                assert schema.fields.keys() == names_of(message), full


def test_the_file_is_small():
    """
    It is read while the first caller waits.
    """
    assert len(json.dumps(DATA)) < 128 * 1024
