#!/usr/bin/env python3
"""Write tests/golden/blocks/blocks.safetensors: blocks of ggml's types and the numbers in them, by the gguf package of llama.cpp's authors.

    python3 -m venv ENV && ENV/bin/pip install numpy gguf
    ENV/bin/python tools/golden_blocks.py [OUT]

Made with gguf 0.19.0 and numpy 2.4.6; never needed to build or to test.  Bytes are random but for the float16 scales, which are
finite: some of them negative, zero or subnormal.
"""
import json, struct, sys, zlib
import numpy as np
from gguf import GGMLQuantizationType as T, quants

HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
          "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def blocks(name, count):
    random = np.random.default_rng(zlib.crc32(name.encode()))
    size = getattr(quants, name).type_size
    data = random.integers(0, 256, (count, size), dtype=np.uint8)
    for at in HALVES[name]:
        scales = (random.standard_normal(count) * 0.05).astype(np.float16)
        scales[-2:] = 0, np.float16(2 ** -20)
        data[:, at:at + 2] = scales.view(np.uint8).reshape(count, 2)
    return data


def write(path, tensors):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, x in tensors:
        header[name] = {"dtype": "F32" if x.dtype == np.float32 else "U8", "shape": list(x.shape), "data_offsets": [offset, offset + x.nbytes]}
        offset += x.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, x in tensors:
            out.write(x.tobytes())


numbers, stored = [], []
for name in HALVES:
    data = blocks(name, 4 if name.endswith("K") else 8)
    numbers.append((name + ".numbers", quants.dequantize(data, getattr(T, name)).astype(np.float32).reshape(-1)))
    stored.append((name + ".blocks", data))
write(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/blocks/blocks.safetensors", numbers + stored)
