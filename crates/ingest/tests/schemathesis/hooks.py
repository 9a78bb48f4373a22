"""What schemathesis does not know by itself."""

import os
from urllib.parse import urlsplit

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context, value):
    """How NDJSON is written."""
    if isinstance(value, (bytes, str)):
        return value.encode() if isinstance(value, str) else value
    return str(value).encode()


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Endpoints get the URL of a receiver on this machine: a test sends nothing to others."""
    if isinstance(case.body, dict) and leads_somewhere(case.body.get("url")):
        case.body["url"] = os.environ["TRY_URL"]


def leads_somewhere(url):
    """Whether this is a URL that the document allows."""
    if not isinstance(url, str) or len(url) > 2048:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
