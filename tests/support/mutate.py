"""Files changed at random, always the same for a seed."""

import random
from typing import Any

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**64,
    10**400,
    0.5,
    1e308,
    float("nan"),
    "",
    "x",
    "\0",
    "../x",
    "\ud800",
    "\x1b[2J",
    "n" * 300,
    [],
    [[]],
    {},
    {"a": 1},
    [0] * 50,
)


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Change some bytes of a file: flipped, zeroed, cut, doubled, moved or made up."""
    content = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        start = draw.randrange(len(content)) if content else 0
        if draw.random() < 0.5:  # where most formats keep what they say of themselves
            start = min(start, draw.randrange(300))
        end = min(len(content), start + draw.choice((1, 2, 4, 4, 8, 100)))
        match draw.randrange(8):
            case 0 | 1 | 2:
                for place in range(start, min(end, start + 4)):
                    content[place] ^= 1 << draw.randrange(8)
            case 3:
                content[start:end] = bytes(draw.choice(_NUMBERS) for _ in range(start, end))
            case 4:
                content[start:end] = draw.randbytes(end - start)
            case 5:
                del content[start : draw.choice((end, len(content)))]
            case 6:
                content[start:start] = content[start:end] * draw.randrange(1, 4)
            case 7:
                content[start:end] = bytes(end - start)
    return bytes(content)


def changed(document: Any, draw: random.Random) -> Any:
    """Put something else into one place of a JSON document."""
    if isinstance(document, dict) and document and draw.random() < 0.85:
        key = draw.choice(sorted(document))
        if draw.random() < 0.1:
            return {k: v for k, v in document.items() if k != key}
        return {**document, key: changed(document[key], draw)}
    if isinstance(document, list) and document and draw.random() < 0.85:
        place = draw.randrange(len(document))
        if draw.random() < 0.2:
            return document[:place] + document[place + draw.randrange(2) :] * 2
        return [*document[:place], changed(document[place], draw), *document[place + 1 :]]
    return draw.choice(_VALUES)
