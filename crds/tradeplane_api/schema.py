"""From pydantic types to the CustomResourceDefinitions that the API server takes.

1. pydantic's JSON schema, references inlined (a structural schema has none);
2. what a structural schema does not know is dropped or rewritten: titles, null branches, const, closedness (the server
   prunes unknown fields, and kubectl refuses them);
3. rules become ``x-kubernetes-validations`` of their block;
4. a block whose fields all have defaults gets all of them as its default.
"""

from typing import Any

from tradeplane_api import fields, kinds, names

Schema = dict[str, Any]

_UNKNOWN_TO_THE_SERVER = frozenset({"title", "$defs", "uniqueItems", "propertyNames"})


def definition(kind: kinds.Kind) -> Schema:
    """One CustomResourceDefinition."""
    spec = structural(kind.spec)
    status = _observed(structural(kind.status))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": [names.CATEGORY],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in kind.columns],
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                                "status": status,
                            },
                        }
                    },
                }
            ],
        },
    }


def _observed(status: Schema) -> Schema:
    """Status without defaults but one: an object is born with Ready=Unknown, because absence would count as ready."""
    shape: Schema = _without_defaults(status)
    shape["default"] = {}
    shape["properties"]["conditions"]["default"] = [
        {
            "type": names.Condition.READY.value,
            "status": "Unknown",
            "reason": names.Reason.PENDING.value,
            "message": "waiting for the operator",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
            "observedGeneration": 0,
        }
    ]
    return shape


def _without_defaults(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_defaults(value) for key, value in node.items() if key != "default"}
    return node


def _column(column: kinds.Column) -> Schema:
    printed = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return printed | ({"priority": column.priority} if column.priority else {})


def structural(block: type[fields.Block]) -> Schema:
    """Structural schema of one block and everything below it."""
    raw = block.model_json_schema(by_alias=True, mode="validation")
    shape = _shape(raw, raw.get("$defs", {}))
    _add_rules(shape, block)
    return shape


def _shape(node: Schema, definitions: dict[str, Schema]) -> Schema:
    if "$ref" in node:
        target = definitions[node["$ref"].rsplit("/", 1)[1]]
        return _shape({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    branches = [branch for branch in node.get("anyOf", ()) if branch.get("type") != "null"]
    if branches:
        (branch,) = branches  # an optional field; a real union has no structural schema
        rest = {
            key: value for key, value in node.items() if key != "anyOf" and not (key == "default" and value is None)
        }
        return _shape({**branch, **rest}, definitions)
    shape: Schema = {}
    for key, value in node.items():
        if key not in _UNKNOWN_TO_THE_SERVER and (value is not False or key == "default"):
            shape |= _keyword(key, value, definitions)
    return _with_default(shape)


def _keyword(key: str, value: Any, definitions: dict[str, Schema]) -> Schema:
    match key:
        case "const":
            return {"enum": [value]}
        case "additionalProperties" | "items":
            return {key: _shape(value, definitions)}
        case "properties":
            return {key: {name: _shape(child, definitions) for name, child in value.items()}}
        case "description":
            return {key: " ".join(value.split())}
        case _:
            return {key: value}


def _with_default(shape: Schema) -> Schema:
    """Write the whole default of a block, because the server checks its rules against the default as it stands."""
    if shape.get("type") == "object" and "properties" in shape and "default" in shape:
        shape["default"] = {name: child["default"] for name, child in shape["properties"].items() if "default" in child}
    return shape


def _add_rules(shape: Schema, block: type[fields.Block]) -> None:
    validations = [_validation(rule) for rule in block.rules if rule.cel]
    validations += [{"rule": fixed.cel, "message": fixed.message} for fixed in block.fixed]
    if validations:
        shape["x-kubernetes-validations"] = validations
    for name, field in block.model_fields.items():
        child = _block_of(field.annotation)
        if child is None:
            continue
        place = shape["properties"][field.alias or name]
        _add_rules(place["items"] if place["type"] == "array" else place, child)


def _validation(rule: fields.Rule) -> Schema:
    literal = rule.message.split("'")[1]
    if rule.message == f"'{literal}'":
        return {"rule": rule.cel, "message": literal}
    # The plain message is for an expression that cannot be computed.
    return {
        "rule": rule.cel,
        "message": literal.split(", got ")[0].removesuffix(" (").removesuffix(" (%s)").replace("%d", "the number of"),
        "messageExpression": rule.message,
    }


def _block_of(annotation: Any) -> type[fields.Block] | None:
    if isinstance(annotation, type) and issubclass(annotation, fields.Block):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _block_of(argument)
        if found is not None:
            return found
    return None


def defaulted(manifest: dict[str, Any]) -> dict[str, Any]:
    """Spec as the API server stores it: every default filled in; raises pydantic.ValidationError."""
    return kinds.spec_of(manifest).manifest()
