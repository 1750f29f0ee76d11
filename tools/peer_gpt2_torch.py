#!/usr/bin/env python3
"""Seconds per training step of GPT-2 124M in PyTorch on this CPU: the peer `lithe bench` is set against.

    peer_gpt2_torch.py [--threads 2] [--batch 4] [--ctx 256] [--steps 10] [--dtype fp32|bf16]

Forward, backward and AdamW on random tokens, the model written the plain way (separate score matrix, tied head,
vocabulary padded to 50304, no dropout). Weights are N(0, 0.02): larger ones change the speed through denormals.
bf16 is autocast with float32 master weights. One step warms up and is not counted. Only the last line is data.

The line ends with the rate of a 1024-cubed float32 product: a torch without a good BLAS shows there, and its fp32
times say nothing. Debian's python3-torch takes whatever libblas.so.3 is: use libopenblas0-pthread, and set
OPENBLAS_CORETYPE=SkylakeX where OpenBLAS does not know an AVX-512 machine.
"""
import argparse, os, statistics, sys, time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--ctx", type=int, default=256)
parser.add_argument("--steps", type=int, default=10)
parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32")
args = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(args.threads)   # read when torch is loaded

import torch
import torch.nn.functional as F
from torch import nn

LAYERS, HEADS, WIDTH, VOCAB, POSITIONS = 12, 12, 768, 50304, 1024


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x, future):
        heads = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, WIDTH // HEADS))     # B T 3 H hd
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        score = q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5
        mix = score.masked_fill(future, float("-inf")).softmax(-1) @ v
        x = x + self.out(mix.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.place = nn.Embedding(VOCAB, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, targets):
        n = ids.shape[1]
        future = torch.ones(n, n, dtype=torch.bool).triu(1)
        x = self.token(ids) + self.place.weight[:n]
        for block in self.blocks:
            x = block(x, future)
        logits = F.linear(self.norm(x), self.token.weight)
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def sgemm_rate(n=1024):
    a, b, best = torch.randn(n, n), torch.randn(n, n), float("inf")
    for _ in range(4):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2e-9 * n ** 3 / best


torch.manual_seed(0)
torch.set_num_threads(args.threads)
model = GPT2()
adam = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1)
ids, targets = torch.randint(0, 50257, (2, args.batch, args.ctx))
seconds = []
for step in range(args.steps + 1):
    marks = [time.perf_counter()]
    with torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bf16"):
        loss = model(ids, targets)
    marks.append(time.perf_counter())
    loss.backward()
    marks.append(time.perf_counter())
    adam.step()
    adam.zero_grad(set_to_none=True)
    marks.append(time.perf_counter())
    parts = [b - a for a, b in zip(marks, marks[1:])]
    print(f"step {step} loss {loss.item():.4f} forward {parts[0]:.3f} backward {parts[1]:.3f} update {parts[2]:.3f}", file=sys.stderr)
    if step > 0:
        seconds.append(sum(parts))
middle = statistics.median(seconds)
print(f"torch {torch.__version__} {args.dtype} threads {args.threads} batch {args.batch} ctx {args.ctx}: "
      f"median {middle:.3f} s/step of {len(seconds)} (min {min(seconds):.3f}), {args.batch * args.ctx / middle:.1f} tokens/s, sgemm {sgemm_rate():.0f} GF/s")
