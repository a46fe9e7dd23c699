"""What a picture's file says about it, read without a decoder.

Pillow reads each segment or chunk of a file in Python. An upload of 10 MB that consists of padding, empty comments or
empty chunks keeps a processor busy for 8 to 20 s, and one with a comment of many parts takes 330 MB (measured with
Pillow 13.0). The readers of this package refuse such files or remove these parts within 0.5 s.
"""

import struct
from dataclasses import dataclass

EXIF_START = b"Exif\0\0"
ORIENTATION = 0x0112
SHORT = 3
# The largest colour profiles in use, those of printing presses, have about 3 MB.
MAX_PROFILE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Container:
    """A picture as its file describes it.

    `data` is the part of the file that a decoder needs, `orientation` the EXIF value 1 to 8, `profile` an ICC profile
    or empty. `bytes_per_pixel` is the memory for decoding at full size, in Pillow and the library below it.
    `can_shrink` is True for a JPEG, which can be decoded at a half, a quarter or an eighth of its size;
    `buffered_bytes` is the memory that its decoder needs at any size. `has_end` is False if a JPEG's end marker is
    missing.
    """

    data: bytes
    size: tuple[int, int]
    orientation: int
    profile: bytes
    bytes_per_pixel: int
    can_shrink: bool = False
    buffered_bytes: int = 0
    has_end: bool = True

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.size[0] * self.size[1]


def orientation_in(exif: bytes) -> int:
    """The orientation in an EXIF block, 1 (upright) to 8; 1 also for a missing or invalid entry.

    Reads only this entry, as browsers do, since the other entries of an upload may have any type, size and number.
    """
    block = exif.removeprefix(EXIF_START)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    try:
        if order is None:
            return 1
        (entries,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, entries)
        for number in range(count):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", block, entries + 2 + 12 * number)
            if tag == ORIENTATION:
                return value if (kind, values) == (SHORT, 1) and 1 <= value <= 8 else 1
    except struct.error:
        # The block is truncated. Some phones write such photos, and they must be accepted.
        return 1
    return 1
