"""Holds a server under load, and says what it bears:  python tools/check_load.py build/lithe MODEL

Starts `lithe serve MODEL` and measures, with nothing but Python's library:
  streams    256 streams beside 1000 open connections: all end, all are the bytes of the request alone; /health stays quick
  company    one request alone and beside 64 others, in one piece and as a stream: the same text
  queue      what is beyond the queue is answered 429 with Retry-After, at once
  aborts     10 000 clients that leave: no descriptor is lost, and the memory is what was printed
  stop       SIGTERM while streams run: they end, and the exit status is 0
A line for each; the exit status is 1 if one of them failed.
"""
import argparse, asyncio, json, os, re, resource, signal, subprocess, sys, time

failures = 0


def say(name, ok, detail):
    global failures
    failures += not ok
    print(f"{'ok  ' if ok else 'FAIL'}  {name:10} {detail}", flush=True)


class Server:
    def __init__(self, lithe, model, *options):
        self.process = subprocess.Popen([lithe, "serve", model, "--port", "0", "--log-format", "none", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])
        while asyncio.run(ask(self.port, "/health"))[0] != 200:
            time.sleep(0.05)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self):
        return int(re.search(r"VmRSS:\s*(\d+)", open(f"/proc/{self.process.pid}/status").read())[1]) / 1024


async def opened(port):
    return await asyncio.open_connection("127.0.0.1", port)


async def send(w, path, body=None):
    data = json.dumps(body).encode() if body is not None else b""
    head = f"{'POST' if body is not None else 'GET'} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
    w.write(head.encode() + data)
    await w.drain()


async def ask(port, path, body=None):
    """Status, head, body of an answer."""
    r, w = await opened(port)
    await send(w, path, body)
    raw = await r.read()
    w.close()
    head, _, rest = raw.partition(b"\r\n\r\n")
    if b"chunked" in head:
        parts = []
        while rest:
            n, _, rest = rest.partition(b"\r\n")
            parts.append(rest[:int(n, 16)])
            rest = rest[int(n, 16) + 2:]
        rest = b"".join(parts)
    return int(head.split()[1]), head.decode(), rest.decode()


