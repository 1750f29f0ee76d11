"""What the studies share: calls of lithe, runs of which none is made twice, intervals of paired seeds, tables and figures.
It needs Python 3 and nothing else."""
import argparse, csv, gzip, json, math, os, random, shutil, statistics, subprocess, tempfile, threading
from concurrent.futures import ThreadPoolExecutor

STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}   # 95 %, two sides


def arguments(about, text=False, seeds="", **more):
    """What the user asked for, with the options that every study has; more: name=(default, help)."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("out", help="directory of the record; the same command goes on where it stopped")
    if text:
        parser.add_argument("text", nargs="?", help="the text, also packed (.gz); not needed with --table")
    if seeds:
        parser.add_argument("--seeds", default=seeds, help=f"between commas (default {seeds})")
    for name, (default, words) in more.items():
        parser.add_argument("--" + name, **({"action": "store_true"} if default is False else {"default": default}), help=words)
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time, a thread each")
    parser.add_argument("--toy", action="store_true", help="tiny models and budgets, in OUT-toy: whether the study works, not what it finds")
    parser.add_argument("--keep", action="store_true", help="keep the runs in OUT/runs, for lithe report OUT/runs/*/run")
    parser.add_argument("--table", action="store_true", help="make the table from the record, and run nothing")
    parser.add_argument("--lithe", default="build/lithe")
    options = parser.parse_args()
    if text and not options.text and not options.table:
        parser.error("a text is missing")
    options.out += "-toy" if options.toy else ""
    return options


class Study:
    """A directory with record.csv, one line a finished run, and the folders of runs that are being made."""

    def __init__(self, options, keys, columns):
        self.options, self.out, self.keys, self.columns = options, options.out, keys, [*keys, *columns]
        self.path = os.path.join(self.out, "record.csv")
        self.lock = threading.Lock()
        os.makedirs(self.out, exist_ok=True)
        if not os.path.exists(self.path):
            self.append(self.columns)
        if not options.table:                   # what a run that was stopped has left
            for name in os.listdir(self.out):
                if name.startswith("work-"):
                    shutil.rmtree(os.path.join(self.out, name))

    def append(self, row):
        with open(self.path, "a", newline="") as f:
            csv.writer(f, lineterminator="\n").writerow(row)

    def rows(self):
        """The lines of the record; one whose end is missing does not count."""
        with open(self.path, newline="") as f:
            return [r for r in csv.DictReader(f) if None not in r.values()]

    def seeds(self):
        return [int(s) for s in self.options.seeds.split(",")]

    def make(self, tasks, run):
        """run(task, folder) -> the other columns, for each task (a tuple of keys) that has no line; --jobs at a time."""
        done = {tuple(r[k] for k in self.keys) for r in self.rows()}
        missing = [t for t in tasks if tuple(map(str, t)) not in done]
        with ThreadPoolExecutor(self.options.jobs) as pool:
            try:
                for future in [pool.submit(self.one, task, run) for task in missing]:
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def one(self, task, run):
        folder = tempfile.mkdtemp(prefix="work-", dir=self.out)
        try:
            found = run(task, folder)
            with self.lock:
                self.append([*task, *(found[c] for c in self.columns[len(self.keys):])])
            if self.options.keep and os.path.isdir(os.path.join(folder, "run")):
                kept_as = os.path.join(self.out, "runs", "-".join(map(str, task)).translate(str.maketrans(" /", "__")))
                shutil.rmtree(kept_as, ignore_errors=True)
                os.renames(folder, kept_as)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # ---- the command ----

    def lithe(self, *args):
        """Returns what it printed, the processor seconds and the largest resident bytes; ends the study when it fails."""
        args = [self.options.lithe, *map(str, args)]
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen(args, stdout=out, stderr=err)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0), err.seek(0)
            if process.returncode:
                raise SystemExit(" ".join(args) + ": " + err.read())
            return out.read(), used.ru_utime + used.ru_stime, used.ru_maxrss * 1024

    def json(self, *args):
        return json.loads(self.lithe(*args, "--json")[0])

    def plan(self, config, batch, ctx, dtype="f32"):
        """Parameters, and operations of a training step."""
        found = self.json("plan", config, "--batch", batch, "--ctx", ctx, "--dtype", dtype, "--no-ops")
        return found["parameters"], found["training"]["flops"]

    def sized(self, arch, params, ctx, *data_options):
        """A configuration of about so many parameters, as `lithe train --params` makes it; kept in the study's directory."""
        path = os.path.join(self.out, f"config-{arch}-{params}-{ctx}.json")
        with self.lock:
            if not os.path.exists(path):
                with tempfile.TemporaryDirectory(prefix="work-", dir=self.out) as folder:
                    run = os.path.join(folder, "run")
                    self.train(run, *data_options, "--arch", arch, "--params", params, "--ctx", ctx, "--batch", 1, "--steps", 1, "--eval-every", 0)
                    os.replace(os.path.join(run, "config.json"), path)
        with open(path) as f:
            return json.load(f)

    def train(self, run, *args):
        """Trains with one thread; returns the evaluations of its log, the processor seconds and the largest resident bytes."""
        _, seconds, resident = self.lithe("train", *args, "--save-every", 0, "--no-sample", "--threads", 1, "-q", "--out", run)
        with open(os.path.join(run, "log.jsonl")) as f:
            log = [json.loads(line) for line in f]
        return [e for e in log if "valid_loss" in e], seconds, resident

    def step_seconds(self, folder, args):
        """Processor seconds of a training step: what a run of some seconds takes more than one of FEW steps, for each step more."""
        run = os.path.join(folder, "speed")

        def seconds(steps):
            shutil.rmtree(run, ignore_errors=True)
            return self.train(run, *args, "--steps", steps, "--eval-every", 0)[1]
        few, lasting = 4, 0.1 if self.options.toy else 3
        start = seconds(few)
        rough = max(seconds(3 * few) - start, 0.01) / (2 * few)
        many = few + min(max(round(lasting / rough), 8), 2000)
        last = seconds(many)
        shutil.rmtree(run)
        return (last - start) / (many - few) if last > start else last / many


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f)
    return path


