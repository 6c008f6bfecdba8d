"""The handwritten digits that come with scikit-learn: a training and a held-out part,
and how to draw one of them as a picture somebody could have taken.
"""

import io

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 2026
HELD_OUT = 0.3


def split() -> tuple:
    """(training images, their labels, held-out images, their labels); images are 8x8, 0..1."""
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    train, held, train_labels, held_labels = train_test_split(
        images, digits.target, test_size=HELD_OUT, random_state=SEED, stratify=digits.target
    )
    return train, train_labels, held, held_labels


def plain(image: np.ndarray) -> bytes:
    """The digit as it is: an 8x8 PNG, black on white."""
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(255 - image * 255)).save(buffer, "PNG")
    return buffer.getvalue()


def distort(image: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """The digit `side` pixels high: turned, sheared, stretched, its strokes thicker or thinner."""
    # A margin in the original, so that turning does not cut the strokes off.
    padded = Image.fromarray(np.pad(image, 2))
    angle, shear = np.deg2rad(rng.normal(0, 5)), rng.normal(0, 0.08)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = np.diag(rng.uniform(0.88, 1.12, 2))
    matrix = turn @ np.array([[1, shear], [0, 1]]) @ stretch * (padded.width / side)
    offset = padded.width / 2 - matrix @ [side / 2, side / 2]
    terms = (*matrix[0], offset[0], *matrix[1], offset[1])
    big = padded.transform((side, side), Image.Transform.AFFINE, terms, Image.Resampling.BICUBIC)
    strokes = np.clip(np.asarray(big), 0, 1)
    return strokes ** rng.uniform(0.7, 1.4)


def colours(rng: np.random.Generator) -> tuple:
    """Paper and ink, dark on light or light on dark, well apart in brightness."""
    while True:
        paper, ink = rng.uniform(0, 255, (2, 3))
        if abs(paper.mean() - ink.mean()) > 70:
            return paper, ink


def draw(image, rng, width, height, *, noise=None, fmt=None, paper=None, ink=None) -> bytes:
    """The digit somewhere in a picture of the given size; what is not told is drawn by lot."""
    side = int(min(width, height) * rng.uniform(0.75, 1.15))
    strokes = distort(image, rng, side)
    canvas = np.zeros((height, width), dtype=np.float32)
    # The digit is two thirds of its square: moved about, it still lies within the picture.
    room = max(0.0, 1 - side * 0.75 / min(width, height)) * min(width, height) / 2
    y = int((height - side) / 2 + rng.uniform(-room, room) + _spare(height, width, rng))
    x = int((width - side) / 2 + rng.uniform(-room, room) + _spare(width, height, rng))
    top, left = max(0, y), max(0, x)
    part = strokes[top - y : top - y + height - top, left - x : left - x + width - left]
    canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
    if paper is None or ink is None:
        paper, ink = colours(rng)
    paper, ink = np.asarray(paper, dtype=float), np.asarray(ink, dtype=float)
    pixels = paper + canvas[:, :, None] * (ink - paper)
    noise = rng.choice([0, rng.uniform(2, 28)]) if noise is None else noise
    if noise:
        pixels = pixels + rng.normal(0, noise, pixels.shape)
    fmt = fmt or rng.choice(["PNG", "JPEG"])
    options = {"quality": int(rng.integers(35, 92))} if fmt == "JPEG" else {"compress_level": 1}
    buffer = io.BytesIO()
    Image.fromarray(np.uint8(np.clip(pixels, 0, 255))).save(buffer, fmt, **options)
    return buffer.getvalue()


def _spare(length: int, other: int, rng: np.random.Generator) -> float:
    """How far off the middle along the longer side of an oblong picture."""
    return rng.uniform(-0.4, 0.4) * max(0, length - other)


def draw_any(image: np.ndarray, rng: np.random.Generator, largest: int) -> bytes:
    """A picture of any size between 24 and `largest` pixels, often not square."""
    width = int(np.exp(rng.uniform(np.log(24), np.log(largest))))
    height = int(np.clip(width * rng.uniform(0.6, 1.6), 24, largest))
    return draw(image, rng, width, height)
