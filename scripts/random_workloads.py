#!/usr/bin/env python3
"""Plans random workloads with the program and checks every plan from outside.

Three parts, all from one seed:
1. Random workloads with everything the format has, planned by every policy at both
   granularities; check_plan.py judges each plan.
2. Chains of up to 6 layers and 5 identical jobs: the makespan of `joint` at granularity
   `job` must equal the best of an exhaustive search over all cuts and orders.
3. The plans in testdata: the valid ones must pass, each tampered one must be refused.

    random_workloads.py PROGRAM [--seed N] [--count N] [--chains N] [--write DIR]

With --write, the workloads are only written to a folder.
"""

import argparse
import itertools
import json
import pathlib
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction as F

import check_plan

ROOT = pathlib.Path(__file__).resolve().parent.parent
POLICIES = ["local-only", "server-only", "partition-only", "schedule-only", "best-single",
            "adjacent", "joint"]
EXACT = 1e-5  # milliseconds: the search below computes in floating point


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


def random_workload(rng):
    models = {f"model{i}": random_model(rng) for i in range(rng.randint(1, 3))}
    link = {"uplink_mbps": rng.choice([0.5, 1.1, 5.85, 18.88, 100])}
    if rng.random() < 0.5:
        link["downlink_mbps"] = rng.choice([2.0, 40.0])
    if rng.random() < 0.5:
        link["rtt_ms"] = rng.choice([1, 5.0, 40, 0.000003])
    if rng.random() < 0.4:
        link["message_overhead_ms"] = rng.choice([0.1, 2])
    workload = {"schema": "cutpoint.workload/1", "link": link, "models": models, "jobs": [
        {"model": rng.choice(list(models)), "count": rng.randint(1, 6)}
        for _ in range(rng.randint(1, 3))]}
    executors = rng.choice([None, 0, 1, 2, 3])
    if executors is not None:
        workload["server"] = {"executors": executors}
    return workload


def random_chain(rng):
    """A chain and identical jobs in the paper's model: two machines, no delays."""
    count = rng.randint(1, 6)
    names = ["in"] + [f"t{i}" for i in range(count)]
    layers = [{"name": f"layer{i}", "reads": [names[i]], "writes": {names[i + 1]: rng.randint(0, 20) * 1000},
               "device_ms": rng.randint(0, 15)} for i in range(count)]
    return {"schema": "cutpoint.workload/1", "link": {"uplink_mbps": 8},
            "models": {"chain": {"inputs": {"in": rng.randint(1, 30) * 1000}, "layers": layers}},
            "jobs": [{"model": "chain", "count": rng.randint(1, 5)}]}


def best_makespan(workload):
    """The least makespan over all cuts of all jobs and all orders (one byte takes 1 us)."""
    chain = workload["models"]["chain"]
    sizes = [chain["inputs"]["in"]] + [next(iter(l["writes"].values())) for l in chain["layers"]]
    stages, compute = [], 0
    for k in range(len(chain["layers"]) + 1):
        sent = sizes[k] / 1000 if k < len(chain["layers"]) else 0
        stages.append((compute, sent))
        if k < len(chain["layers"]):
            compute += chain["layers"][k]["device_ms"]
    best = float("inf")
    for order in itertools.product(stages, repeat=workload["jobs"][0]["count"]):
        device = uplink = 0
        for compute, sent in order:
            device += compute
            # A job that sends nothing does not wait for the uplink.
            uplink = max(uplink, device) + sent if sent else uplink
        best = min(best, max(device, uplink))
    return best


class Run:
    def __init__(self, program, folder):
        self.program, self.folder, self.failures, self.plans = program, pathlib.Path(folder), [], 0

    def write(self, name, workload):
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(workload, indent=1))
        return path

    def plan(self, path, policy, granularity):
        """The plan, or the last line of the error."""
        command = [self.program, "plan", path, "--policy", policy, "--granularity", granularity,
                   "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None, done.stderr.strip()
        self.plans += 1
        return json.loads(done.stdout, parse_float=F, parse_int=F), None

    def fail(self, path, text):
        self.failures.append(f"{text}\n{path.read_text()}")

    def check_everything(self, index, workload):
        path = self.write(f"workload{index}", workload)
        exact = check_plan.load(path)
        for granularity in ("layer", "job"):
            makespans = {}
            for policy in POLICIES:
                plan, error = self.plan(path, policy, granularity)
                if plan is None:
                    self.fail(path, f"{policy} {granularity}: {error}")
                    continue
                found = check_plan.faults(exact, plan)
                if found or plan["policy"] != policy or plan["granularity"] != granularity:
                    self.fail(path, f"{policy} {granularity}: {found}")
                makespans[policy] = plan["makespan_ms"]
                if plan["lower_bound_ms"] > min(makespans.values()) + check_plan.TOLERANCE:
                    self.fail(path, f"{policy} {granularity}: a bound above another policy's plan")
            if makespans.get("joint", 0) > min(makespans.values(), default=0):
                self.fail(path, f"joint {granularity} is behind: {makespans}")

    def check_chain(self, index, workload):
        path = self.write(f"chain{index}", workload)
        plan, error = self.plan(path, "joint", "job")
        if plan is None:
            return self.fail(path, f"joint: {error}")
        found = check_plan.faults(check_plan.load(path), plan)
        best = best_makespan(workload)
        if found or abs(float(plan["makespan_ms"]) - best) > EXACT:
            self.fail(path, f"joint {float(plan['makespan_ms'])}, exhaustive {best} {found}")
        return None

    def check_testdata(self):
        data = ROOT / "testdata"
        workload = check_plan.load(data / "workloads" / "two-jobs.json")
        path = data / "plans" / "two-jobs.json"
        found = check_plan.faults(workload, check_plan.load(path))
        if found:
            self.fail(path, f"refused: {found}")
        # "lower-bound--..." needs a plan to compare with that check_plan.py does not make.
        for path in sorted((data / "invalid" / "check").glob("*.json")):
            if not check_plan.faults(workload, check_plan.load(path)):
                self.fail(path, f"{path.name} is accepted")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", help="the cutpoint program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--chains", type=int, default=200)
    parser.add_argument("--write", help="only write the workloads, to this folder")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    workloads = [random_workload(rng) for _ in range(args.count)]
    chains = [random_chain(rng) for _ in range(args.chains)]
    if args.write:
        run = Run(None, args.write)
        run.folder.mkdir(parents=True, exist_ok=True)
        for i, workload in enumerate(workloads):
            run.write(f"workload{i}", workload)
        for i, workload in enumerate(chains):
            run.write(f"chain{i}", workload)
        return
    if not args.program:
        parser.error("which program?")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        run = Run(args.program, folder)
        run.check_testdata()
        list(pool.map(run.check_everything, range(args.count), workloads))
        list(pool.map(run.check_chain, range(args.chains), chains))
    print(f"seed {args.seed}: {args.count} workloads and {args.chains} chains, "
          f"{run.plans} plans checked, {len(run.failures)} failures")
    for failure in run.failures[:5]:
        print(failure)
    sys.exit(1 if run.failures else 0)


if __name__ == "__main__":
    main()
