#!/usr/bin/env python3
"""Run the protocol of studies/combinations/README.md; with --table, make its tables."""
import os, statistics, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from common import Study, arguments, cell, cut, interval, kept, paired, table, verdict, write_json

options = arguments(__doc__, text=True, seeds="1,2,3,4,5")
CTX, BATCH, STEPS, HELD_OUT = 256, 4, 1000, 200_000
WIDTH, LAYERS, HEAD, SLOTS, FF_SLOTS, INNER = 96, 3, 32, 48, 384, 384
if options.toy:
    CTX, STEPS, HELD_OUT = 64, 16, 4000
RANKS = {"decay_low_rank_dim": 32, "a_low_rank_dim": 32, "v_low_rank_dim": 32, "gate_low_rank_dim": 32}
COMMON = {"vocab_size": 256, "max_position_embeddings": CTX, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, **RANKS}
HYBRID = {**COMMON, "model_type": "hybrid", "mixer": "rwkv7", "rwkv_head_dim": HEAD, "num_attention_heads": WIDTH // HEAD, "feed_forward": "pattention",
          "initializer_range": round(0.5 / WIDTH ** 0.5, 4), "tie_word_embeddings": False}


def of_tokens(share, projection="pattention", ff=FF_SLOTS):
    return {**HYBRID, "projection": projection, "qkv_slot_num": int(SLOTS * share), "proj_slot_num": int(SLOTS * share), "ffn_slot_num": int(ff * share)}


MODELS = {"rwkv7": {**COMMON, "model_type": "rwkv7", "head_dim": HEAD, "intermediate_size": INNER}, "tokens": of_tokens(1), "rwkv7 mix": of_tokens(1, "linear"), "small": of_tokens(0.5)}
RATES = {"fast": "4e-3", "slow": "2e-3"}
SHARES = {"1/4": 0.25, "1/2": 0.5, "3/4": 0.75}
study = Study(options, ["arm", "rate", "seed"], ["params", "flops", "steps", "compute", "bits"])


def config(model):
    return os.path.join(options.out, f"config-{model.replace(' ', '-')}.json")


def flops(model):
    return study.plan(config(model), BATCH, CTX, "bf16")[1]


def plan_of(arm):
    """The model that begins, its steps, and where it grows (0: never)."""
    if arm == "equal compute":
        return "tokens", round(STEPS * flops("rwkv7") / flops("tokens")), 0
    if arm == "equal":
        return "tokens", round(STEPS * (0.5 * flops("small") / flops("tokens") + 0.5)), 0
    if arm.startswith("grown "):
        return "small", STEPS, round(STEPS * SHARES[arm[6:]])
    return arm, STEPS, 0


def one(task, folder):
    arm, rate, seed = task
    model, steps, grow = plan_of(arm)
    growth = ["--grow-at", f"{grow}:qkv_slot_num={SLOTS},proj_slot_num={SLOTS},ffn_slot_num={FF_SLOTS}"] if grow else []
    log, _, _ = study.train(os.path.join(folder, "run"), study.train_text, "--valid", study.valid_text, "--tokenizer", "bytes", "--config", config(model),
                            "--ctx", CTX, "--batch", BATCH, "--dtype", "bf16", "--lr", RATES[rate], "--min-lr", float(RATES[rate]) / 10, "--schedule", "wsd", "--steps", steps,
                            "--eval-every", "50%", "--eval-windows", 8, "--seed", seed, *growth)
    bits = study.json("eval", os.path.join(folder, "run"), "--text", study.valid_text, "--ctx", CTX, "--threads", 1)["bits_per_byte"]
    compute = grow * flops(model) + (steps - grow) * flops("tokens" if grow else model)
    return {"params": log[-1]["params"], "flops": flops(model), "steps": steps, "compute": compute, "bits": round(bits, 5)}


def refuse_unequal():
    counted = {m: study.plan(config(m), BATCH, CTX, "bf16")[0] for m in MODELS}
    if abs(counted["tokens"] / counted["rwkv7"] - 1) > 0.05:
        raise SystemExit(f"the models are not of equal size: {counted}")


def better_rate(rows):
    of = {r: kept(rows, "bits", arm="tokens", rate=r) for r in RATES}
    return min((r for r in of if of[r]), key=lambda r: statistics.mean(of[r]), default="fast")


def comparison(rows, title, arms, against):
    """arms: [(arm, rate)]; against: {heading: (arm, rate)}."""
    lines = []
    for arm, rate in arms:
        bits = kept(rows, "bits", arm=arm, rate=rate)
        if not bits:
            continue
        found = [arm, rate, next(r["params"] for r in rows if r["arm"] == arm), cell(bits), f"{kept(rows, 'compute', arm=arm, rate=rate)[0] / 1e12:.2f}"]
        for other in against.values():
            d = paired(rows, "bits", dict(arm=arm, rate=rate), dict(arm=other[0], rate=other[1]))
            found.append("" if other == (arm, rate) or not d else f"{cell(d, 4, True)}: {verdict(d)}")
        lines.append(found)
    print(f"### {title}\n\n" + table(["arm", "rate", "parameters", "bits per byte", "TFLOP", *against], lines))


def savings(rows, rate):
    scratch = dict(arm="tokens", rate=rate)
    base, compute = kept(rows, "bits", **scratch), kept(rows, "compute", **scratch)
    for share in SHARES:
        arm = dict(arm="grown " + share, rate=rate)
        d = paired(rows, "bits", arm, scratch)
        if len(d) > 1:
            mean, half = (100 * x / statistics.mean(base) for x in interval(d))
            saved = 100 * (1 - kept(rows, "compute", **arm)[0] / compute[0])
            print(f"Grown at {share}: {mean:+.2f} ± {half:.2f} % of scratch's bits with {saved:.0f} % less compute: {'saved' if mean + half < 1 else 'not shown'}.")


def print_tables():
    rows = study.rows()
    rate = better_rate(rows)
    comparison(rows, "Equal parameters", [("rwkv7", "fast"), ("tokens", "fast"), ("tokens", "slow"), ("equal compute", rate), ("rwkv7 mix", "fast")], {"from rwkv7": ("rwkv7", "fast")})
    comparison(rows, f"Growth, at the {rate} rate", [("small", rate), *((f"grown {s}", rate) for s in SHARES), ("equal", rate), ("tokens", rate)],
               {"from scratch": ("tokens", rate), "from equal": ("equal", rate)})
    savings(rows, rate)


if not options.table:
    for name, value in MODELS.items():
        write_json(config(name), value)
    refuse_unequal()
    study.train_text, study.valid_text = cut(options.text, options.out, HELD_OUT)
    study.make([(a, r, s) for s in study.seeds() for a, r in (("rwkv7", "fast"), ("tokens", "fast"), ("tokens", "slow"), ("rwkv7 mix", "fast"))], one)
    best = better_rate(study.rows())
    study.make([(a, best, s) for s in study.seeds() for a in ["equal compute", "small", *("grown " + x for x in SHARES), "equal"]], one)
print_tables()
