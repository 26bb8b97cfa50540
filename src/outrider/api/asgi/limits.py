"""Limits of a request's size, beyond which it is refused."""

from __future__ import annotations

REQUEST_BYTES = 4 * 1024 * 1024
"""The largest message, in bytes on the wire and after decompression."""

ENVELOPE_BYTES = 1024
"""What a protocol may add around the message: frame headers, end-of-stream messages."""

TOO_LARGE = f"request is larger than {REQUEST_BYTES} bytes"
"""What callers hear of a message beyond `REQUEST_BYTES`."""

SEND_LESS = "send it in several requests"
"""What to do about it."""

PUBLIC_BYTES = 16 * 1024
"""The largest message of a procedure that needs no token, and of the form of the token endpoint."""

UNAUTHENTICATED_BYTES = 64 * 1024 * 1024
"""What bodies hold together whose callers are known only when the body was read: relayed calls,
whose body is what was signed, and forms with a client's secret."""

UNAUTHENTICATED_BYTES_OF_ONE = 16 * 1024 * 1024
"""The same of one source of relayed calls, or of the token endpoint: one must not shut the others
out."""

UNAUTHENTICATED_SECONDS = 15.0
"""How long such a body may take to arrive."""

PATH_CHARS = 8 * 1024
"""The longest path; ids have at most 200 characters."""

ERROR_TEXT_CHARS = 500
"""The longest text of a decoding error: such texts quote the request."""
