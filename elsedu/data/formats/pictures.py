"""One picture file: opened by a few known decoders, measured before it is unpacked, turned into gray or colour.

Pillow opens a file by its content with every decoder it has, and one of them hands PostScript to another program. A
file called .jpg is therefore offered to the decoders asked for and to no other, and its size in pixels is read from
its header before it is decoded.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

PHOTOGRAPHS = ("JPEG", "PNG")
LARGEST_FILE = 1 << 26  # bytes
MOST_PIXELS = 50_000_000


def decode(content: bytes, name: str, formats: tuple[str, ...] = PHOTOGRAPHS) -> Image.Image:
    """The picture in a file, decoded, in whatever mode it is stored (the first one of an animation).

    Args:
        content: The bytes of the file.
        name: What to call it in an error.
        formats: The decoders of Pillow that may be tried.

    Raises:
        ValueError: If it cannot be decoded, is of another format, or has more than 50 million pixels.
    """
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"it has {width} x {height} pixels, at most {MOST_PIXELS:,} are read")
            frames = getattr(image, "n_frames", 1) if image.format in ("GIF", "WEBP") else 1
            image.seek(0)
            image.load()
            exif = image.getexif()
            decoded = image.copy()
            decoded.info["elsedu_frames"] = frames
            decoded.getexif().update(exif)
            return decoded
    except Image.UnidentifiedImageError:
        raise ValueError(f"{name} cannot be decoded: it is no picture of the format {', '.join(formats)}") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        OverflowError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        MemoryError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        # a damaged picture can make a decoder stumble in any of these ways
        raise ValueError(f"{name} cannot be decoded: {error or type(error).__name__}") from error


def is_transparent(image: Image.Image) -> bool:
    """Whether some pixel of the picture is not opaque."""
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        return image.convert("RGBA").getchannel("A").getextrema()[0] < 255
    return "transparency" in image.info


def is_gray(image: Image.Image) -> bool:
    """Whether all three colours agree at every pixel, whatever the picture is stored as."""
    if image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I") or image.mode == "F":
        return True
    rgb = np.asarray(flattened(image, "RGB"))
    return bool((rgb[..., :1] == rgb).all())


def flattened(image: Image.Image, mode: str, background: int = 255) -> Image.Image:
    """The picture in `mode` "L" or "RGB", 8 bits a channel; transparent parts are laid on a gray `background`.

    16-bit gray (PNG) is scaled to 8 bits by dropping the lower byte.
    """
    if image.mode.startswith("I"):
        deep = np.asarray(image).astype(np.int64)
        image = Image.fromarray((deep.clip(0, 65535) >> 8).astype(np.uint8))
    elif image.mode == "F":
        image = Image.fromarray(np.asarray(image).clip(0, 255).astype(np.uint8))
    if is_transparent(image):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (background, background, background, 255))
        image = Image.alpha_composite(ground, image)
    return image.convert(mode)
