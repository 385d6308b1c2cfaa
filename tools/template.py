"""Turn the template Chalice writes into the one we ship: names, references, stage.
Pure: nothing here touches a file, AWS or the environment."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import yaml

Node = Any
"""A CloudFormation tree: its shape is AWS's, so it is not typed further."""

_REFERENCE = re.compile(r"\$\{([A-Z][A-Za-z0-9]*(?:::[A-Za-z]+)?(?:\.[A-Za-z0-9.]+)?)\}")
_POLICY_VARIABLE = re.compile(r"\$\{(?=[a-z]+:|[*?$]\})")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*")


def finish(template: Node, *, stage: str) -> Node:
    """Return the template with function names, references and the stage filled in.

    ${Name}, ${Name.Attribute} and ${AWS::Name} become references where Chalice can only
    write plain text: environment variables, role policies and event patterns.
    """
    finished = copy.deepcopy(template)
    for logical_id, function in functions(finished):
        properties = function["Properties"]
        properties["FunctionName"] = {"Fn::Sub": "${AWS::StackName}-" + kebab(logical_id)}
        environment = properties.get("Environment", {})
        environment["Variables"] = with_references(environment.get("Variables", {}))
        for event in properties.get("Events", {}).values():
            event["Properties"] = with_references(event["Properties"])
    for role in _resources(finished, "AWS::IAM::Role"):
        role["Properties"]["Policies"] = with_references(role["Properties"].get("Policies", []))
    if "Stage" in finished.get("Parameters", {}):
        finished["Parameters"]["Stage"]["Default"] = stage
    return finished


def functions(template: Node) -> Iterator[tuple[str, Node]]:
    """Yield every function of the template with its logical id."""
    for logical_id, resource in template["Resources"].items():
        if resource.get("Type") == "AWS::Serverless::Function":
            yield logical_id, resource


def orphans(template: Node) -> list[str]:
    """Name what the merge file extends though Chalice made no such resource."""
    return sorted(name for name, found in template["Resources"].items() if "Type" not in found)


def with_references(node: Node) -> Node:
    """Turn every ${...} of a tree into Ref, Fn::GetAtt or Fn::Sub; intrinsics stay as they are."""
    match node:
        case str():
            return _reference(node)
        case list():
            return [with_references(item) for item in node]
        case dict() if len(node) == 1 and next(iter(node)).startswith(("Fn::", "Ref")):
            return node
        case dict():
            return {key: with_references(value) for key, value in node.items()}
        case _:
            return node


def kebab(logical_id: str) -> str:
    """Spell a logical id as a function's name: OnUpload is on-upload, APIHandler api-handler."""
    return "-".join(word.lower() for word in _WORD.findall(logical_id))


def dump(template: Node) -> str:
    """Write the template as YAML without aliases, which CloudFormation does not read."""
    return yaml.dump(template, Dumper=_PlainDumper, allow_unicode=True, width=100)


def _reference(text: str) -> Node:
    found = _REFERENCE.fullmatch(text)
    if found is None:
        if _REFERENCE.search(text) is None:
            return text
        # A policy variable such as ${aws:username} is IAM's to resolve, not CloudFormation's.
        return {"Fn::Sub": _POLICY_VARIABLE.sub("${!", text)}
    name, dot, attribute = found[1].partition(".")
    return {"Fn::GetAtt": [name, attribute]} if dot else {"Ref": name}


def _resources(template: Node, kind: str) -> Iterator[Node]:
    return (found for found in template["Resources"].values() if found.get("Type") == kind)


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True
