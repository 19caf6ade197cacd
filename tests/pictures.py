"""Pictures for tests: as small as their kinds allow, of any size they claim."""

import struct
import zlib


def png(width: int, height: int) -> bytes:
    """A PNG that claims this size."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def jpeg(width: int, height: int) -> bytes:
    """The head and the end of a JPEG that claims this size."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes(9)
    parts = ((0xE0, b"JFIF\0" + bytes(9)), (0xC0, frame))
    return (
        b"\xff\xd8"
        + b"".join(b"\xff" + bytes([mark]) + struct.pack(">H", len(data) + 2) + data for mark, data in parts)
        + b"\xff\xd9"
    )


def webp(kind: str, width: int, height: int) -> bytes:
    """The head of a WebP picture of one of its three kinds that claims this size."""
    data = {
        "VP8 ": b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height),
        "VP8L": b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(5),
        "VP8X": bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"),
    }[kind]
    chunk = kind.encode() + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk
