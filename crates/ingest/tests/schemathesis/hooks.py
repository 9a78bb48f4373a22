"""What schemathesis does not know by itself: how NDJSON is written."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context, value):
    if isinstance(value, (bytes, str)):
        return value.encode() if isinstance(value, str) else value
    return str(value).encode()
