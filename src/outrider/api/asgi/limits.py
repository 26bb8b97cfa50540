"""How much of a request is read before it is refused."""

from __future__ import annotations

REQUEST_BYTES = 4 * 1024 * 1024
"""The largest message, in bytes on the wire and after decompression."""

ENVELOPE_BYTES = 1024
"""What a protocol may add around the message: frame headers, end-of-stream messages."""

TOO_LARGE = f"request is larger than {REQUEST_BYTES} bytes"

ERROR_TEXT_CHARS = 500
"""The longest text of a decoding error: such texts quote the request."""