def cut(source, folder, held_out, most=6_000_000):
    """Writes FOLDER/text.train.txt and text.valid.txt, which is about the last held_out bytes of the first `most`."""
    try:
        with (gzip.open if source.endswith(".gz") else open)(source, "rb") as f:
            text = f.read()[:most]
    except (OSError, EOFError) as e:
        raise SystemExit(f"{source}: {e.strerror if getattr(e, 'strerror', None) else e}")
    at = text.rfind(b"\n", 0, max(0, len(text) - held_out)) + 1
    if not at:
        raise SystemExit(f"{source}: has {len(text)} bytes; more than {held_out} are needed, in lines, since so many are held out")
    paths = [os.path.join(folder, f"text.{part}.txt") for part in ("train", "valid")]
    for path, data in zip(paths, (text[:at], text[at:])):
        with open(path, "wb") as f:
            f.write(data)
    return paths


# ---- statistics ----

def interval(values):
    """Mean and half the width of its 95 % interval by Student's t; None of no values."""
    if not values:
        return None
    half = STUDENT[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    return statistics.mean(values), half


def paired(rows, figure, ours, theirs):
    """The differences of a figure between two arms with the same seed; an arm is a dictionary of keys."""
    def of(arm):
        return {r["seed"]: float(r[figure]) for r in rows if all(r[k] == str(v) for k, v in arm.items())}
    a, b = of(ours), of(theirs)
    return [a[s] - b[s] for s in sorted(a.keys() & b.keys())]


def verdict(differences):
    """In words, of differences where less is better."""
    if len(differences) < 2:
        return "not shown (fewer than two seeds)"
    mean, half = interval(differences)
    return "better" if mean + half < 0 else "worse" if mean - half > 0 else "no difference shown"


def cell(values, digits=3, sign=False):
    """Mean ± half of the interval, for a table."""
    if not values:
        return "–"
    mean, half = interval(values)
    return f"{mean:{'+' if sign else ''}.{digits}f}" + (f" ± {half:.{digits}f}" if half < math.inf else "")


def table(head, rows):
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines) + "\n"


def kept(rows, figure, **arm):
    """The values of a figure in an arm."""
    return [float(r[figure]) for r in rows if all(r[k] == str(v) for k, v in arm.items()) and r[figure] != ""]


# ---- figures ----

COLOURS = ["#e07b1a", "#1f6fd0", "#3f9b4f", "#8a5cc2", "#c23b5c", "#5a8a8a", "#8a7a1a", "#777777", "#1aa0c0", "#a04a1a", "#4a4ac0", "#a0508a"]


