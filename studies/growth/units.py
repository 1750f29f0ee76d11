"""The share of units that have an equal one in a safetensors file: another unit reads and writes in the same direction."""
import json, math, operator, re, struct

EQUAL = 0.999


def read(path):
    """Tensors as lists of rows; vectors and other shapes are left out."""
    with open(path, "rb") as f:
        data = f.read()
    begin = 8 + struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, t in json.loads(data[8:begin]).items():
        if name == "__metadata__" or len(t["shape"]) != 2:
            continue
        rows, columns = t["shape"]
        first, last = t["data_offsets"]
        values = struct.unpack(f"<{rows * columns}f", data[begin + first:begin + last])
        tensors[name] = [values[r * columns:(r + 1) * columns] for r in range(rows)]
    return tensors


def columns(matrix):
    return [list(c) for c in zip(*matrix)]


def beside(*parts):
    """Joins vectors of the same unit: parts are lists with one vector for each unit."""
    return [[x for v in vectors for x in v] for vectors in zip(*parts)]


def named(tensors, pattern):
    return [tensors[n] for n in sorted(tensors) if re.search(pattern, n)]


def groups(tensors, arch, size):
    """Groups of units as (what each reads, what each writes); units of different groups are not compared."""
    if size == "slots":
        keys, values = named(tensors, "key_param_tokens"), named(tensors, "value_param_tokens")
        return list(zip(keys, values))
    if size == "inner" and arch == "llama":
        return [(beside(g, u), columns(d)) for g, u, d in zip(named(tensors, "gate_proj"), named(tensors, "up_proj"), named(tensors, "down_proj"))]
    if size == "inner":
        return [(k, columns(v)) for k, v in zip(named(tensors, r"ffn\.key"), named(tensors, r"ffn\.value"))]
    reads = {"llama": r"(q|k|v|gate|up)_proj", "rwkv7": r"(receptance|key|att\.value)\.weight", "tokenformer": "(query|key|value|mlp).key_param_tokens"}
    writes = {"llama": r"(o|down)_proj", "rwkv7": r"(output|ffn\.value)\.weight", "tokenformer": "(proj|mlp).value_param_tokens"}
    if size == "width":      # channels: columns of what reads them, columns of the embedding
        return [(beside(*map(columns, named(tensors, reads[arch]))), columns(named(tensors, "emb")[0]))]
    layers = sorted({n.split(".")[1 + n.startswith("model.")] for n in tensors if re.search(reads[arch], n)}, key=int)
    flat = lambda layer, kind: [x for m in named(tensors, rf"\.{layer}\..*{kind[arch]}") for row in m for x in row]
    return [([flat(i, reads) for i in layers], [flat(i, writes) for i in layers])]


def directions(vectors):
    lengths = [math.sqrt(sum(map(operator.mul, v, v))) for v in vectors]
    return [[x / n for x in v] if n else v for v, n in zip(vectors, lengths)], [n == 0 for n in lengths]


def alike(part, i, j):
    vectors, empty = part
    return empty[i] and empty[j] or sum(map(operator.mul, vectors[i], vectors[j])) > EQUAL


def equal_share(path, arch, size):
    found = count = 0
    for reads, writes in groups(read(path), arch, size):
        reads, writes = directions(reads), directions(writes)
        n = len(reads[1])
        pairs = [(i, j) for i in range(n) for j in range(i) if alike(reads, i, j) and alike(writes, i, j)]
        found += len({u for pair in pairs for u in pair})
        count += n
    return round(found / count, 4)
