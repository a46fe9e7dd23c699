"""Pictures changed in a thousand ways, the same each time, and what `clean_image` makes of them.

`python -m tests.storage.mutations FOLDER` feeds it all of them and then the files of the folder, and prints as JSON
what became of them and how much memory this process, which does nothing else, has ever held.
"""

import json
import os
import random
import re
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from swiper.errors import ParamError
from swiper.storage.images import TOO_MANY_PIXELS, UNREADABLE, clean_image
from swiper.storage.jpeg import segments
from tests.storage.samples import MAX_BYTES, MAX_PIXELS, PNG_START, SECRET, chunk, seeds

COUNT = 1_000
SEED = 20_261_121
# Beside any other size: nothing, one, what no header can mean, and what would be too much or only just not.
SIZES = (0, 1, 2, 255, 4_000, 6_000, 16_383, 65_535, 65_536, 2**24 - 1, 2**31 - 1, 2**32 - 1)
# Of our own files: JFIF, quantisation and Huffman tables, the frame, its scans, the end.
OWN_SEGMENTS = {0xE0, 0xDB, 0xC2, 0xC4, 0xDA, 0xD9}

Mutation = Callable[[bytes, random.Random, list[bytes]], bytes]


def flip_bits(data: bytes, pick: random.Random, _: list[bytes]) -> bytes:
    changed = bytearray(data)
    for _ in range(pick.choice((1, 1, 2, 8, 64))):
        changed[pick.randrange(len(changed))] ^= 1 << pick.randrange(8)
    return bytes(changed)


def change_head(data: bytes, pick: random.Random, _: list[bytes]) -> bytes:
    """In the first bytes, where lengths and kinds stand."""
    changed = bytearray(data)
    for _ in range(pick.randint(1, 4)):
        changed[pick.randrange(min(64, len(changed)))] = pick.choice((0, 1, 0x7F, 0x80, 0xFF, pick.randrange(256)))
    return bytes(changed)


def truncate(data: bytes, pick: random.Random, _: list[bytes]) -> bytes:
    return data[: pick.randrange(len(data))]


def cut_out(data: bytes, pick: random.Random, _: list[bytes]) -> bytes:
    start, end = sorted(pick.randrange(len(data)) for _ in range(2))
    return data[:start] + data[end:]


def blank(data: bytes, pick: random.Random, _: list[bytes]) -> bytes:
    start, end = sorted(pick.randrange(len(data)) for _ in range(2))
    return data[:start] + bytes([pick.choice((0, 0xFF))]) * (end - start) + data[end:]


def insert(data: bytes, pick: random.Random, _: list[bytes]) -> bytes:
    place = pick.randrange(len(data) + 1)
    return data[:place] + pick.randbytes(pick.choice((1, 2, 3, 100, 5_000))) + data[place:]


def splice(data: bytes, pick: random.Random, others: list[bytes]) -> bytes:
    """The beginning of one picture and the end of another."""
    other = pick.choice(others)
    return data[: pick.randrange(len(data))] + other[pick.randrange(len(other)) :]


def append(data: bytes, pick: random.Random, others: list[bytes]) -> bytes:
    return data + pick.choice([*others, b"PK\x03\x04" + SECRET, b"<script>" + SECRET + b"</script>", b"%PDF-1.7"])


def shuffle_pieces(data: bytes, pick: random.Random, others: list[bytes]) -> bytes:
    """Chunks or segments doubled, left out, exchanged, or taken from another picture."""
    head, pieces = pieces_of(data)
    if not pieces:
        return append(data, pick, others)
    for _ in range(pick.randint(1, 3)):
        here, there = (pick.randrange(len(pieces)) for _ in range(2))
        if (act := pick.randrange(4)) == 0:
            pieces.insert(here, pieces[there] * pick.choice((1, 1, 500)))
        elif act == 1 and len(pieces) > 1:
            del pieces[here]
        elif act == 2:
            pieces[here], pieces[there] = pieces[there], pieces[here]
        else:
            pieces.insert(here, pick.choice(pieces_of(pick.choice(others))[1] or [b""]))
    return head + b"".join(pieces)


def change_size(data: bytes, pick: random.Random, _: list[bytes]) -> bytes:
    """Another width or height than the pixels have."""
    places = list(size_places(data))
    if not places:
        return data
    changed = bytearray(data)
    for start, length, order in pick.sample(places, pick.randint(1, len(places))):
        value = int.from_bytes(changed[start : start + length], order)
        wanted = pick.choice((value + 1, max(0, value - 1), value * 2, *SIZES)) % 256**length
        changed[start : start + length] = wanted.to_bytes(length, order)
    return bytes(changed)


MUTATIONS: tuple[Mutation, ...] = (
    *(flip_bits, change_head, truncate, cut_out, blank),
    *(insert, splice, append, shuffle_pieces, change_size),
)


