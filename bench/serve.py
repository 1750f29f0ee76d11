"""Chats together, on one server after the other:  python bench/serve.py MODEL.gguf [--chats 8,32] -- COMMAND... [-- COMMAND...]

Each COMMAND starts a server that speaks OpenAI's /v1/completions at the port that stands for {port} in it, and is stopped
when it was measured; {n} is the number of chats, {model} the model.  Servers take turns, --runs times.  Every chat sends a prompt
of its own of about --prompt tokens and reads a stream of --tokens; all begin together.  Printed is one CSV line a run:

    server, chats, seconds, tokens a second of all, median and largest time to the first token, peak MiB

With --prefix each server is also asked the same long prompt twice, and with --overhead one chat alone is timed, to be held beside
the engine's own rate (lithe bench).  Nothing but Python's library is needed.
"""
import argparse, asyncio, json, random, re, shlex, signal, socket, statistics, subprocess, sys, time, urllib.request

WORDS = "the a of and to in it was he she they house river old small light water tree road night day hand eye stone green far went saw came gave took long way home".split()


def prompt(seed, tokens):
    pick = random.Random(seed)
    return " ".join(pick.choice(WORDS) for _ in range(tokens))


class Server:
    def __init__(self, command, model, n):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.name = command.split()[0].rsplit("/", 1)[-1]
        words = shlex.split(command.format(port=self.port, n=n, model=model))
        self.process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended with {self.process.returncode}")
            try:
                if urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).status == 200:
                    return
            except OSError:
                time.sleep(0.1)

    def peak(self):
        return int(re.search(r"VmHWM:\s*(\d+)", open(f"/proc/{self.process.pid}/status").read())[1]) // 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


async def chat(port, text, tokens):
    """Seconds to the first token, and how many came."""
    body = json.dumps({"model": MODEL, "prompt": text, "max_tokens": tokens, "temperature": 0, "stream": True, "ignore_eos": True, "cache_prompt": True}).encode()
    r, w = await asyncio.open_connection("127.0.0.1", port)
    w.write(f"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    await w.drain()
    began, first, came = time.time(), None, 0
    while line := await r.readline():
        if line.startswith(b"HTTP/1.1 ") and b" 200 " not in line:
            sys.exit(f"the server answers {line.decode().strip()}: {(await r.read()).decode()[:300]}")
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        if event.get("choices") and not event["choices"][0].get("finish_reason"):
            came += 1
            first = first or time.time() - began
    w.close()
    return first or time.time() - began, came


async def together(port, n, options, seed):
    began = time.time()
    got = await asyncio.gather(*(chat(port, prompt(seed + i, options.prompt), options.tokens) for i in range(n)))
    return time.time() - began, got


def main():
    global MODEL
    arguments, commands = sys.argv[1:], []
    while "--" in arguments:
        i = len(arguments) - 1 - arguments[::-1].index("--")
        commands.insert(0, " ".join(arguments[i + 1:]))
        arguments = arguments[:i]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--name", default="", help="the model's name in requests")
    p.add_argument("--chats", default="8,32")
    p.add_argument("--prompt", type=int, default=100)
    p.add_argument("--tokens", type=int, default=64)
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--prefix", type=int, default=0, help="tokens of a prompt that is sent twice")
    p.add_argument("--overhead", action="store_true")
    options = p.parse_args(arguments)
    MODEL = options.name or options.model.rsplit("/", 1)[-1].removesuffix(".gguf")
    print("server,chats,seconds,tokens/s,median first,worst first,peak MiB", flush=True)
    for n in map(int, options.chats.split(",")):
        for run in range(options.runs):
            for command in commands:
                s = Server(command, options.model, n)
                asyncio.run(chat(s.port, prompt(999, 8), 4))
                seconds, got = asyncio.run(together(s.port, n, options, 1000 * run))
                firsts = [g[0] for g in got]
                print(f"{s.name},{n},{seconds:.2f},{sum(g[1] for g in got) / seconds:.1f},{statistics.median(firsts):.2f},{max(firsts):.2f},{s.peak()}", flush=True)
                if options.overhead and n == 1:
                    rates = []
                    for i in range(5):
                        first, came = 0, 0
                        began = time.time()
                        first, came = asyncio.run(chat(s.port, prompt(5 + i, 8), options.tokens))
                        rates.append((came - 1) / (time.time() - began - first))
                    print(f"# {s.name}: one chat after its first token: {statistics.median(rates):.2f} tokens/s", flush=True)
                if options.prefix:
                    text = prompt(7, options.prefix)
                    once = asyncio.run(chat(s.port, text, 1))[0]
                    again = asyncio.run(chat(s.port, text, 1))[0]
                    print(f"# {s.name}: a prompt of {options.prefix} words: {once:.3f} s, again {again:.3f} s ({100 * again / once:.1f} %)", flush=True)
                s.stop()


main()
