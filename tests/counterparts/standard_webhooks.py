"""Verifies a message by the library of Standard Webhooks: reads its secret, headers and body as JSON, and prints what the
library gives back, or ends with its complaint."""

import json
import sys

from standardwebhooks import Webhook

told = json.load(sys.stdin)
print(json.dumps(Webhook(told["secret"]).verify(told["body"], told["headers"])))
