"""Compares `lithe eval --task` with lm-evaluation-harness on the same model and the same items.

    pip install lm-eval torch transformers datasets
    lithe convert MODEL hf/                        # f32, in the Hugging Face layout
    python tools/check_tasks.py build/lithe hf/ DATA [--limit 100] [--tasks hellaswag,...] [--out record.csv]

With --serve, the harness asks `lithe serve MODEL` (its local-completions, tokenizer and all), in place of running the
model itself; then MODEL is any that lithe opens, and nothing but lm-eval and datasets is needed.

DATA is a directory with arc/, blimp/, cmmlu/, hellaswag/, lambada/, piqa/ and winogrande/.  The harness's own task files
are used; only the place of the data differs.  Printed are the accuracies of both, the items on which they disagree and
the largest difference of a log-likelihood.
"""
import argparse, atexit, csv, gzip, json, os, re, subprocess, tempfile
import lm_eval
from lm_eval.tasks import TaskManager

HARNESS = os.path.join(os.path.dirname(lm_eval.__file__), "tasks")
WINOGRANDE = re.compile(r"(?s)^Please choose .*? given sentence: (?P<sentence>.*)\n\nOption1: (?P<option1>.*) Option2: (?P<option2>.*) Answer format: ")
ARC = re.compile(r"(?s)^Please choose .*? question: (?P<q>.*?)\n\nAnswer1: (?P<a1>.*?) Answer2: (?P<a2>.*?)(?: Answer3: (?P<a3>.*?))?"
                 r"(?: Answer4: (?P<a4>.*?))?(?: Answer5: (?P<a5>.*?))?\n\nAnswer format: ")