def pieces_of(data: bytes) -> tuple[bytes, list[bytes]]:
    """The start of a file, and its chunks or segments."""
    if data.startswith(b"\xff\xd8"):
        marks = [start for _, start, _ in segments(data)]
        return data[:2], [data[start:end] for start, end in zip(marks, [*marks[1:], len(data)], strict=True)]
    size, order, start = ("<I", 8, 12) if data.startswith(b"RIFF") else (">I", 12, 8)
    head, pieces = data[:start], []
    while start + 8 <= len(data):
        (length,) = struct.unpack_from(size, data, start + (4 if size == "<I" else 0))
        end = start + length + order + (length % 2 if size == "<I" else 0)
        pieces.append(data[start:end])
        start = end
    return head, pieces


def size_places(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """Where width and height stand, how many bytes each takes, and in which order."""
    if data.startswith(PNG_START):
        yield from ((16, 4, "big"), (20, 4, "big"))
    elif data.startswith(b"RIFF"):
        for name, first, step, length in ((b"VP8X", 12, 3, 3), (b"VP8 ", 14, 2, 2), (b"ANMF", 14, 3, 3)):
            place = data.find(name)
            if place > 0:
                yield from ((place + first, length, "little"), (place + first + step, length, "little"))
        place = data.find(b"VP8L")
        if place > 0:
            yield (place + 9, 4, "little")
    else:
        for code, start, _ in segments(data):
            if code in (0xC0, 0xC1, 0xC2):
                yield from ((start + 5, 2, "big"), (start + 7, 2, "big"))


def with_right_checksums(data: bytes) -> bytes:
    """A PNG as somebody writes it who means to be read: otherwise hardly any change would get behind the checksums."""
    head, pieces = pieces_of(data)
    return head + b"".join(chunk(piece[4:8], piece[8:-4]) if len(piece) >= 12 else piece for piece in pieces)


def mutations(every: int = 1) -> Iterator[tuple[str, bytes]]:
    """Each of the `COUNT` changed pictures, or one of `every`, with a name that says how it was made."""
    originals = seeds()
    names, others = list(originals), list(originals.values())
    for number in range(0, COUNT, every):
        # By its number alone, so that each can be made again without the others.
        pick = random.Random(SEED + number)
        name = names[number % len(names)]
        data = originals[name]
        made_by = pick.sample(MUTATIONS, pick.choice((1, 1, 1, 2)))
        for mutation in made_by:
            data = mutation(data, pick, others) or b"\0"
        if data.startswith(PNG_START) and pick.random() < 0.7:
            data = with_right_checksums(data)
        yield f"{number}: {name}, {' and '.join(mutation.__name__ for mutation in made_by)}", data


def fault_of(cleaned: bytes) -> str | None:
    """What is wrong with a result of `clean_image`, if anything."""
    if not {code for code, _, _ in segments(cleaned)} <= OWN_SEGMENTS:
        return "has a segment that pixels do not need"
    if SECRET in cleaned or not cleaned.endswith(b"\xff\xd9"):
        return "carries something"
    with Image.open(BytesIO(cleaned)) as image:
        image.load()
        is_ours = (image.format, image.mode, image.info.get("progressive")) == ("JPEG", "RGB", 1)
        return None if is_ours and max(image.size) <= 1440 and not image.getexif() else "is not ours"


def outcome_of(data: bytes) -> str:
    """`taken`, `refused`, or what is wrong; every other exception than the refusal passes."""
    try:
        return fault_of(clean_image(data, field="photo", max_pixels=MAX_PIXELS, max_bytes=MAX_BYTES)) or "taken"
    except ParamError as error:
        is_told = error.errors in ({"photo": [UNREADABLE]}, {"photo": [TOO_MANY_PIXELS]})
        return "refused" if is_told else f"refused as {error.errors}"


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def peak_mib(pid: int | str = "self") -> int:
    """The most memory that a process has held, by the kernel's own count."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) // 1024


def main(folder: Path) -> dict[str, Any]:
    outcome_of(next(iter(seeds().values())))
    before, outcomes, spent, slowest = open_files(), Counter[str](), 0.0, ("", 0.0)
    files = ((path.name, path.read_bytes()) for path in sorted(folder.iterdir()))
    bombs: dict[str, str] = {}
    for number, (name, data) in enumerate((*mutations(), *files)):
        started = time.process_time()
        outcome = outcome_of(data)
        spent = time.process_time() - started
        slowest = max(slowest, (name, spent), key=lambda found: found[1])
        if number >= COUNT:
            bombs[name] = outcome
        else:
            outcomes[outcome if outcome in ("taken", "refused") else f"{name} {outcome}"] += 1
    result = {"outcomes": outcomes, "bombs": bombs, "slowest": slowest, "opened": open_files() - before}
    return result | {"peak_mib": peak_mib(), "checksum": zlib.crc32(b"".join(data for _, data in mutations()))}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
