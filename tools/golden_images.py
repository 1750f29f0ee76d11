#!/usr/bin/env python3
"""Write tests/golden/images: image files of every kind and what PIL makes of them.

    python3 -m venv ENV && ENV/bin/pip install 'pillow<11' 'numpy<2' safetensors
    ENV/bin/python tools/golden_images.py [--out tests/golden/images]

Never needed to build or to test. `NAME.pixels` of pixels.safetensors are the samples PIL reads out of the
file NAME (converted to "L" or "RGB", which is what Hugging Face's image processors start from), and
`FILTER.WxH` those of PIL's resize of rgb.png. With torch and transformers there, also tests/golden/vit/preprocessor_config.json and
in classified.safetensors what Hugging Face's processor and model make of rgb.png and grey.png (`NAME.logits`). alpha.png, wide.png and interlaced.png hold the samples of rgb.png.
"""
import argparse, io, os, struct, zlib
import numpy as np
from PIL import Image
from safetensors.numpy import save_file

W, H = 37, 23


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, colour, interlaced=False, extra=b""):
    """A PNG of (H, W, channels) samples, every row unfiltered; PIL writes neither 16-bit RGB nor Adam7."""
    passes = [(0, 0, 1, 1)] if not interlaced else [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x0, y0, dx, dy in passes:
        for row in samples[y0::dy, x0::dx]:
            if row.size:
                raw += b"\0" + (row.astype(">u2").tobytes() if depth == 16 else row.astype(np.uint8).tobytes())
    head = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], depth, colour, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def test_image():
    """Smooth colours with an edge and a little noise: (H, W, 3) bytes."""
    y, x = np.mgrid[0:H, 0:W]
    noise = np.random.default_rng(7).normal(0, 6, (H, W, 3))
    base = np.stack([x * 255 / (W - 1), y * 255 / (H - 1), 127 + 120 * np.sin(x / 3 + y / 5)], axis=2)
    base[5:15, 10:20] = [250, 5, 60]
    return np.clip(base + noise, 0, 255).astype(np.uint8)


def pil_bytes(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def files():
    rgb = test_image()
    whole = Image.fromarray(rgb)
    wide = rgb.astype(np.uint16) * 257
    alpha = np.concatenate([rgb, rgb[:, ::-1, :1]], axis=2)
    palette = whole.quantize(16)
    return {
        "rgb.png": pil_bytes(whole, "PNG", optimize=True),
        "grey.png": pil_bytes(whole.convert("L"), "PNG"),
        "bits.png": pil_bytes(whole.convert("1"), "PNG"),
        "palette.png": pil_bytes(palette, "PNG", bits=4, transparency=3),
        "alpha.png": png(alpha, 8, 6),
        "wide.png": png(wide, 16, 2),
        "interlaced.png": png(rgb, 8, 2, interlaced=True),
        "rgb.jpg": pil_bytes(whole, "JPEG", quality=80),
        "grey.jpg": pil_bytes(whole.convert("L"), "JPEG", quality=80),
        "progressive.jpg": pil_bytes(whole, "JPEG", quality=80, progressive=True, subsampling=0),
        "inks.jpg": pil_bytes(whole.convert("CMYK"), "JPEG", quality=90),
    }


def classified(out):
    """The golden ViT with a processor of its own, from files to logits."""
    import torch
    from transformers import ViTForImageClassification, ViTImageProcessor
    folder = os.path.join(out, "..", "vit")
    processor = ViTImageProcessor(size={"height": 8, "width": 8}, resample=3, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.25, 0.3])
    processor.save_pretrained(folder)
    model = ViTForImageClassification.from_pretrained(folder, attn_implementation="eager").double().eval()
    logits = {}
    for name in ("rgb.png", "grey.png"):
        pixels = processor(Image.open(os.path.join(out, name)).convert("RGB"), return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            logits[name + ".logits"] = model(pixels.double()).logits[0].float().numpy()
    save_file(logits, os.path.join(out, "classified.safetensors"))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--out", default="tests/golden/images")
    out = arguments.parse_args().out
    os.makedirs(out, exist_ok=True)
    tensors = {}
    for name, data in files().items():
        with open(os.path.join(out, name), "wb") as f:
            f.write(data)
        image = Image.open(io.BytesIO(data))
        pixels = np.asarray(image.convert("L" if image.mode in ("L", "1") else "RGB"))
        if name in ("alpha.png", "wide.png", "interlaced.png"):
            assert (pixels == test_image()).all(), name
        else:
            tensors[name + ".pixels"] = pixels
    whole = Image.fromarray(test_image())
    tensors["luma"] = np.asarray(whole.convert("L"))
    filters = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
    for name, number in filters.items():
        for size in [(16, 16), (9, 23), (50, 12)]:
            tensors[f"{name}.{size[0]}x{size[1]}"] = np.asarray(whole.resize(size, number))
    try:
        import transformers
    except ImportError:
        transformers = None
    if transformers:
        classified(out)
    save_file({n: np.ascontiguousarray(t) for n, t in tensors.items()}, os.path.join(out, "pixels.safetensors"))


main()
