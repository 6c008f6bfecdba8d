"""Trains the digit classifier and measures it on digits it has never seen.

Writes model.npz (weights only) and model.json (how it was made, how well it does).
"""

import json
import time
import warnings
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import classify
import digits

HERE = Path(__file__).parent
DRAWINGS = 10  # pictures drawn of each training digit
HELD_OUT_DRAWINGS = 2  # pictures drawn of each held-out digit, to measure
LAYERS = (160, 80)
EPOCHS = 40


def looks(task: tuple) -> list:
    """Features of pictures drawn of one digit, beginning with the digit as it is."""
    image, count, largest, seed = task
    rng = np.random.default_rng(seed)
    rows = [classify.features(classify.decode(digits.plain(image)))]
    for _ in range(count):
        data = digits.draw_any(image, rng, largest)
        rows.append(classify.features(classify.decode(data)))
    return rows


def prepare(images, labels, count, largest, seed) -> tuple:
    """(features of the plain digits, features of the drawn ones, labels of the drawn ones)."""
    tasks = [(image, count, largest, [seed, n]) for n, image in enumerate(images)]
    with Pool() as pool:
        rows = np.array(list(pool.imap(looks, tasks, chunksize=50)))
    return rows[:, 0], rows[:, 1:].reshape(-1, 64), np.repeat(labels, count)


def fit(inputs: np.ndarray, labels: np.ndarray) -> list:
    """Train the network; its layers as (weights, biases)."""
    network = MLPClassifier(
        LAYERS, alpha=0.05, batch_size=128, learning_rate_init=1.5e-3,
        max_iter=EPOCHS, tol=0, n_iter_no_change=EPOCHS, random_state=digits.SEED,
    )
    with warnings.catch_warnings():
        # The number of rounds is fixed on purpose; that it could go on is no news.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(inputs, labels)
    return list(zip(network.coefs_, network.intercepts_))


def accuracy(model: classify.Model, inputs: np.ndarray, labels: np.ndarray) -> float:
    """The share of rows whose most probable digit is the right one."""
    return float((model.probabilities(inputs).argmax(axis=1) == labels).mean())


def main() -> None:
    """Train, save, measure, say."""
    started = time.monotonic()
    train, train_labels, held, held_labels = digits.split()
    print(f"drawing {len(train) * DRAWINGS} training pictures", flush=True)
    plain, drawn, drawn_labels = prepare(train, train_labels, DRAWINGS, 160, seed=1)
    print(f"training on {len(plain) + len(drawn)} pictures", flush=True)
    layers = fit(np.vstack([plain, drawn]), np.concatenate([train_labels, drawn_labels]))
    arrays = {}
    for i, (weights, biases) in enumerate(layers):
        arrays[f"w{i}"], arrays[f"b{i}"] = weights.astype(np.float32), biases.astype(np.float32)
    np.savez_compressed(classify.MODEL, **arrays)

    print(f"measuring on {len(held)} held-out digits", flush=True)
    model = classify.Model()
    plain, drawn, drawn_labels = prepare(held, held_labels, HELD_OUT_DRAWINGS, 900, seed=2)
    report = {
        "network": f"64-{'-'.join(map(str, LAYERS))}-10",
        "seed": digits.SEED,
        "training_digits": len(train),
        "training_pictures": len(train) * (1 + DRAWINGS),
        "held_out_digits": len(held),
        "held_out_pictures": len(drawn),
        "accuracy_clean": round(accuracy(model, plain, held_labels), 4),
        "accuracy_pictures": round(accuracy(model, drawn, drawn_labels), 4),
        "scikit_learn": sklearn.__version__,
    }
    (HERE / "model.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))
    print(f"model.npz: {classify.MODEL.stat().st_size} bytes; {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
