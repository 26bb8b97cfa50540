"""The OpenAPI document as one HTML page: no script, and nothing from anywhere else."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from html import escape
from typing import Any

from reference.contract import Json
from reference.document import CONNECT
from reference.style import STYLE

# The server replaces it by the address of the request.
ORIGIN = "https://outrider.invalid"

NOT_A_WORD = re.compile(r"[^A-Za-z0-9]+")
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"https://[^\s)]+")
Operation = tuple[str, str, Json]
"""Verb, path, and the operation object."""


def page_of(document: Json) -> str:
    """The whole page."""
    return Page(document).html()


class Page:
    """Writes the parts of the page."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._schemas: dict[str, Json] = document["components"]["schemas"]
        self._tags = [tag["name"] for tag in document["tags"]]
        self._calls: dict[str, list[Operation]] = {}
        for path, verbs in document["paths"].items():
            for verb, operation in verbs.items():
                name = call_name(operation["operationId"])
                self._calls.setdefault(name, []).append((verb.upper(), path, operation))

    def html(self) -> str:
        """The document from its type to its end."""
        info = self._document["info"]
        return "\n".join(
            [
                "<!doctype html>",
                '<html lang="en"><head><meta charset="utf-8">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                '<meta name="color-scheme" content="light dark">',
                f"<title>{escape(info['title'])} API</title>",
                f"<style>{STYLE}</style></head><body>",
                '<a class="skip" href="#main">Skip to the content</a>',
                self._navigation(),
                '<main id="main">',
                f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>",
                paragraphs(info["description"]),
                self._first_steps(),
                *(self._service(tag) for tag in self._document["tags"]),
                self._errors(),
                "<h2 id='types'>Types</h2>",
                *(self._type(name, schema) for name, schema in sorted(self._schemas.items())),
                "</main></body></html>",
                "",
            ]
        )

    def _navigation(self) -> str:
        parts = ['<nav aria-label="Calls"><a class="home" href="#main">outrider</a>']
        for tag in self._tags:
            package, _, service = tag.rpartition(".")
            title = f"<b>{escape(service)}</b> <small>{escape(package)}</small>"
            links = "".join(
                f'<li><a href="#{anchor(name)}">{escape(operations[0][2]["summary"])}</a></li>'
                for name, operations in self._of(tag)
            )
            parts.append(f"<details><summary>{title}</summary><ul>{links}</ul></details>")
        parts.append('<ul><li><a href="#errors">Errors</a></li>')
        parts.append('<li><a href="#types">Types</a></li>')
        parts.append('<li><a href="/openapi.json">openapi.json</a></li></ul></nav>')
        return "".join(parts)

    def _of(self, tag: str) -> Iterator[tuple[str, list[Operation]]]:
        return (item for item in self._calls.items() if tag in item[1][0][2]["tags"])

    @staticmethod
    def _first_steps() -> str:
        return (
            "<p>Every call but those for probes needs a token. The examples take it from the"
            " environment:</p><pre><code>export TOKEN=$(cat data/admin.token)</code></pre>"
        )

    def _service(self, tag: Json) -> str:
        calls = "".join(self._call(name, found) for name, found in self._of(tag["name"]))
        heading = f'<h2 id="{anchor(tag["name"])}">{escape(tag["name"])}</h2>'
        return f"<section>{heading}{paragraphs(tag['description'])}{calls}</section>"

    def _call(self, name: str, operations: list[Operation]) -> str:
        verb, path, first = operations[0]
        _, _, last = operations[-1]
        routes = "".join(f"<li>{route(verb, path)}</li>" for verb, path, _ in operations)
        permission = first.get("x-permission")
        chip = f'<span class="permission">{escape(permission)}</span>' if permission else ""
        return (
            f'<details class="call"><summary><h3>{escape(first["summary"])}</h3>'
            f"{route(verb, path)}{chip}</summary>"
            f'<div class="body" id="{anchor(name)}">{paragraphs(first["description"])}'
            f'<ul class="routes">{routes}</ul>{self._request(operations)}{self._answer(last)}'
            f"<h4>Errors</h4>{self._statuses(first)}"
            f"<h4>Example</h4><pre><code>{escape(curl(verb, path, first))}</code></pre>"
            "</div></details>"
        )

    def _request(self, operations: list[Operation]) -> str:
        _, _, last = operations[-1]
        body = last.get("requestBody")
        if body is None:
            return ""
        in_path = {
            parameter["name"].replace("_", "")
            for _, _, operation in operations
            for parameter in operation.get("parameters", ())
            if parameter["in"] == "path"
        }
        schema = self._resolved(content(body))
        return f"<h4>Request</h4>{self._choice(schema)}{self._fields(schema, in_path)}"

    def _answer(self, operation: Json) -> str:
        answer = next(iter(operation["responses"].values()))
        schema = self._resolved(content(answer))
        return f"<h4>Answer</h4>{self._fields(schema, set())}"

    def _statuses(self, operation: Json) -> str:
        parts = []
        for status, response in operation["responses"].items():
            if not status.startswith("2"):
                reference = response.get("$ref", "").rpartition("/")[2]
                error = self._document["components"]["responses"].get(reference, response)
                title = escape(error["description"], quote=True)
                parts.append(f'<a href="#errors" title="{title}">{escape(status)}</a>')
        return f'<p class="statuses">{" ".join(parts)}</p>' if parts else "<p>None.</p>"

    def _errors(self) -> str:
        rows = "".join(
            f"<tr><td><code>{name.partition('.')[2]}</code></td>"
            f"<td>{inline(response['description'])}</td></tr>"
            for name, response in self._document["components"]["responses"].items()
            if name.startswith("rest.")
        )
        return (
            '<section><h2 id="errors">Errors</h2><p>REST routes answer with a '
            f"{self._link('RestError')}, Connect paths with a {self._link('ConnectError')}.</p>"
            f'<div class="wide"><table><thead><tr><th scope="col">Status</th>'
            f'<th scope="col">When</th></tr></thead><tbody>{rows}</tbody></table></div></section>'
        )

    def _type(self, name: str, schema: Json) -> str:
        fields = self._fields(schema, set()) if schema.get("type") == "object" else ""
        values = "" if fields else values_of(schema)
        return (
            f'<section class="type" id="{anchor(name)}"><h3>{escape(name)}</h3>'
            f"{paragraphs(schema.get('description', '').partition(chr(10))[0])}"
            f"{self._choice(schema)}{fields}{values}</section>"
        )

    @staticmethod
    def _choice(schema: Json) -> str:
        parts = []
        for choice in [schema, *schema.get("allOf", ())]:
            members = choice.get("oneOf", [])
            how = "At most one of" if members and "not" in members[-1] else "Exactly one of"
            names = [
                f"<code>{escape(member['required'][0])}</code>"
                for member in members
                if "required" in member
            ]
            if names:
                parts.append(f"<p>{how} {', '.join(names)}.</p>")
        return "".join(parts)

    def _fields(self, schema: Json, in_path: set[str]) -> str:
        properties = schema.get("properties")
        if not properties:
            return "<p>No fields.</p>"
        required = schema.get("required", ())
        rows = []
        for name, field in properties.items():
            notes = list(rules_of(field))
            if name in required:
                notes.insert(0, "required")
            if name.lower() in in_path:
                notes.append("in the path of the REST route")
            about = inline(self._about(field))
            chips = "".join(f'<span class="rule">{escape(note)}</span>' for note in notes)
            rows.append(
                f"<tr><td><code>{escape(name)}</code></td><td>{self._kind(field)}</td>"
                f"<td>{about} {chips}</td></tr>"
            )
        return (
            '<div class="wide"><table><thead><tr><th scope="col">Field</th>'
            '<th scope="col">Type</th><th scope="col">About</th></tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>"
        )

    def _about(self, field: Json) -> str:
        """The description of the field, or else of its type."""
        description = field.get("description") or self._resolved(field).get("description", "")
        return str(description).partition("\n")[0]

    def _kind(self, schema: Json) -> str:
        if "$ref" in schema:
            return self._link(schema["$ref"].rpartition("/")[2])
        if schema.get("type") == "array":
            return f"list of {self._kind(schema['items'])}"
        values = schema.get("additionalProperties")
        if isinstance(values, dict):
            return f"map of {self._kind(values)}"
        if "s$" in schema.get("pattern", "") and "examples" in schema:
            return 'duration, <code>"10s"</code>'
        kind = schema.get("contentEncoding") or schema.get("format") or schema.get("type", "any")
        return escape(str(kind))

    @staticmethod
    def _link(name: str) -> str:
        return f'<a href="#{anchor(name)}">{escape(name.removesuffix(".Answer").rpartition(".")[2])}</a>'

    def _resolved(self, schema: Json) -> Json:
        reference = schema.get("$ref", "").rpartition("/")[2]
        return self._schemas.get(reference, schema)


