"""From a picture's bytes to the digit it shows: decode, find the ink, shrink to 8x8, ask the model.

Shared by the training program and the function, so that the model is always
asked about the same kind of features that it learned from. Needs numpy and Pillow.
"""

import io
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter, ImageOps

MAX_PIXELS = 40_000_000
MODEL = Path(__file__).with_name("model.npz")

WORK_SIDE = 128  # the longer side of the picture while its ink is searched for
GRID = 8  # the side of the model's input
MIN_CONTRAST = 12  # grey levels between paper and ink, below which there is nothing to read
INK = 0.4  # share of the contrast from which a pixel counts as ink

# Pillow refuses pictures beyond this by itself too, before it decodes a single pixel.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class Unreadable(ValueError):
    """The bytes are no picture in which a digit could be found. The message is for the user."""


class Answer(NamedTuple):
    """What the model says, and how sure it is (0..1)."""

    digit: int
    confidence: float


def decode(data: bytes) -> Image.Image:
    """Read a PNG or JPEG picture as RGB, small enough to work on."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise Unreadable(f"too large: more than {MAX_PIXELS // 1_000_000} megapixels") from None
        except Exception:
            raise Unreadable("not a PNG or JPEG picture") from None
    try:
        # A JPEG decoder can leave out detail that would be averaged away below.
        picture.draft("RGB", (2 * WORK_SIDE, 2 * WORK_SIDE))
        picture.load()
        return shrink(picture)
    except Exception:
        # Pillow's decoders raise errors of many kinds for damaged files.
        raise Unreadable("damaged picture") from None


def shrink(picture: Image.Image) -> Image.Image:
    """The picture upright, opaque and in RGB, its longer side WORK_SIDE pixels."""
    if picture.mode.startswith("I"):  # 16 bits of grey: Pillow would clip them to 8
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.mode == "P" or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    elif picture.mode not in ("L", "RGB", "RGBA"):
        picture = picture.convert({"1": "L", "LA": "RGBA"}.get(picture.mode, "RGB"))
    # Averages whole blocks first: cheap on large pictures, and it evens out noise.
    picture = picture.reduce(max(1, max(picture.size) // (2 * WORK_SIDE)))
    if picture.mode == "RGBA":
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture)
    picture = ImageOps.exif_transpose(picture.convert("RGB"))
    scale = WORK_SIDE / max(picture.size)
    size = [max(1, round(side * scale)) for side in picture.size]
    return picture.resize(size, Image.Resampling.BICUBIC)


def ink_of(picture: Image.Image) -> np.ndarray:
    """How much ink lies on each pixel, 0 (paper) to 1, whatever the colours of either."""
    smooth = picture.filter(ImageFilter.GaussianBlur(2))
    pixels = np.asarray(smooth, dtype=np.float32)
    height, width, _ = pixels.shape
    edge = np.ones((height, width), dtype=bool)
    margin = max(1, min(height, width) // 16)
    edge[margin:-margin, margin:-margin] = False
    # The paper is what runs along the edge; the ink lies where the colour differs
    # most from it. Distances along the line between the two also tell apart
    # colours of equal brightness.
    paper = np.median(pixels[edge], axis=0)
    away = pixels - paper
    distance = np.linalg.norm(away, axis=2)
    far = distance >= np.quantile(distance, 0.98)
    direction = away[far].mean(axis=0)
    contrast = float(np.linalg.norm(direction))
    if contrast < MIN_CONTRAST:
        raise Unreadable("no digit in the picture: it is blank")
    return np.clip(away @ (direction / contrast**2), 0, 1)


def features(picture: Image.Image) -> np.ndarray:
    """The 64 numbers the model sees: the inked part, centred in a square, as 8x8 averages."""
    ink = ink_of(picture)
    mask = np.where(ink >= INK, ink, 0)
    top, bottom = _extent(mask.sum(axis=1))
    left, right = _extent(mask.sum(axis=0))
    crop = mask[top:bottom, left:right]
    side = max(crop.shape)
    square = np.zeros((side, side), dtype=np.float32)
    y, x = (side - crop.shape[0]) // 2, (side - crop.shape[1]) // 2
    square[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    small = Image.fromarray(square).resize((GRID, GRID), Image.Resampling.BOX)
    grid = np.asarray(small, dtype=np.float32).ravel()
    return grid / max(float(grid.max()), 1e-6)


def _extent(profile: np.ndarray) -> tuple:
    """Where a row or column profile of ink begins and ends, stray specks left out."""
    total = np.cumsum(profile) / max(float(profile.sum()), 1e-6)
    return int(np.searchsorted(total, 0.004)), int(np.searchsorted(total, 0.996)) + 1


class Model:
    """A small neural network: layers of weights and biases, rectified between."""

    def __init__(self, path: Path = MODEL):
        with np.load(path, allow_pickle=False) as arrays:
            count = len(arrays.files) // 2
            self.layers = [(arrays[f"w{i}"], arrays[f"b{i}"]) for i in range(count)]

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """One row of ten probabilities per row of 64 features."""
        values = inputs
        for weights, biases in self.layers[:-1]:
            values = np.maximum(values @ weights + biases, 0)
        weights, biases = self.layers[-1]
        scores = values @ weights + biases
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def classify(self, data: bytes) -> Answer:
        """The digit in a picture file. Raises Unreadable when there is none."""
        row = self.probabilities(features(decode(data))[None, :])[0]
        digit = int(row.argmax())
        return Answer(digit, float(row[digit]))
