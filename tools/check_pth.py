#!/usr/bin/env python3
"""Open .pth files that lithe wrote with torch.load and compare them with the model they came from.

    lithe convert MODEL OUT.pth [--dtype bf16] && python3 tools/check_pth.py OUT.pth MODEL/model.safetensors

Needs torch and safetensors. The byte hashes in tests/rwkv_files.c are of files that passed here.
"""
import sys, zipfile
import torch
from safetensors.torch import load_file

path, source = sys.argv[1:]
assert zipfile.ZipFile(path).testzip() is None, "a checksum is wrong"
found, expected = torch.load(path), load_file(source)
assert set(found) == set(expected), set(found) ^ set(expected)
for name, t in found.items():
    wanted = expected[name].to(t.dtype)
    assert t.shape == wanted.shape and t.is_contiguous() and torch.equal(t, wanted), name
print(path, len(found), "tensors of", {str(t.dtype) for t in found.values()}, "equal")
