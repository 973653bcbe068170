"""The JSON Schema of the spec language, for editors: draft-07, as yaml-language-server reads it.

It is made from the models that validate and from the layers, so it lists nothing of its own. Wherever a
number, a truth value or a list may stand, an `=expression` may. It accepts every valid spec and a few others:
what an item's words mean together is for graphc itself to say, and users never see a message of the schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from pydantic import BaseModel

from graphc.limits import DEFAULT, Limits
from graphc.spec.language import ITEM, STRUCTURES, VERSION, ItemKeys, Spec
from graphc.spec.layers import Layer, layers
from graphc.spec.project import Project, root_of
from graphc.spec.tree import MappingNode, ScalarNode, Tree, plain

Schema: TypeAlias = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
EXPRESSION: Schema = {"type": "string", "pattern": "^="}
OPERATOR = "^[A-Z]"  # CamelCase: raw ONNX operators
NOISE = ("title",)  # what pydantic derives from names that are there already


def schema(for_spec: str | Path | None = None, *, limits: Limits = DEFAULT) -> Schema:
    """The schema of any spec, or of one file with its own blocks and imports.

    Raises GraphcError if that file cannot be read; it need not be a valid spec.
    """
    own = {} if for_spec is None else _own_words(Path(for_spec), limits)
    root, definitions = _parts(Spec)
    words: Schema = {}
    for name, model in STRUCTURES.items():
        words[name], found = _parts(model)
        definitions |= found
    for name, cls in layers().items():
        words[name], found = _layer(cls)
        definitions |= found
    words = _arguments(words, own)
    root["properties"]["graphc"] = {"const": VERSION, "description": "language version"}
    definitions["item"] = _item(words)
    return {
        "$schema": DRAFT,
        "title": "graphc spec",
        **root,
        "definitions": dict(sorted(definitions.items())),
    }


def _parts(model: type[BaseModel], *, by_alias: bool = True) -> tuple[Schema, Schema]:
    """The schema of a model, and of the models that it refers to."""
    whole = model.model_json_schema(by_alias=by_alias, ref_template="#/definitions/{model}")
    definitions = whole.pop("$defs", {})
    opened: Schema = _opened(whole)
    return opened, {name: _opened(part) for name, part in definitions.items()}


def _opened(part: Any) -> Any:
    """A schema that takes an expression wherever it takes a number, a truth value, a fixed word or a list."""
    if isinstance(part, list):
        return [_opened(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part == ITEM:
        return {"$ref": "#/definitions/item"}
    inner = {
        key: _named(value) if key == "properties" else _opened(value) for key, value in part.items() if key not in NOISE
    }
    if part.get("items") == ITEM:
        return inner
    closed = part.get("type") in ("integer", "number", "boolean", "array") or "enum" in part or "const" in part
    if not closed:
        return inner
    about = {key: inner.pop(key) for key in ("description", "default") if key in inner}
    return {**about, "anyOf": [inner, EXPRESSION]}


def _named(properties: Schema) -> Schema:
    """Properties, whose names are not words of JSON Schema: one may be called `title`."""
    return {name: _opened(part) for name, part in properties.items()}


def _layer(cls: type[Layer]) -> tuple[Schema, Schema]:
    """A layer's arguments by their long names and by their aliases, or its primary argument alone."""
    arguments, definitions = _parts(cls, by_alias=False)
    properties = arguments.setdefault("properties", {})
    aliases = {name: field.alias for name, field in cls.model_fields.items() if field.alias}
    for name, alias in aliases.items():
        properties[alias] = {**properties[name], "description": f"short for {name}"}
    arguments["required"] = [name for name in arguments.get("required", []) if name not in aliases]
    forms = [arguments]
    if cls.primary:
        forms.append(properties[cls.primary])
    if not arguments["required"]:
        forms.append({"type": "null"})
    return {"description": arguments.pop("description", ""), "anyOf": forms}, definitions


def _arguments(words: Schema, own: Schema) -> Schema:
    """What each word takes; a form that is a mapping may also be the list of its first body."""
    forms = {
        name: {
            "description": words[name].pop("description", ""),
            "anyOf": [words[name], words[name]["properties"][next(iter(model.model_fields))]],
        }
        for name, model in STRUCTURES.items()
    }
    return {**words, **forms, **own}


def _item(words: Schema) -> Schema:
    """A bare name, or a mapping of one word and the reserved keys."""
    keys, _ = _parts(ItemKeys)
    bare = [name for name in words if name not in STRUCTURES]
    called = {"anyOf": [{"enum": bare}, {"type": "string", "pattern": OPERATOR}]}
    properties = {**keys["properties"], "op": {**called, "description": "the layer's name"}, **words}
    mapping = {
        "type": "object",
        "minProperties": 1,
        "properties": properties,
        "patternProperties": {OPERATOR: {"type": ["object", "null"], "description": "a raw ONNX operator"}},
        "additionalProperties": False,
    }
    return {"anyOf": [called, mapping]}


# ---------------------------------------------------------------- one file's own words


def _own_words(path: Path, limits: Limits) -> Schema:
    """The blocks and imports of a file, and of what it extends."""
    tree, _ = Project(root_of(path), limits).open(path)
    imports, blocks = tree.get("imports"), tree.get("blocks")
    found: Schema = {}
    if isinstance(imports, MappingNode):
        found |= {name: {"type": "null", "description": "an imported spec"} for name in imports.entries}
    if isinstance(blocks, MappingNode):
        found |= {name: _block(block) for name, block in blocks.entries.items()}
    return found


def _block(tree: Tree) -> Schema:
    """A block's arguments: a mapping of its params, or the first of them alone."""
    params, doc = (tree.get("params"), tree.get("doc")) if isinstance(tree, MappingNode) else (None, None)
    entries = params.entries if isinstance(params, MappingNode) else {}
    properties = {name: {"default": plain(default)} for name, default in entries.items()}
    required = [name for name, schema in properties.items() if schema["default"] is None]
    mapping = {
        "type": "object",
        "properties": {name: {} if name in required else part for name, part in properties.items()},
        "required": required,
        "additionalProperties": False,
    }
    forms: list[Schema] = [mapping]
    if properties:
        forms.append({"not": {"type": "object"}})
    if not required:
        forms.append({"type": "null"})
    text = doc.value if isinstance(doc, ScalarNode) else ""
    return {"description": text or "a block of this spec", "anyOf": forms}
