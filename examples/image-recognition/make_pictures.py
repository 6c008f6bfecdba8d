"""Draws the demo's pictures from held-out digits, which the model has never seen.

A demo set: twelve pictures as unlike one another as can be, each one that the model
reads with confidence. It measures nothing: the accuracy in model.json is that on all
the held-out digits.
"""

import json
from pathlib import Path

import numpy as np

import classify
import digits

PICTURES = Path(__file__).with_name("pictures")

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
NAVY, CREAM = (24, 32, 92), (244, 236, 214)
CHALK, BOARD = (226, 230, 224), (38, 66, 54)
RED, GREY, GREEN = (176, 28, 36), (188, 188, 192), (34, 120, 60)

# name, digit, width, height, paper, ink, noise
SET = [
    ("zero-28x28.png", 0, 28, 28, WHITE, BLACK, 0),
    ("one-64x96.png", 1, 64, 96, CREAM, NAVY, 0),
    ("two-320x240.jpg", 2, 320, 240, WHITE, NAVY, 14),
    ("three-480x480.jpg", 3, 480, 480, BOARD, CHALK, 10),
    ("four-100x100.png", 4, 100, 100, BLACK, WHITE, 18),
    ("five-900x700.jpg", 5, 900, 700, CREAM, RED, 8),
    ("six-200x260.jpg", 6, 200, 260, GREY, BLACK, 24),
    ("seven-48x40.png", 7, 48, 40, GREEN, CREAM, 0),
    ("eight-150x150.png", 8, 150, 150, GREY, RED, 6),
    ("nine-640x400.jpg", 9, 640, 400, NAVY, CREAM, 16),
    ("three-32x48.png", 3, 32, 48, BLACK, GREY, 6),
    ("eight-700x900.jpg", 8, 700, 900, WHITE, BLACK, 20),
]


SURE = 0.95


def draw_readable(model, rng, images, digit, width, height, **look) -> tuple:
    """(picture, confidence, how many drawings before it were not read with confidence)."""
    for skipped in range(20):
        data = digits.draw(images[rng.integers(len(images))], rng, width, height, **look)
        answer = model.classify(data)
        if answer.digit == digit and answer.confidence >= SURE:
            return data, answer.confidence, skipped
    raise SystemExit(f"the model does not read {digit} in {width}x{height}")


def main() -> None:
    """Draw the set, and write the truth beside it."""
    _, _, held, labels = digits.split()
    rng = np.random.default_rng(1)
    model = classify.Model()
    PICTURES.mkdir(exist_ok=True)
    truth = {}
    for name, digit, width, height, paper, ink, noise in SET:
        fmt = "PNG" if name.endswith(".png") else "JPEG"
        data, confidence, skipped = draw_readable(
            model, rng, held[labels == digit], digit, width, height,
            noise=noise, fmt=fmt, paper=paper, ink=ink,
        )
        (PICTURES / name).write_bytes(data)
        truth[name] = digit
        print(f"{name:20} {len(data):7} bytes  {digit}  {confidence:.3f}  ({skipped} skipped)")
    (PICTURES / "labels.json").write_text(json.dumps(truth, indent=2) + "\n")


if __name__ == "__main__":
    main()