def svg(title, across, up, curves, log_x=False, log_y=False):
    """A figure as SVG: curves is {name: [(x, y), ...]}; light and dark."""
    width, height, left, right, top, bottom = 760, 340, 64, 640, 34, 296
    fx, fy = (math.log10 if log_x else float), (math.log10 if log_y else float)
    points = [(fx(x), fy(y)) for c in curves.values() for x, y in c]
    x0, x1, y0, y1 = (f(p[i] for p in points) for i in (0, 1) for f in (min, max))
    y0 = y0 if log_y else min(y0, 0)
    x1, y1 = (x1 if x1 > x0 else x0 + 1), (y1 if y1 > y0 else y0 + 1)

    def place(x, y):
        return left + (right - left) * (fx(x) - x0) / (x1 - x0), bottom - (bottom - top) * (fy(y) - y0) / (y1 - y0)

    def text(x, y, words, anchor, more=""):
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{words}</text>'
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="system-ui, sans-serif" font-size="13">',
           "<style>text { fill: #444 } .axis { stroke: #888 } @media (prefers-color-scheme: dark) { text { fill: #bbb } }</style>",
           text(left, 16, f"{title} ({up})", "start", ' font-weight="600"'), text((left + right) / 2, height - 6, across, "middle")]
    out += [f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}" class="axis"/><line x1="{left}" y1="{bottom}" x2="{left}" y2="{top}" class="axis"/>']
    for k in range(5):
        x, y = x0 + (x1 - x0) * k / 4, y0 + (y1 - y0) * k / 4
        out.append(text(left + (right - left) * k / 4, bottom + 18, f"{10 ** x if log_x else x:.4g}", "middle"))
        out.append(text(left - 6, bottom - (bottom - top) * k / 4 + 4, f"{10 ** y if log_y else y:.3g}", "end"))
    ends = sorted((place(*c[-1])[1], name) for name, c in curves.items())
    labels, last = {}, -math.inf
    for y, name in ends:
        labels[name] = last = max(y, last + 14)
    for colour, (name, curve) in zip(COLOURS, curves.items()):
        path = " L".join(f"{x:.1f} {y:.1f}" for x, y in (place(*p) for p in curve))
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = labels[name]
        out.append(f'<line x1="{right + 4}" y1="{y:.1f}" x2="{right + 16}" y2="{y:.1f}" stroke="{colour}" stroke-width="3"/>' + text(right + 20, y + 4, name, "start"))
    return "\n".join([*out, "</svg>"]) + "\n"


# ---- tasks that are made, and not found ----

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def recall_line(random_numbers, pairs, asked):
    """Associative recall: letters with digits, then some of the letters again, each of which has its digit after it."""
    letters = random_numbers.sample(LETTERS, pairs)
    digit = {x: random_numbers.choice("0123456789") for x in letters}
    return "".join(x + digit[x] for x in letters) + "?" + "".join(x + digit[x] for x in random_numbers.sample(letters, asked))


def copy_line(random_numbers, length):
    letters = "".join(random_numbers.choice(LETTERS) for _ in range(length))
    return letters + "=" + letters


def write_tasks(folder, lines, items, pairs, length, seed):
    """Writes tasks.txt, training lines of both kinds, and for each kind KIND.jsonl, the items, and KIND.json, the task."""
    numbers = random.Random(seed)
    both = (lambda: recall_line(numbers, numbers.randint(2, pairs), 2)), (lambda: copy_line(numbers, numbers.randint(1, length)))
    with open(os.path.join(folder, "tasks.txt"), "w") as f:
        f.writelines(both[i % 2]() + "\n" for i in range(lines))
    for kind in "recall", "copy":
        with open(os.path.join(folder, kind + ".jsonl"), "w") as f:
            for _ in range(items):
                line = recall_line(numbers, pairs, 1) if kind == "recall" else copy_line(numbers, length)
                at = len(line) - 1 if kind == "recall" else line.index("=") + 1
                f.write(json.dumps({"context": "\n" + line[:at], "answer": line[at:]}) + "\n")
        write_json(os.path.join(folder, kind + ".json"), {
            "task": kind, "about": "made for studies: " + kind, "data": [{"fields": ["context", "answer"]}],
            "context": "{context}", "continuation": "{answer}", "delimiter": ""})
