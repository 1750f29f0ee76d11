#!/usr/bin/env python3
"""Bits per byte of an interpolated Kneser-Ney byte n-gram: the yardstick a small language model must beat.

    kneser_ney.py TRAIN VALID [--order 5] [--plain] [--check]          texts may be .gz; needs numpy

For a history h of k-1 bytes, with c the count of (h, w) and h' the history less its oldest byte,

    p_k(w | h) = max(c - D(c), 0) / c(h)  +  g(h) p_{k-1}(w | h')        p_0 = 1/256
    g(h)       = sum over w of D(c) / c(h)          a history never seen: p_k = p_{k-1}

The highest order counts occurrences, every lower one distinct left neighbours (Kneser and Ney, 1995). Discounts
come from the training counts of counts n1..n4 (Chen and Goodman, 1998): with Y = n1 / (n1 + 2 n2),
D(1) = 1 - 2Y n2/n1, D(2) = 2 - 3Y n3/n2, D(3 and more) = 3 - 4Y n4/n3; --plain uses Y for all three.
An n-gram is an integer, oldest byte highest, so counting is sorting.
"""
import argparse, gzip, time
import numpy as np


def read(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
        return np.frombuffer(f.read(), np.uint8)


def windows(text, n):
    """[len(text)] the n bytes that end at each place as one integer; zeros stand before the text."""
    key = np.zeros(len(text), np.int64)
    for back in range(n - 1, -1, -1):
        key <<= 8
        key[back:] |= text[:len(text) - back]
    return key


def discounts(counts, plain):
    n1, n2, n3, n4 = (int((counts == i).sum()) for i in (1, 2, 3, 4))
    if min(n1, n2, n3, n4) == 0:                     # too few kinds to estimate from: bytes alone, short texts
        return np.array([0, 0.5, 0.5, 0.5])
    y = n1 / (n1 + 2 * n2)
    if plain:
        return np.array([0, y, y, y])
    d = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return np.clip(d, 0, [0, 1, 2, 3])


class Level:
    """One order: its n-grams with their discounted counts, its histories with total and g."""

    def __init__(self, keys, counts, plain):
        self.d = discounts(counts, plain)
        taken = self.d[np.minimum(counts, 3)]
        self.keys, self.left = keys, counts - taken
        history = keys >> 8                          # sorted, since keys are
        first = np.flatnonzero(np.r_[True, history[1:] != history[:-1]])
        self.histories = history[first]
        self.total = np.add.reduceat(counts, first).astype(float)
        self.g = np.add.reduceat(taken, first) / self.total

    def refine(self, key, lower):
        """p of the last byte of each key given the others, from the p of the order below."""
        def find(table, wanted):
            at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
            return at, table[at] == wanted
        h, known = find(self.histories, key >> 8)
        w, seen = find(self.keys, key)
        return np.where(known, np.where(seen, self.left[w], 0) / self.total[h] + self.g[h] * lower, lower)


def train(text, order, plain=False):
    keys, counts = np.unique(windows(text, order)[order - 1:], return_counts=True)
    levels = [Level(keys, counts, plain)]
    for k in range(order - 1, 0, -1):                # an n-gram's weight: how many longer ones end in it
        keys, counts = np.unique(keys & (1 << 8 * k) - 1, return_counts=True)
        levels.insert(0, Level(keys, counts, plain))
    return levels


def probability(levels, key, known):
    """key: the last bytes as one integer; known: how many of them are real, the predicted one included."""
    p = np.full(len(key), 1 / 256)
    for k, level in enumerate(levels, 1):
        p = np.where(known >= k, level.refine(key & (1 << 8 * k) - 1, p), p)
    return p


def check(levels, key):
    """Over all 256 next bytes p must sum to one: after text, after rare and impossible histories, after nothing."""
    n, rng = len(levels), np.random.default_rng(0)
    histories = np.r_[rng.choice(key, 40), rng.integers(0, 1 << 8 * n - 1, 20), [0, 0]] >> 8
    known = np.r_[np.full(60, n), [1, 2]]
    p = probability(levels, (histories[:, None] << 8 | np.arange(256)).ravel(), np.repeat(known, 256)).reshape(-1, 256)
    worst = np.abs(p.sum(1) - 1).max()
    print(f"check: {len(p)} histories, |sum - 1| <= {worst:.1e}, smallest p {p.min():.1e}")
    assert worst < 1e-9 and p.min() > 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("valid")
    parser.add_argument("--order", type=int, default=5, choices=range(1, 8))
    parser.add_argument("--plain", action="store_true", help="one discount per order")
    parser.add_argument("--check", action="store_true", help="also verify that probabilities sum to one")
    args = parser.parse_args()
    start, valid = time.time(), read(args.valid)
    levels = train(read(args.train), args.order, args.plain)
    key = windows(valid, args.order)
    bits = -np.log2(probability(levels, key, np.minimum(np.arange(len(valid)) + 1, args.order)))
    for k, level in enumerate(levels, 1):
        print(f"order {k}: {len(level.keys)} kinds, discounts " + " ".join(f"{d:.4f}" for d in level.d[1:]))
    if args.check:
        check(levels, key)
    print(f"{len(valid)} bytes, {bits.mean():.4f} bits per byte, {bits.mean() * np.log(2):.4f} nats, {time.time() - start:.0f} s")