def text(path):
    return (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8").read()


def lines(path):
    return [json.loads(line) for line in text(path).splitlines()]


def hellaswag(data):
    """Lines of text have the context whole: ctx_b is empty, and the harness's text ends with the space before it."""
    rows = text(f"{data}/hellaswag/val_every5th.txt").split("\n")
    for i in range(0, len(rows) - 5, 6):
        label, context = rows[i].split(": ", 1)
        yield {"activity_label": label, "ctx_a": context, "ctx_b": "", "endings": rows[i + 2:i + 6], "label": rows[i + 1]}


def winogrande(data):
    for row in json.loads(text(f"{data}/winogrande/dev.json")):
        yield {**WINOGRANDE.match(row["instruction"]).groupdict(), "answer": row["answer"][-1]}


def arc(data):
    for row in json.loads(text(f"{data}/arc/ARC-Easy-test.json.gz")):
        m = ARC.match(row["instruction"])
        choices = [m[f"a{i}"] for i in range(1, 6) if m[f"a{i}"] is not None]
        yield {"question": m["q"], "choices": {"text": choices, "label": [str(i + 1) for i in range(len(choices))]}, "answerKey": row["answer"][-1]}


def piqa(data):
    labels = text(f"{data}/piqa/valid-labels.lst").split()
    for row, label in zip(lines(f"{data}/piqa/valid.jsonl"), labels):
        yield {**row, "label": int(label)}


def cmmlu(split):
    def rows(data):
        return csv.DictReader(open(f"{data}/cmmlu/{split}/economics.csv", encoding="utf-8"))
    return rows


def blimp(name):
    return lambda data: lines(f"{data}/blimp/{name}.jsonl.gz")


# name, the harness's task file, its data, lithe's task and data, shots
CASES = [
    ("hellaswag", "hellaswag/hellaswag.yaml", hellaswag, "hellaswag", "hellaswag/val_every5th.txt", 0),
    ("lambada", "lambada/lambada_openai.yaml", lambda d: lines(f"{d}/lambada/lambada_test.jsonl.gz"), "lambada", "lambada/lambada_test.jsonl.gz", 0),
    ("piqa", "piqa/piqa.yaml", piqa, "piqa", "piqa/valid.jsonl", 0),
    ("winogrande", "winogrande/default.yaml", winogrande, "winogrande", "winogrande/dev.json", 0),
    ("arc", "arc/arc_easy.yaml", arc, "arc", "arc/ARC-Easy-test.json.gz", 0),
    ("blimp-npi", "blimp/npi_present_1.yaml", blimp("npi_present_1"), "blimp", "blimp/npi_present_1.jsonl.gz", 0),
    ("blimp-passive", "blimp/passive_1.yaml", blimp("passive_1"), "blimp", "blimp/passive_1.jsonl.gz", 0),
    ("cmmlu", "cmmlu/cmmlu_economics.yaml", cmmlu("test"), "cmmlu", "cmmlu/test/economics.csv", 0),
    ("cmmlu-5", "cmmlu/cmmlu_economics.yaml", cmmlu("test"), "cmmlu", "cmmlu/test/economics.csv", 5),
]


def run_harness(case, args, folder):
    name, yaml, rows, _, _, shots = case
    def put(split, source):
        path = f"{folder}/{name}-{split}.jsonl"
        with open(path, "w", encoding="utf-8") as f:
            for row in source(args.data):
                f.write(json.dumps(row, ensure_ascii=False) + "\n")
        return path
    files = {"test": put("test", rows), "validation": put("validation", rows)}
    if name.startswith("cmmlu"):
        files["dev"] = put("dev", cmmlu("dev"))
    with open(f"{folder}/{name}.yaml", "w") as f:
        f.write(f"include: {HARNESS}/{yaml}\ntask: check_{name}\ndataset_path: json\ndataset_name: null\n"
                f"dataset_kwargs:\n  data_files: {json.dumps(files)}\ntraining_split: null\nvalidation_split: validation\ntest_split: test\n"
                + ("" if "dev" in files else "fewshot_split: test\n"))
    kind, model = "hf", f"pretrained={args.model},dtype=float32"
    if args.serve:
        kind, model = "local-completions", f"base_url={args.serve}/v1/completions,model={args.name},tokenizer_backend=remote,num_concurrent=4,max_length=100000"
    out = lm_eval.simple_evaluate(model=kind, model_args=model, tasks=[f"check_{name}"], num_fewshot=shots, limit=args.limit,
                                  device="cpu", batch_size=1 if args.serve else 8, bootstrap_iters=0, log_samples=True, task_manager=TaskManager(include_path=folder))
    samples = sorted(out["samples"][f"check_{name}"], key=lambda s: s["doc_id"])
    return [(s["acc"], s.get("acc_norm"), [r[0] for r in s["filtered_resps"]] if isinstance(s["filtered_resps"][0], (tuple, list)) else [s["filtered_resps"][0]]) for s in samples]


def run_lithe(case, args, folder):
    name, _, _, task, data, shots = case
    path = f"{folder}/{name}-items.jsonl"
    command = [args.lithe, "eval", args.model, "--task", task, "--data", f"{args.data}/{data}", "--limit", str(args.limit), "--out", path, "--json", "--threads", "1", "--no-cache"]
    subprocess.run(command + (["--shots", str(shots)] if shots else []), check=True, stdout=subprocess.DEVNULL)
    return [(x["correct"], x["correct_norm"], x["log_likelihood"]) for x in lines(path)]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("lithe"), p.add_argument("model"), p.add_argument("data")
    p.add_argument("--limit", type=int, default=100), p.add_argument("--tasks"), p.add_argument("--out")
    p.add_argument("--serve", action="store_true", help="the harness asks a server")
    args = p.parse_args()
    if args.serve:
        server = subprocess.Popen([args.lithe, "serve", args.model, "--port", "0", "--log-format", "none", "-q"], stdout=subprocess.PIPE, text=True)
        atexit.register(server.terminate)
        args.serve = server.stdout.readline().strip()
        args.name = os.path.basename(os.path.normpath(args.model))
    table = [["task", "items", "lithe accuracy", "harness accuracy", "lithe accuracy_norm", "harness acc_norm", "items that differ", "largest difference of a log-likelihood"]]
    for case in CASES:
        if args.tasks and case[0] not in args.tasks.split(","):
            continue
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = run_lithe(case, args, folder), run_harness(case, args, folder)
        assert len(ours) == len(theirs)
        mean = lambda rows, k: "" if rows[0][k] is None else f"{sum(map(float, (r[k] for r in rows))) / len(rows):.4f}"
        differ = sum(int(a[0]) != int(b[0]) for a, b in zip(ours, theirs))
        far = max(abs(x - y) for a, b in zip(ours, theirs) for x, y in zip(a[2], b[2]))
        table.append([case[0], len(ours), mean(ours, 0), mean(theirs, 0), mean(ours, 1), mean(theirs, 1), differ, f"{far:.2e}"])
        print(*table[-1], sep=", ", flush=True)
        if args.out:
            with open(args.out, "w", newline="") as f:
                csv.writer(f).writerows(table)


if __name__ == "__main__":
    main()