def call_name(operation: str) -> str:
    """One name for all operations of a call."""
    return re.sub(r"\.\d+$", "", operation.removesuffix(CONNECT))


def anchor(name: str) -> str:
    """A name as a fragment."""
    return NOT_A_WORD.sub("-", name)


def content(holder: Json) -> Json:
    """The schema of a body."""
    schema: Json = holder["content"]["application/json"]["schema"]
    return schema


def route(verb: str, path: str) -> str:
    """A verb and a path."""
    return f'<code class="route"><b class="{verb.lower()}">{escape(verb)}</b> {escape(path)}</code>'


def paragraphs(text: str) -> str:
    """A text with empty lines between its paragraphs."""
    return "".join(f"<p>{inline(part)}</p>" for part in text.strip().split("\n\n") if part.strip())


def inline(text: str) -> str:
    """A sentence with its code and links."""
    linked = LINK.sub(lambda found: f'<a href="{found[0]}">{found[0]}</a>', escape(text))
    return CODE.sub(r"<code>\1</code>", linked)


def values_of(schema: Json) -> str:
    """The names of an enum with their descriptions."""
    descriptions = dict(
        re.findall(r"^- `(\w+)`: (.*)$", schema.get("description", ""), re.MULTILINE)
    )
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{inline(descriptions.get(name, ''))}</td></tr>"
        for name in schema.get("enum", ())
    )
    return f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'


