"""As much HPACK as a reader of gRPC replies needs, for peers that were told to keep no dynamic table (RFC 7541)."""

from __future__ import annotations

# The code is canonical: symbols in order of length, then value. Longer codes than these do not occur in what is looked at.
_SYMBOLS = {
    5: "012aceiost",
    6: " %-./3456789=A_bdfghlmnpru",
    7: ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: "&*,;XZ",
    10: '!"()?',
}
_STATUS = {8: "200", 9: "204", 10: "206", 11: "304", 12: "400", 13: "404", 14: "500"}
_STATIC_ENTRIES = 61
UNREAD = "\ufffd"
"""Stands for a Huffman symbol longer than ten bits and everything behind it."""


def _codes() -> dict[tuple[int, int], str]:
    codes, code, last = {}, 0, 5
    for bits, symbols in _SYMBOLS.items():
        code <<= bits - last
        last = bits
        for symbol in symbols:
            codes[bits, code] = symbol
            code += 1
    return codes


_CODES = _codes()


def huffman(raw: bytes) -> str:
    """Return the text of a Huffman-coded string; `UNREAD` marks where it holds a rare symbol."""
    text, code, bits = [], 0, 0
    for byte in raw:
        for shift in range(7, -1, -1):
            code, bits = code << 1 | byte >> shift & 1, bits + 1
            symbol = _CODES.get((bits, code))
            if symbol is not None:
                text.append(symbol)
                code = bits = 0
            elif bits > 10:
                return "".join(text) + UNREAD
    return "".join(text)


def _integer(block: bytes, at: int, prefix: int) -> tuple[int, int]:
    limit = (1 << prefix) - 1
    value = block[at] & limit
    at += 1
    if value < limit:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _string(block: bytes, at: int) -> tuple[str, int]:
    coded = block[at] >= 128
    length, at = _integer(block, at, 7)
    raw = block[at : at + length]
    return huffman(raw) if coded else raw.decode("latin-1"), at + length


def decode(block: bytes) -> dict[str, str]:
    """Return the headers of a block; those named by the static table appear as `:status` or by number.

    Raises ValueError where the block points into a dynamic table: it could not be read without its history.
    """
    headers: dict[str, str] = {}
    at = 0
    while at < len(block):
        first = block[at]
        if first >= 128:
            index, at = _integer(block, at, 7)
            _static(index)
            headers[":status" if index in _STATUS else str(index)] = _STATUS.get(index, "")
        elif first >> 5 == 1:
            _, at = _integer(block, at, 5)
        else:
            index, at = _integer(block, at, 6 if first >= 64 else 4)
            if index:
                _static(index)
                name = ":status" if index in _STATUS else str(index)
            else:
                name, at = _string(block, at)
            headers[name], at = _string(block, at)
    return headers


def _static(index: int) -> None:
    if not 0 < index <= _STATIC_ENTRIES:
        raise ValueError("the peer uses a dynamic header table although it was told to keep none")
