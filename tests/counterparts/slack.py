"""Slack's own library for Python: slack.py sign|verify|read

Reads lines of JSON, the words of what is asked by name, and answers each with one: a signature; whether a request is
Slack's and of now; what is wrong with the blocks of a message, or nothing."""

import json
import sys

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.attachments import BlockAttachment
from slack_sdk.models.blocks import Block
from slack_sdk.signature import SignatureVerifier


def sign(secret, at, body):
    return SignatureVerifier(secret).generate_signature(timestamp=str(at), body=body)


def verify(secret, headers, body):
    return SignatureVerifier(secret).is_valid_request(body, headers)


def read(message):
    try:
        attachments = [attached(it) for it in message.get("attachments", [])]
        known = {"blocks": parsed(message), "attachments": attachments}
    except (SlackObjectFormationError, TypeError) as error:
        return str(error)
    # The models leave out what they do not know.
    wrong = [key for key, value in known.items() if value != message.get(key, [])]
    return f"not read as it was written: {', '.join(wrong)}" if wrong else None


def parsed(part):
    """The blocks as the models write them, after they looked at each and all that is in it."""
    return [it and it.to_dict() for it in Block.parse_all(part.get("blocks"))]


def attached(attachment):
    made = BlockAttachment(**{**attachment, "blocks": parsed(attachment)}).to_dict()
    return {key: made.get(key) for key in attachment}


for line in sys.stdin:
    print(json.dumps({"sign": sign, "verify": verify, "read": read}[sys.argv[1]](**json.loads(line))))
