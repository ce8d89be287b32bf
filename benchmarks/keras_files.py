"""A small Keras classifier as LiteRT files, made without compd: float, hybrid, float16, full int8.

    python benchmarks/keras_files.py OUT [--digits | --photos SIZE]

Needs tensorflow. The files are what tests open (``tests/assets``: 8 x 8 images of three colours,
and with ``--photos 96`` and ``--photos 224`` a float and an int8 file on pixels in 0..1, which tell
the strongest colour of a picture), and, with ``--digits``, what the benchmark of a network without
gradients searches (32 x 32 digits, with the images beside them).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tensorflow as tf


def colours(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise with one channel brighter than the others: uint8 (N, 8, 8, 3)."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, count)
    images = draw.integers(60, 180, (count, 8, 8, 3))
    images[np.arange(count), :, :, labels] += draw.integers(4, 30, count)[:, None, None]
    return images.astype(np.uint8), labels


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's digits at 32 x 32: uint8 (N, 32, 32, 3)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    grey = np.kron(found.images / 16 * 255, np.ones((4, 4)))
    return np.repeat(grey[..., None], 3, -1).astype(np.uint8), found.target


def photos(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Soft fields of colour; the classes are the strongest colour, in the dark and in the light."""
    draw = np.random.default_rng(0)
    coarse = draw.uniform(0, 255, (count, 4, 4, 3))
    x = np.linspace(0, 3, size)
    low = np.minimum(x.astype(int), 2)
    part = (x - low)[:, None, None]
    rows = coarse[:, low] * (1 - part) + coarse[:, low + 1] * part
    fields = rows[:, :, low] * (1 - part) + rows[:, :, low + 1] * part
    images = fields.astype(np.uint8)
    means = images.mean((1, 2))
    return images, means.argmax(1) + 3 * (means.mean(1) > 127)


def network(size: int, width: int, classes: int) -> tf.keras.Model:
    """Convolutions, a depthwise one, and a softmax at the end, on pixels in -1..1."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input((size, size, 3)),
            layers.Conv2D(width, 3, 2, "same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Conv2D(2 * width, 3, 2, "same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation="softmax"),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--digits", action="store_true")
    parser.add_argument("--photos", type=int, metavar="SIZE")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tf.keras.utils.set_random_seed(0)
    images, labels = digits() if options.digits else colours(600, 0)
    x = images.astype(np.float32) / 127.5 - 1
    if options.photos:
        images, labels = photos(600, options.photos)
        x = images.astype(np.float32) / 255
    model = network(x.shape[1], 24 if options.digits else 8, int(labels.max()) + 1)
    model.compile(
        tf.keras.optimizers.Adam(0.005 if options.photos else 0.001),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    train = len(x) * 3 // 4
    epochs = 60 if options.digits or options.photos else 15
    model.fit(x[:train], labels[:train], batch_size=32, epochs=epochs, verbose=0)
    print("accuracy:", model.evaluate(x[train:], labels[train:], verbose=0)[1])

    def batches():  # type: ignore[no-untyped-def]
        for one in x[:100]:
            yield [one[None]]

    def convert(name: str, **settings: object) -> None:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        for key, value in settings.items():
            setattr(converter, key, value)
        (options.out / f"{name}.tflite").write_bytes(converter.convert())

    suffix = f"-{options.photos}" if options.photos else ""
    default = [tf.lite.Optimize.DEFAULT]
    convert(f"float{suffix}")
    if not options.photos:
        convert("hybrid", optimizations=default)
        spec = tf.lite.TargetSpec()
        spec.supported_types = [tf.float16]
        convert("float16", optimizations=default, target_spec=spec)
    whole = tf.lite.TargetSpec(supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8])
    convert(
        f"int8{suffix}",
        optimizations=default,
        target_spec=whole,
        representative_dataset=batches,
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    if options.digits:
        from PIL import Image

        for i in range(train, len(images)):
            folder = options.out / "photos" / str(labels[i])
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[i]).save(folder / f"{i}.png")


if __name__ == "__main__":
    main()