def text_of(body):
    if not body.startswith(("data:", ":")):          # a stream that waits begins with comments
        return "".join(c["text"] for c in json.loads(body)["choices"])
    events = [line[6:] for line in body.split("\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]", events[-1]
    return "".join(json.loads(e)["choices"][0]["text"] for e in events[:-1])


def request(i, **more):
    return {"prompt": f"Once upon a time, number {i}", "max_tokens": 48, "seed": i, **more}


async def streams(s, idle_count, stream_count):
    idle = [await opened(s.port) for _ in range(idle_count)]
    alone = [text_of((await ask(s.port, "/v1/completions", request(i)))[2]) for i in range(8)]
    delays, done = [], False

    async def health():
        while not done:
            began = time.time()
            status = (await ask(s.port, "/health"))[0]
            delays.append((time.time() - began) if status == 200 else 99)
            await asyncio.sleep(0.02)
    watch = asyncio.create_task(health())
    began = time.time()
    answers = await asyncio.gather(*(ask(s.port, "/v1/completions", request(i % 8, stream=True)) for i in range(stream_count)))
    seconds = time.time() - began
    done = True
    await watch
    same = sum(a[0] == 200 and text_of(a[2]) == alone[i % 8] for i, a in enumerate(answers))
    delays.sort()
    p99 = delays[int(0.99 * (len(delays) - 1))]
    say("streams", same == stream_count and p99 <= 0.1, f"{same} of {stream_count} streams beside {idle_count} connections right, in {seconds:.1f} s; /health 99 % within {1000 * p99:.0f} ms ({len(delays)} asked)")
    for _, w in idle:
        w.close()


async def company(s):
    one = request(7, logprobs=2)
    alone = (await ask(s.port, "/v1/completions", one))[2]
    others = [asyncio.create_task(ask(s.port, "/v1/completions", request(100 + i, max_tokens=20 + i % 50, stream=bool(i % 2)))) for i in range(64)]
    beside, stream = await asyncio.gather(ask(s.port, "/v1/completions", one), ask(s.port, "/v1/completions", {**one, "stream": True}))
    await asyncio.gather(*others)
    again = (await ask(s.port, "/v1/completions", one))[2]
    choices = [json.loads(x)["choices"] for x in (alone, beside[2], again)]
    say("company", choices[0] == choices[1] == choices[2] and text_of(stream[2]) == choices[0][0]["text"], "alone, beside 64 others, as a stream beside them, and after a prefix hit")


async def queue(s):
    running = [asyncio.create_task(ask(s.port, "/v1/completions", request(i, max_tokens=200, n=32, ignore_eos=True))) for i in range(8)]
    await asyncio.sleep(0.2)
    refused, slowest = 0, 0
    for i in range(20):
        began = time.time()
        r, w = await opened(s.port)
        await send(w, "/v1/completions", request(i))
        head = (await asyncio.wait_for(r.readuntil(b"\r\n\r\n"), 30)).decode() if not all(t.done() for t in running) else ""
        if " 429 " in head and "Retry-After:" in head:
            refused, slowest = refused + 1, max(slowest, time.time() - began)
        w.close()
    await asyncio.gather(*running)
    say("queue", refused > 0 and slowest <= 0.05, f"{refused} of 20 refused with 429 and Retry-After, the slowest within {1000 * slowest:.1f} ms")


async def aborts(s, cycles):
    await ask(s.port, "/health")
    before, memory = s.descriptors(), s.memory()

    async def leave(i):
        r, w = await opened(s.port)
        if i % 4 == 1:
            w.write(b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        elif i % 4 == 2:
            await send(w, "/v1/completions", request(i, max_tokens=400, stream=True))
            await r.readuntil(b"\r\n\r\n")
        elif i % 4 == 3:
            await send(w, "/v1/completions", request(i, max_tokens=400))
        w.transport.abort()
    for i in range(0, cycles, 50):
        await asyncio.gather(*(leave(k) for k in range(i, min(i + 50, cycles))), return_exceptions=True)
    for _ in range(200):
        if s.descriptors() <= before:
            break
        await asyncio.sleep(0.1)
    status = (await ask(s.port, "/v1/completions", request(1)))[0]
    say("aborts", s.descriptors() <= before and status == 200, f"{cycles} clients left; descriptors {before} -> {s.descriptors()}, memory {memory:.0f} -> {s.memory():.0f} MB")


async def stop(s):
    running = [asyncio.create_task(ask(s.port, "/v1/completions", request(i, stream=True))) for i in range(16)]
    await asyncio.sleep(0.1)
    s.process.send_signal(signal.SIGTERM)
    began = time.time()
    answers = await asyncio.gather(*running, return_exceptions=True)
    code = await asyncio.to_thread(s.process.wait, 20)
    ended = sum(not isinstance(a, Exception) and ("[DONE]" in a[2] or "error" in a[2]) for a in answers)
    say("stop", code == 0 and ended == 16 and time.time() - began <= 10, f"exit status {code} after {time.time() - began:.1f} s, {ended} of 16 streams ended in order")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("lithe"), p.add_argument("model")
    p.add_argument("--connections", type=int, default=1000), p.add_argument("--streams", type=int, default=256), p.add_argument("--aborts", type=int, default=10000)
    p.add_argument("options", nargs="*", help="more options of lithe serve, after --")
    a = p.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    s = Server(a.lithe, a.model, "--connections", "1500", "--queue", "400", *a.options)
    few = Server(a.lithe, a.model, "--parallel", "1", "--queue", "4", *a.options)

    async def all_of_it():
        await streams(s, a.connections, a.streams)
        await company(s)
        await queue(few)
        await aborts(s, a.aborts)
        await stop(s)
    asyncio.run(all_of_it())
    few.process.terminate()
    sys.exit(failures > 0)


main()
