"""What the API asks of a request that no shape can say. Where schemathesis means a request to be good, it is made so; all
others are sent as they are, and are to be refused.
"""

import re

import schemathesis

YEAR = re.compile(r"^\d{4}(?=-)")


def in_year(text, year):
    """The same time of another year, one without a 29th of February."""
    return YEAR.sub(year, text).replace("-02-29", "-02-28", 1)


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    match case.operation.label:
        case "POST /api/v1/requests":
            one_key(case)
        case "POST /api/v1/tokens":
            yet_to_come(case)
            whole_patterns(case)
        case "GET /api/v1/targets/{name}/live":
            over(case)


def one_key(case):
    """A key stands in the body, in the header, or the same in both."""
    header = case.headers.get("Idempotency-Key")
    if case.body.get("key") is not None:
        case.headers.pop("Idempotency-Key", None)
    elif header is None:
        case.headers["Idempotency-Key"] = f"key-{case.id}"


def yet_to_come(case):
    """A token works until a time that is yet to come."""
    if isinstance(case.body.get("until"), str):
        case.body["until"] = in_year(case.body["until"], "2999")


def whole_patterns(case):
    """A pattern closes what it opens."""
    if case.body.get("targets"):
        case.body["targets"] = [re.sub(r"[][{}\\]", "x", it) for it in case.body["targets"]]


def over(case):
    """What was live is asked of a time that is over."""
    at = case.query.get("at")
    if isinstance(at, str) and YEAR.match(at):
        case.query["at"] = in_year(at, min(at[:4], "2025"))
