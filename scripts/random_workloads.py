"""Random workloads with everything that the format has, and small ones for exhaustive search.

check_plans.py plans and checks them.
"""

import random


def random_ms(rng):
    return rng.choice([0, rng.randint(0, 20), round(rng.uniform(0, 20), rng.randint(1, 6))])


def random_size(rng):
    size = rng.choice([0, rng.randint(1, 2000), rng.randint(1, 300_000)])
    encodings = {
        f"form{i}": {"bytes": rng.randint(0, size), "encode_ms": random_ms(rng) / 10,
                     "decode_ms": random_ms(rng) / 20}
        for i in range(rng.choice([0, 0, 1, 2]))
    }
    return {"bytes": size, "encodings": encodings} if encodings or rng.random() < 0.1 else size


def random_model(rng):
    inputs = [f"in{i}" for i in range(rng.choice([1, 1, 2, 3]))]
    tensors, layers = list(inputs), []
    is_chain = rng.random() < 0.4
    for i in range(rng.randint(1, 9)):
        last = [tensors[-1]] if is_chain else rng.sample(tensors, min(len(tensors), rng.randint(1, 2)))
        written = [f"t{i}_{k}" for k in range(1 if is_chain else rng.choice([1, 1, 1, 2]))]
        layer = {"name": f"layer{i}", "reads": last, "device_ms": random_ms(rng),
                 "writes": {t: random_size(rng) for t in written}}
        if rng.random() < 0.8:
            layer["server_ms"] = random_ms(rng) / 8
        layers.append(layer)
        tensors += written
    model = {"inputs": {t: random_size(rng) for t in inputs}, "layers": layers}
    if rng.random() < 0.3:
        produced = tensors[len(inputs):]
        model["outputs"] = rng.sample(produced, rng.randint(1, min(3, len(produced))))
    rng.shuffle(layers)
    return model


def random_link(rng, uplink_mbps, **further):
    """A link on which each further thing, with its chance and values, is there or not."""
    found = {name: rng.choice(values) for name, (chance, values) in further.items() if rng.random() < chance}
    return {"uplink_mbps": uplink_mbps, **found}


def with_executors(rng, workload, counts):
    """The workload with a number of executors, unless it is none."""
    executors = rng.choice(counts)
    return workload if executors is None else {**workload, "server": {"executors": executors}}


def random_workload(rng):
    models = {f"model{i}": random_model(rng) for i in range(rng.randint(1, 3))}
    link = random_link(
        rng, rng.choice([0.5, 1.1, 5.85, 18.88, 100]), downlink_mbps=(0.5, [2.0, 40.0]),
        rtt_ms=(0.5, [1, 5.0, 40, 0.000003]), message_overhead_ms=(0.4, [0.1, 2]))
    jobs = [{"model": rng.choice(list(models)), "count": rng.randint(1, 6)} for _ in range(rng.randint(1, 3))]
    workload = {"schema": "cutpoint.workload/1", "link": link, "models": models, "jobs": jobs}
    return with_executors(rng, workload, [None, 0, 1, 2, 3])


def random_chain(rng):
    """A chain and identical jobs in the paper's model: two machines, no delays."""
    count = rng.randint(1, 6)
    names = ["in"] + [f"t{i}" for i in range(count)]
    layers = [{"name": f"layer{i}", "reads": [names[i]], "writes": {names[i + 1]: rng.randint(0, 20) * 1000},
               "device_ms": rng.randint(0, 15)} for i in range(count)]
    return {"schema": "cutpoint.workload/1", "link": {"uplink_mbps": 8},
            "models": {"chain": {"inputs": {"in": rng.randint(1, 30) * 1000}, "layers": layers}},
            "jobs": [{"model": "chain", "count": rng.randint(1, 5)}]}


SHAPES = ("chain", "out-tree", "in-tree", "series-parallel", "dag")


def reads_of_shape(rng, shape, count):
    """For each layer, the earlier layers that it reads from."""
    if shape == "chain":
        return [[i - 1] if i else [] for i in range(count)]
    if shape == "out-tree":
        return [[rng.randrange(i)] if i else [] for i in range(count)]
    if shape == "dag":
        return [sorted(rng.sample(range(i), rng.randint(min(i, 1), min(i, 3)))) for i in range(count)]
    reads, loose = [], []  # layers that none has read yet
    for i in range(count):
        if shape == "in-tree":
            taken = rng.sample(loose, rng.randint(0, min(2, len(loose))))
            taken = list(loose) if i == count - 1 else taken
        else:
            # Branches fan out from the last join and come together in the next one.
            is_join = len(loose) > 1 and rng.random() < 0.4 or i == count - 1
            taken = list(loose) if is_join else loose[-1:] if rng.random() < 0.5 else reads[-1][:1] if reads else []
        loose = [l for l in loose if l not in taken] + [i]
        reads.append(sorted(taken))
    return reads


def small_time(rng, most):
    """Milliseconds with three digits: whole microseconds; now and then none."""
    return 0 if rng.random() < 0.1 else rng.randint(1, most * 100) / 100


def small_model(rng, shape, has_server, has_encodings):
    count = rng.randint(1, 6)

    def size():
        size = rng.choice([0, rng.randint(1, 8000), rng.randint(1, 20_000)])
        if has_encodings and rng.random() < 0.3:
            form = {"bytes": rng.randint(0, size), "encode_ms": small_time(rng, 2),
                    "decode_ms": small_time(rng, 1)}
            return {"bytes": size, "encodings": {"form": form}}
        return size

    layers = []
    for i, reads in enumerate(reads_of_shape(rng, shape, count)):
        layer = {"name": f"layer{i}", "reads": [f"t{r}" for r in reads] or ["in"],
                 "device_ms": small_time(rng, 12), "writes": {f"t{i}": size()}}
        if has_server:
            layer["server_ms"] = small_time(rng, 6)
        layers.append(layer)
    return {"inputs": {"in": rng.randint(1, 25_000)}, "layers": layers}


def random_small(rng):
    """Up to four jobs of up to six layers, each part of the model on or off (a byte takes 1 us)."""
    shape = rng.choice(SHAPES)
    has_server, has_encodings = rng.random() < 0.6, rng.random() < 0.4
    names = [f"model{i}" for i in range(rng.randint(1, 2))]
    models = {name: small_model(rng, shape, has_server, has_encodings) for name in names}
    link = random_link(
        rng, 8, downlink_mbps=(0.4, [4, 16]), rtt_ms=(0.5, [0.5, 4, 20]), message_overhead_ms=(0.4, [0.25, 2]))
    jobs = [{"model": name, "count": rng.randint(1, 4 // len(names))} for name in names]
    workload = {"schema": "cutpoint.workload/1", "link": link, "models": models, "jobs": jobs}
    return with_executors(rng, workload, [None, 0, 1, 1, 2, 2])


def workloads(seed, count, chains):
    """A list of random workloads and a list of chains; the same for the same seed."""
    rng = random.Random(seed)
    return ([random_workload(rng) for _ in range(count)], [random_chain(rng) for _ in range(chains)])


def small_workloads(seed, count):
    """A list of small workloads; the same for the same seed, and its beginning for any count."""
    rng = random.Random(f"small {seed}")
    return [random_small(rng) for _ in range(count)]
