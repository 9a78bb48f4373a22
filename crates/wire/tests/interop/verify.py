"""Checks rendered requests with the libraries that receivers in Python use.

Reads a JSON array on standard input; see README.md.
"""

import json
import sys

import standardwebhooks
import svix


def accepts(library, request, body):
    try:
        library.Webhook(request["secret"]).verify(body, request["headers"])
    except library_error(library):
        return False
    return True


def library_error(library):
    if library is svix:
        return svix.webhooks.WebhookVerificationError
    return standardwebhooks.webhooks.WebhookVerificationError


checked = 0
for request in json.load(sys.stdin):
    if request["profile"] != "standard-webhooks":
        continue
    body = request["body"]
    for library in (standardwebhooks, svix):
        assert accepts(library, request, body), f"{library.__name__} refuses a good request"
        for tampered in (body + " ", body.replace("license", "licence"), body[1:]):
            assert not accepts(library, request, tampered), f"{library.__name__} takes a changed body"
        checked += 1
print(f"checked {checked}")