def rules_of(schema: Json) -> Iterator[str]:
    """Yield the rules of a value, in words."""
    yield from bounds(schema, "minLength", "maxLength", "characters")
    yield from bounds(schema, "minItems", "maxItems", "items")
    yield from bounds(schema, "minProperties", "maxProperties", "pairs")
    yield from bounds(schema, "minimum", "maximum", "")
    yield from bounds(schema, "x-minimum", "x-maximum", "")
    if schema.get("uniqueItems"):
        yield "no duplicates"
    if "const" in schema:
        yield f"only {json.dumps(schema['const'])}"
    if "pattern" in schema and not {"format", "examples", "contentEncoding"} & schema.keys():
        yield f"matches {schema['pattern']}"
    if "not" in schema:
        yield f"not {', '.join(schema['not']['enum'])}"
    if "items" in schema:
        yield from (f"each: {rule}" for rule in rules_of(schema["items"]))


def bounds(schema: Json, least: str, most: str, unit: str) -> Iterator[str]:
    """A range; the range of a whole type is not worth a word."""
    lower, upper = schema.get(least), schema.get(most)
    if upper in {2**32 - 1, 2**31 - 1}:
        lower, upper = None, None
    if lower is None and upper is None:
        return
    if lower is None:
        span = f"at most {show(upper)}"
    elif upper is None:
        span = f"at least {show(lower)}"
    else:
        span = f"{show(lower)} to {show(upper)}"
    yield f"{span} {unit}".strip()


def show(number: Any) -> str:
    """Numbers with separators; durations as they are."""
    return number if isinstance(number, str) else f"{number:,}"


def curl(verb: str, path: str, operation: Json) -> str:
    """A command to copy; the token comes from the environment."""
    for parameter in operation.get("parameters", ()):
        path = path.replace("{" + parameter["name"] + "}", str(parameter.get("example", "")))
    lines = [f"curl -X {verb} {ORIGIN}{path}" if verb != "GET" else f"curl {ORIGIN}{path}"]
    if operation.get("security") != []:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    body = operation.get("requestBody")
    if body is not None:
        example = json.dumps(body["content"]["application/json"]["example"], ensure_ascii=False)
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(example)}"]
    return " \\\n  ".join(lines)
