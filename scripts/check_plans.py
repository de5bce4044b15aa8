#!/usr/bin/env python3
"""Plans random workloads with the program and checks every plan from outside.

Four parts, all from one seed:
1. Random workloads with everything the format has, planned by every policy at both
   granularities; check_plan.py judges each plan.
2. Chains of up to 6 layers and 5 identical jobs: the makespan of `joint` at granularity
   `job` must be the one that exact_makespan.py finds.
3. Chains, trees, series-parallel and other graphs of up to 6 layers and 4 jobs, with and without
   server times, executors, downlink, round trip, message overhead and encodings: at both
   granularities `exhaustive` must have the makespan that exact_makespan.py finds, and so must
   `joint` where it says that it is optimal; no lower bound may be above it.
4. The plans in testdata: the valid ones must pass, each tampered one must be refused.

    check_plans.py PROGRAM [--seed N] [--count N] [--chains N] [--small N]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction as F

import check_plan
import exact_makespan
from random_workloads import small_workloads, workloads

ROOT = pathlib.Path(__file__).resolve().parent.parent
POLICIES = ["local-only", "server-only", "partition-only", "schedule-only", "best-single",
            "adjacent", "joint"]


def exact(workload, granularity):
    """The least makespan of a small workload, in milliseconds."""
    return F(exact_makespan.best_makespan(workload, granularity), exact_makespan.NS)


class Run:
    def __init__(self, program, folder):
        self.program, self.folder, self.failures = program, pathlib.Path(folder), []
        self.plans = self.unproved = 0

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
        read = check_plan.load(path)
        for granularity in ("layer", "job"):
            makespans = {}
            for policy in POLICIES:
                plan, error = self.plan(path, policy, granularity)
                if plan is None:
                    self.fail(path, f"{policy} {granularity}: {error}")
                    continue
                found = check_plan.faults(read, plan)
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
        found, best = check_plan.faults(check_plan.load(path), plan), exact(workload, "job")
        if found or abs(plan["makespan_ms"] - best) > check_plan.TOLERANCE:
            self.fail(path, f"joint {float(plan['makespan_ms'])}, the best is {float(best)} {found}")
        return None

    def check_small(self, index, workload):
        path = self.write(f"small{index}", workload)
        read = check_plan.load(path)
        for granularity in ("layer", "job"):
            best = exact(workload, granularity)
            for policy in ("exhaustive", "joint"):
                plan, error = self.plan(path, policy, granularity)
                if plan is None:
                    self.fail(path, f"{policy} {granularity}: {error}")
                    continue
                found = check_plan.faults(read, plan)
                makespan, bound = plan["makespan_ms"], plan["lower_bound_ms"]
                is_best = abs(makespan - best) <= check_plan.TOLERANCE
                if policy == "joint" and not plan["optimal"]:
                    self.unproved += 1
                    is_best = makespan >= best - check_plan.TOLERANCE
                if found or not is_best or bound > best + check_plan.TOLERANCE:
                    self.fail(path, f"{policy} {granularity}: {float(makespan)}, bound "
                                    f"{float(bound)}, the best is {float(best)} {found}")

    def check_testdata(self):
        data = ROOT / "testdata"
        workload = check_plan.load(data / "workloads" / "two-jobs.json")
        path = data / "plans" / "two-jobs.json"
        found = check_plan.faults(workload, check_plan.load(path))
        if found:
            self.fail(path, f"refused: {found}")
        for path in sorted((data / "invalid" / "check").glob("*.json")):
            if not check_plan.faults(workload, check_plan.load(path)):
                self.fail(path, f"{path.name} is accepted")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the cutpoint program")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--chains", type=int, default=200)
    parser.add_argument("--small", type=int, default=200)
    args = parser.parse_args()
    mixed, chains = workloads(args.seed, args.count, args.chains)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        run = Run(args.program, folder)
        run.check_testdata()
        list(pool.map(run.check_everything, range(args.count), mixed))
        list(pool.map(run.check_chain, range(args.chains), chains))
        small = small_workloads(args.seed, args.small)
        list(pool.map(run.check_small, range(args.small), small))
    print(f"seed {args.seed}: {args.count} workloads, {args.chains} chains and {args.small} small "
          f"workloads, {run.plans} plans checked, {len(run.failures)} failures; {run.unproved} "
          "plans of small workloads do not say whether they are optimal")
    for failure in run.failures[:5]:
        print(failure)
    sys.exit(1 if run.failures else 0)


if __name__ == "__main__":
    main()
