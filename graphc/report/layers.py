"""The layer library as a list and as one page per layer, read off the layers themselves."""

from __future__ import annotations

import inspect
import json
from itertools import groupby
from typing import Any

from graphc.report.page import Page, paragraphs, section, sentence, unwrapped
from graphc.report.quantity import plural
from graphc.report.table import table
from graphc.spec.layers import Layer, find, layers

Schema = dict[str, Any]
BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}


def catalogue() -> Page:
    """Every layer with its first sentence, family by family."""
    found = sorted(layers().items(), key=lambda pair: (_family(pair[1]), pair[0]))
    rows = {
        family: [(name, sentence(cls.__doc__ or "")) for name, cls in members]
        for family, members in groupby(found, key=lambda pair: _family(pair[1]))
    }
    width = max(len(name) for name in layers())
    parts = [
        section(family, table([(f"{name:{width}}", doc) for name, doc in members], "<<"))
        for family, members in rows.items()
    ]
    value = [{"name": name, "family": family, "doc": doc} for family, members in rows.items() for name, doc in members]
    return Page(paragraphs(*parts), value)


def page(name: str) -> Page:
    """One layer: how it is written, what it does, its parameters. Raises GraphcError (spec/unknown-layer)."""
    cls = find(name)
    parameters = _parameters(cls)
    doc = inspect.cleandoc(cls.__doc__ or "")
    fewest, most = cls.arity()
    value = {
        "name": name,
        "kind": "layer",
        "family": _family(cls),
        "doc": doc,
        "primary": cls.primary,
        "inputs": {"min": int(fewest), "max": most},
        "usage": _usage(cls),
        "parameters": parameters,
    }
    rows = [(_names(p), p["type"], "required" if p["required"] else _shown(p["default"]), p["doc"]) for p in parameters]
    text = paragraphs(
        f"{name}: a layer of the family '{_family(cls)}', takes {_inputs(int(fewest), most)}",
        unwrapped(doc),
        section("written as", "\n".join(_usage(cls))),
        section("parameters", table([("", "type", "default", ""), *rows], "<<<<") if rows else "none"),
    )
    return Page(text, value)


def _family(cls: type[Layer]) -> str:
    return cls.__module__.rpartition(".")[2]


def _inputs(fewest: int, most: int | None) -> str:
    if most is None:
        return f"{plural(fewest, 'input')} or more"
    return plural(fewest, "input") if fewest == most else f"{fewest} to {plural(most, 'input')}"


def _parameters(cls: type[Layer]) -> list[dict[str, Any]]:
    """Each parameter with its type in words; the JSON Schema that validates a spec says it all."""
    schema = cls.model_json_schema(by_alias=False)
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "alias": cls.model_fields[name].alias,
            "primary": name == cls.primary,
            "type": _type(found),
            "required": name in required,
            "default": found.get("default"),
            "doc": found.get("description", ""),
        }
        for name, found in schema.get("properties", {}).items()
    ]


def _type(schema: Schema) -> str:
    """`integer > 0`, `zero | reflect | edge`, `integer | [integer]`."""
    if "anyOf" in schema:
        return " | ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"[{_type(schema.get('items', {}))}]"
    named = str(schema.get("type", "anything"))
    kind = {"object": "mapping", "string": "text"}.get(named, named)
    bounds = [f"{sign} {schema[key]:g}" for key, sign in BOUNDS.items() if key in schema]
    return " ".join([kind, *bounds])


def _shown(default: Any) -> str:
    """A default as a spec would write it; a list of one is that one for every axis."""
    if isinstance(default, list) and len(default) == 1:
        return _shown(default[0])
    return default if isinstance(default, str) else json.dumps(default)


def _names(parameter: dict[str, Any]) -> str:
    alias = f", {parameter['alias']}" if parameter["alias"] else ""
    return f"{parameter['name']}{alias}{' (primary)' if parameter['primary'] else ''}"


def _usage(cls: type[Layer]) -> list[str]:
    """The shortest forms of an item that calls the layer."""
    name, primary = cls.layer_name(), cls.primary
    required = [key for key, field in cls.model_fields.items() if field.is_required()]
    inputs = cls.arity()[0]
    if inputs > 1:
        return [f"- {{op: {name}, from: [{', '.join('abcdefgh'[:inputs])}]}}"]
    forms = [] if required else [f"- {name}"]
    if primary is not None and set(required) <= {primary}:
        forms.append(f"- {name}: {primary.upper()}")
    elif required:
        forms.append(f"- {name}: {{{', '.join(f'{key}: {key.upper()}' for key in required)}}}")
    return forms
