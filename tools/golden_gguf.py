#!/usr/bin/env python3
"""Write the GGUF fixtures with ggml's own Python package, which shares no code with Lithe.

    python3 -m venv ENV && ENV/bin/pip install gguf numpy safetensors
    ENV/bin/python tools/golden_gguf.py

tests/fuzz/corpus/gguf/   every type of value, and tensors of several types
"""
import os
import numpy as np
import gguf

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def writer(path, arch):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return gguf.GGUFWriter(path, arch)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def every_type(path):
    w = writer(path, "sampler")
    w.add_uint8("k.u8", 255), w.add_int8("k.i8", -1), w.add_uint16("k.u16", 65535), w.add_int16("k.i16", -2)
    w.add_uint32("k.u32", 2**32 - 1), w.add_int32("k.i32", -3), w.add_uint64("k.u64", 2**64 - 1), w.add_int64("k.i64", -4)
    w.add_float32("k.f32", 0.1), w.add_float64("k.f64", 0.1), w.add_bool("k.bool", True), w.add_string("k.string", "a b")
    w.add_array("k.texts", ["one", "", "three"]), w.add_array("k.numbers", [1, 2, 3]), w.add_array("k.reals", [0.5, 1.5])
    rows = np.linspace(-1, 1, 128, dtype=np.float32).reshape(4, 32)
    w.add_tensor("f32", rows), w.add_tensor("f16", rows.astype(np.float16))
    for kind in ("BF16", "Q8_0", "Q4_0"):
        kind = getattr(gguf.GGMLQuantizationType, kind)
        w.add_tensor(kind.name.lower(), gguf.quants.quantize(rows, kind), raw_dtype=kind)
    finish(w)


if __name__ == "__main__":
    every_type(f"{ROOT}/tests/fuzz/corpus/gguf/types.gguf")
