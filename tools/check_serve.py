#!/usr/bin/env python3
"""Calls every route of a running `lithe serve` with the official openai client (pip install openai), and the others
with urllib, and checks the answers:  check_serve.py URL [KEY].  The served models may be of any kind; what a model
does not do is left out and said."""
import base64
import json
import struct
import sys
import urllib.error
import urllib.request

import openai

URL = sys.argv[1].rstrip("/")
KEY = sys.argv[2] if len(sys.argv) > 2 else "none"
client = openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=120)
failures = 0


def check(what, ok, detail=""):
    global failures
    failures += not ok
    print(f"{'ok' if ok else 'FAILED':8}{what} {detail if not ok else ''}")


def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, {"Content-Type": "application/json", "Authorization": "Bearer " + KEY})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read().decode()
            return answer.status, json.loads(text) if answer.headers["Content-Type"].startswith("application/json") else text
    except urllib.error.HTTPError as e:
        return e.code, json.loads(e.read().decode())


def continues(model):
    how = dict(model=model, prompt="Once upon a time", max_tokens=12, seed=3, temperature=0.9)
    whole = client.completions.create(**how, logprobs=3)
    choice = whole.choices[0]
    check("completions", choice.finish_reason in ("length", "stop") and whole.usage.completion_tokens == len(choice.logprobs.tokens), whole)
    stream = list(client.completions.create(**how, stream=True, stream_options={"include_usage": True}))
    check("completions, stream", "".join(c.choices[0].text for c in stream if c.choices) == choice.text and stream[-1].usage == whole.usage, stream[-1])
    several = client.completions.create(model=model, prompt=["One", "Two"], n=2, max_tokens=3)
    check("completions, several", [c.index for c in several.choices] == [0, 1, 2, 3])
    status, ids = call("/tokenize", {"model": model, "prompt": "Once upon a time", "add_special_tokens": False})
    scored = client.completions.create(model=model, prompt=[ids["tokens"]], max_tokens=1, temperature=0, logprobs=1, echo=True, seed=1234)
    lists = scored.choices[0].logprobs
    right = len(lists.token_logprobs) == len(ids["tokens"]) + 1 and lists.token_logprobs[0] is None and lists.top_logprobs[0] is None
    check("completions, echo", right and all(max(top.values()) >= own for own, top in zip(lists.token_logprobs[1:], lists.top_logprobs[1:])), lists)
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    how = dict(model=model, messages=messages, max_tokens=10, seed=5)
    reply = client.chat.completions.create(**how, logprobs=True, top_logprobs=2)
    check("chat", reply.choices[0].message.role == "assistant" and all(len(t.top_logprobs) == 2 for t in reply.choices[0].logprobs.content), reply)
    chunks = list(client.chat.completions.create(**how, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    check("chat, stream", text == (reply.choices[0].message.content or "") and chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices[0].finish_reason, text)
    check("apply-template", "Hello" in call("/apply-template", {"model": model, "messages": messages})[1]["prompt"])


def embeds(model):
    plain = client.embeddings.create(model=model, input=["a text", "another"], encoding_format="float")
    vectors = [d.embedding for d in plain.data]
    check("embeddings", len(vectors) == 2 and abs(sum(x * x for x in vectors[0]) - 1) < 1e-5)
    usual = client.embeddings.create(model=model, input="a text")                      # base64, by the client's default
    check("embeddings, base64", max(abs(x - y) for x, y in zip(usual.data[0].embedding, vectors[0])) < 1e-6)
    raw = call("/v1/embeddings", {"model": model, "input": "a text", "encoding_format": "base64", "dimensions": 4})[1]["data"][0]["embedding"]
    part = struct.unpack("<4f", base64.b64decode(raw))
    check("embeddings, dimensions", abs(sum(x * x for x in part) - 1) < 1e-5)
    check("embed", len(call("/embed", {"model": model, "inputs": ["a", "b"]})[1]) == 2)


def labels(model, task):
    status, classes = call("/predict", {"model": model, "inputs": "a text"})
    check("predict", status == 200 and all(set(c) == {"score", "label"} for c in classes), classes)
    if task == "regress" or len(classes) == 2:
        status, ranks = call("/rerank", {"model": model, "query": "a", "texts": ["b", "c"]})
        check("rerank", status == 200 and {r["index"] for r in ranks} == {0, 1} and ranks[0]["score"] >= ranks[1]["score"], ranks)


def refuses(model):
    for what, error, how in (("an unknown model", openai.NotFoundError, dict(model="no-such-model", prompt="a")),
                             ("a wrong type", openai.BadRequestError, dict(model=model, prompt="a", extra_body={"temperature": "hot"}))):
        try:
            client.completions.create(**how)
            check(what, False)
        except error as e:
            check(what, bool(e.body and e.body.get("message")), e)


for path in ("/health", "/livez", "/readyz", "/v1/health"):
    check(path, call(path)[0] == 200)
for m in client.models.list().data:
    print(f"--- {m.id}: {m.meta['arch']}, {m.meta['task']}")
    check("models", client.models.retrieve(m.id).id == m.id)
    tokens = call("/tokenize", {"model": m.id, "prompt": "test", "add_special_tokens": False})[1]["tokens"]
    check("tokenize, detokenize", call("/detokenize", {"model": m.id, "tokens": tokens})[1]["prompt"].strip() == "test", tokens)
    if m.meta["slots"]:
        continues(m.id)
    else:
        print("        it does not continue texts")
    embeds(m.id)
    if m.meta["task"] in ("classify", "regress"):
        labels(m.id, m.meta["task"])
    refuses(m.id)
check("/tokenizer_info", "eos_token" in call("/tokenizer_info")[1])
check("/metrics", "lithe_requests_total{" in call("/metrics")[1])
print(f"{failures} failed")
sys.exit(failures > 0)
