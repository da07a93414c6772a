"""Judges recorded calls to an AWS service by botocore's own model of it: requests, answers and errors, strictly.

Reads from standard input {"service": …, "exchanges": [{"operation", "input", "output" | "error"}], "sources": [FILE…],
"beyond": {"Shape.member or Shape=value": "why"}}, and prints what is wrong, a line each. What is beyond the model, and known
to be, is named; what is named and not needed any more is wrong too.
"""

import json
import re
import sys

import botocore.parsers
import botocore.session
from botocore import xform_name

asked = json.load(sys.stdin)
model = botocore.session.get_session().get_service_model(asked["service"])
beyond, used, wrong = asked["beyond"], set(), []

KINDS = {
    "structure": dict, "list": list, "map": dict, "string": str, "blob": str, "boolean": bool,
    "integer": int, "long": int, "float": (int, float), "double": (int, float), "timestamp": (int, float),
}


def is_known(name):
    """Whether this is beyond the model and known to be."""
    used.add(name)
    return name in beyond


def size(shape, value, where):
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    length = value if isinstance(value, (int, float)) else len(value)
    if least is not None and length < least or most is not None and length > most:
        wrong.append(f"{where}: {length} is not within {least} and {most}")


def judge(shape, value, where):
    kind = KINDS[shape.type_name]
    if not isinstance(value, kind) or isinstance(value, bool) and shape.type_name != "boolean":
        wrong.append(f"{where}: {json.dumps(value)} is not a {shape.type_name}")
        return
    if shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                wrong.append(f"{where}: {name} is missing")
        for name, part in value.items():
            if name in shape.members:
                judge(shape.members[name], part, f"{where}.{name}")
            elif not is_known(f"{shape.name}.{name}"):
                wrong.append(f"{where}: {shape.name} has no {name}")
    elif shape.type_name == "list":
        size(shape, value, where)
        for number, part in enumerate(value):
            judge(shape.member, part, f"{where}[{number}]")
    elif shape.type_name == "map":
        for name, part in value.items():
            judge(shape.value, part, f"{where}[{name}]")
    elif shape.type_name == "string":
        size(shape, value, where)
        if shape.enum and value not in shape.enum and not is_known(f"{shape.name}={value}"):
            wrong.append(f"{where}: {shape.name} knows no {value!r}, only {', '.join(shape.enum)}")
        pattern = shape.metadata.get("pattern")
        if pattern and not re.search(pattern, value):
            wrong.append(f"{where}: {value!r} does not look like {pattern}")
    elif shape.type_name in ("integer", "long"):
        size(shape, value, where)


def spelt(shape, value):
    """What a form says in letters, where the model has a number."""
    return int(value) if shape.type_name in ("integer", "long") and value.lstrip("-").isdigit() else value


def read(xml, shape):
    """An answer in XML, as botocore itself reads it."""
    parser = botocore.parsers.create_parser(model.protocol)
    answer = parser.parse({"body": xml.encode(), "headers": {}, "status_code": 200}, shape)
    answer.pop("ResponseMetadata", None)
    return json.loads(json.dumps(answer, default=lambda moment: moment.timestamp()))


def judge_exchange(exchange):
    name = exchange["operation"]
    if name not in model.operation_names:
        wrong.append(f"{name}: there is no such operation")
        return
    operation, given = model.operation_model(name), exchange["input"]
    if model.protocol == "query":
        members = operation.input_shape.members
        given = {key: spelt(members[key], it) if key in members else it for key, it in given.items()}
        if "xml" in exchange:
            exchange["output"] = read(exchange["xml"], operation.output_shape)
    judge(operation.input_shape, given, name)
    if "error" in exchange:
        if exchange["error"] not in [shape.name for shape in operation.error_shapes]:
            if not is_known(f"{name}!{exchange['error']}"):
                wrong.append(f"{name}: does not fail with {exchange['error']}")
    elif operation.output_shape is not None:
        judge(operation.output_shape, exchange["output"], f"{name} answers")
    elif exchange["output"]:
        wrong.append(f"{name}: answers nothing, and not {exchange['output']}")


for exchange in asked["exchanges"]:
    judge_exchange(exchange)

text = "\n".join(open(file, encoding="utf-8").read() for file in asked["sources"])
recorded = {exchange["operation"] for exchange in asked["exchanges"] if "error" not in exchange}
called = {name for name in model.operation_names if f".{xform_name(name)}()" in text}
wrong += [f"{name}: the code calls it, and no answer to it was recorded" for name in sorted(called - recorded)]
wrong += [f"{name} is known now, or was not needed: take it out" for name in sorted(set(beyond) - used)]

for line in dict.fromkeys(wrong):
    print(line)
