"""Times an epoch of the trainer's network in TensorFlow on the CPU.

    pip install tensorflow-cpu
    python tensorflow_epoch.py MNIST_FOLDER [EPOCHS] [THREADS]

Layers, batch size, loss and optimiser are those of decima-trainer. The script times `fit` over all 60,000 training
pictures, which are undistorted and already in memory as floats. TensorFlow therefore has less to do than the
trainer, whose epoch includes the augmentation of every picture and the averaging of the weights. Compilation and
the first hundred steps run before and are not timed.
"""

import gzip
import os
import pathlib
import resource
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

BATCH = 128
WARM_UP_PICTURES = 100 * BATCH


def read(folder, name, header):
    packed = (pathlib.Path(folder) / name).read_bytes()
    return np.frombuffer(gzip.decompress(packed), np.uint8, offset=header)


def network():
    layers = tf.keras.layers
    blocks = [(16, True), (32, False), (32, True), (64, False), (64, False)]
    chain = [layers.Input((28, 28, 1))]
    for channels, pool in blocks:
        chain.append(layers.Conv2D(channels, 3, padding="same", use_bias=False))
        if pool:
            chain.append(layers.MaxPool2D())
        chain += [layers.BatchNormalization(scale=False), layers.ReLU()]
    chain += [layers.GlobalAveragePooling2D(), layers.Dense(10)]
    model = tf.keras.Sequential(chain)
    model.compile(
        tf.keras.optimizers.AdamW(4e-3, weight_decay=0.02, beta_2=0.99),
        tf.keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    )
    return model


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main(folder, epochs=2, threads=2):
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(int(threads))
    pictures = read(folder, "train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1).astype(np.float32) / 255
    labels = np.eye(10, dtype=np.float32)[read(folder, "train-labels-idx1-ubyte.gz", 8)]
    model = network()
    model.fit(pictures[:WARM_UP_PICTURES], labels[:WARM_UP_PICTURES], batch_size=BATCH, verbose=0)
    for epoch in range(int(epochs)):
        wall, cpu = time.perf_counter(), cpu_seconds()
        model.fit(pictures, labels, batch_size=BATCH, verbose=0)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        print(f"epoch {epoch + 1}: {wall:.2f} s, {cpu:.2f} s of CPU time", flush=True)


main(*sys.argv[1:])
