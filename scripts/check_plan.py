#!/usr/bin/env python3
"""Checks plan.json against workload.json by the rules of docs/formats.md.

An outside checker: standard library only, nothing shared with the Rust code, exact
fractions instead of whole nanoseconds. A time may be off by 2 ns, since planners round
every operation to whole nanoseconds.

    check_plan.py WORKLOAD PLAN     exit code 0 for a valid plan, else 1
"""

import argparse
import json
import sys
from fractions import Fraction as F

TOLERANCE = F(2, 10**6)  # milliseconds


def load(path):
    """A JSON file with its numbers as they are written, without floating point."""
    with open(path, encoding="utf-8") as file:
        return json.load(file, parse_float=F, parse_int=F)


class Model:
    def __init__(self, description):
        self.layers = {layer["name"]: layer for layer in description["layers"]}
        self.inputs = set(description["inputs"])
        self.size = {}  # tensor -> (bytes, {encoding: (bytes, encode_ms, decode_ms)})
        self.producer = {}
        self.readers = {}
        for name, size in description["inputs"].items():
            self.add_tensor(name, size)
        for layer in description["layers"]:
            for name, size in layer.get("writes", {}).items():
                self.add_tensor(name, size)
                self.producer[name] = layer["name"]
        for layer in description["layers"]:
            for name in layer.get("reads", []):
                self.readers.setdefault(name, set()).add(layer["name"])
        unread = [t for t in self.producer if t not in self.readers]
        self.outputs = set(description.get("outputs", unread))

    def add_tensor(self, name, size):
        if isinstance(size, dict):
            encodings = {
                e: (v["bytes"], v.get("encode_ms", F(0)), v.get("decode_ms", F(0)))
                for e, v in size.get("encodings", {}).items()
            }
            self.size[name] = (size["bytes"], encodings)
        else:
            self.size[name] = (size, {})

    def needed_before(self, layer):
        """Layers that write what `layer` reads."""
        reads = self.layers[layer].get("reads", [])
        return {self.producer[t] for t in reads if t in self.producer}

    def frontier(self, on_device):
        off_device = set(self.layers) - on_device
        return {
            t
            for t in self.size
            if (t in self.inputs or self.producer[t] in on_device)
            and self.readers.get(t, set()) & off_device
        }


class Checker:
    def __init__(self, workload, plan):
        self.plan, self.faults = plan, []
        link = workload["link"]
        self.uplink = link["uplink_mbps"]
        self.downlink = link.get("downlink_mbps")
        self.half = link.get("rtt_ms", F(0)) / 2
        self.overhead = link.get("message_overhead_ms", F(0))
        self.executors = workload.get("server", {}).get("executors", F(0))
        self.models = {name: Model(m) for name, m in workload["models"].items()}
        self.jobs = [
            run["model"] for run in workload["jobs"] for _ in range(int(run.get("count", 1)))
        ]

    def fault(self, place, text):
        self.faults.append(f"{place}: {text}")

    def check(self):
        plan = self.plan
        if plan["schema"] != "cutpoint.plan/1":
            self.fault("schema", plan["schema"])
        if plan["granularity"] not in ("layer", "job"):
            self.fault("granularity", plan["granularity"])
        if [job["job"] for job in plan["jobs"]] != list(range(len(self.jobs))):
            self.fault("jobs", "not one entry for each job, in order")
            return self.faults
        self.check_keys()
        operations = {}
        for machine in ("device", "uplink", "server", "downlink"):
            for op in plan["schedule"][machine]:
                if op["job"] not in range(len(self.jobs)):
                    self.fault(machine, f"operation of unknown job {op['job']}")
                operations.setdefault((machine, int(op["job"])), []).append(op)
            self.check_machine(machine, plan["schedule"][machine])
        for j, entry in enumerate(plan["jobs"]):
            Job(self, j, entry, lambda machine, j=j: operations.get((machine, j), [])).check()
        self.check_numbers()
        return self.faults

    def check_keys(self):
        def keys(place, values, allowed, optional=()):
            for value in values:
                found = set(value)
                if not set(allowed) <= found or not found <= set(allowed) | set(optional):
                    self.fault(place, f"keys {sorted(found)}, expected {sorted(allowed)}")

        plan, schedule = self.plan, self.plan["schedule"]
        keys("plan", [plan], ("schema", "policy", "granularity", "makespan_ms", "lower_bound_ms", "gap",
             "optimal", "jobs", "schedule"))
        keys("jobs", plan["jobs"], ("job", "model", "device_layers", "uploads", "completion_ms"))
        keys("uploads", (upload for job in plan["jobs"] for upload in job["uploads"]), ("tensor",), ("encoding",))
        keys("schedule", [schedule], ("device", "uplink", "server", "downlink"))
        for what in ("encode", "layer"):
            meant = [op for op in schedule["device"] if ("encode" in op) == (what == "encode")]
            keys("device", meant, ("job", what, "start_ms", "end_ms"))
        keys("uplink", schedule["uplink"], ("job", "tensor", "start_ms", "end_ms"))
        keys("blocks", schedule["server"] + schedule["downlink"], ("job", "start_ms", "end_ms"))

    def check_machine(self, machine, operations):
        capacity = self.executors if machine == "server" else 1
        for op in operations:
            if op["start_ms"] < 0 or op["end_ms"] < op["start_ms"]:
                self.fault(machine, f"job {op['job']} runs backwards")
        if capacity == 0:
            return
        running = []
        for op in sorted(operations, key=lambda op: (op["start_ms"], op["end_ms"])):
            running = [end for end in running if end > op["start_ms"] + TOLERANCE]
            running.append(op["end_ms"])
            if len(running) > capacity:
                self.fault(machine, f"{len(running)} at once at {float(op['start_ms'])}")

    def check_numbers(self):
        plan = self.plan
        makespan, bound = plan["makespan_ms"], plan["lower_bound_ms"]
        last = max((job["completion_ms"] for job in plan["jobs"]), default=F(0))
        if abs(makespan - last) > TOLERANCE:
            self.fault("plan", f"makespan is {float(makespan)}, expected {float(last)}")
        if bound > makespan + TOLERANCE:
            self.fault("plan", "the lower bound is above the makespan")
        everything_here = sum(
            layer["device_ms"] for name in self.jobs for layer in self.models[name].layers.values()
        )
        if bound > everything_here + len(self.jobs) * TOLERANCE:
            self.fault("plan", "the lower bound is above what the device alone takes")
        if bound > 0 and abs(plan["gap"] - (makespan - bound) / bound) > F(51, 10**6):
            self.fault("plan", f"gap {float(plan['gap'])}")
        if plan["optimal"] and makespan > bound + TOLERANCE:
            self.fault("plan", "optimal with a gap")


class Unfit(Exception):
    """What makes it pointless to look at the rest of a job."""


class Job:
    """A job's entry in a plan and its operations."""

    def __init__(self, checker, number, entry, operations):
        self.checker, self.entry, self.operations = checker, entry, operations
        self.place, self.name = f"job {number}", checker.jobs[number]
        self.model = checker.models[self.name]
        self.on_device = set(entry["device_layers"])
        self.off_device = set(self.model.layers) - self.on_device
        self.encoding = {upload["tensor"]: upload.get("encoding") for upload in entry["uploads"]}

    def fault(self, text):
        self.checker.fault(self.place, text)

    def same(self, what, found, expected):
        if abs(found - expected) > TOLERANCE:
            self.fault(f"{what} is {float(found)}, expected {float(expected)}")

    def operation(self, what, op, time, *earliest):
        """Checks how long an operation takes, and that it does not begin before anything it needs."""
        self.same(what, op["end_ms"] - op["start_ms"], time)
        for before in earliest:
            if op["start_ms"] < before - TOLERANCE:
                self.fault(f"{what} at {float(op['start_ms'])}, possible from {float(before)}")

    def form(self, tensor):
        """Bytes, encode and decode time of an upload."""
        size, forms = self.model.size[tensor]
        return (size, F(0), F(0)) if self.encoding[tensor] is None else forms[self.encoding[tensor]]

    def transfer(self, size, mbps):
        if size > 0 and mbps == 0:
            self.fault("something crosses a link without bandwidth")
        return size * 8 / (mbps * 1000) if size > 0 and mbps > 0 else F(0)

    def check(self):
        try:
            self.check_cut()
            ready, last_layer = self.check_device()
            back = self.check_server(self.check_uplink(ready, last_layer))
        except Unfit as reason:
            return self.fault(str(reason))
        self.same("completion", self.entry["completion_ms"], max(last_layer, back))

    def check_cut(self):
        model, entry = self.model, self.entry
        if entry["model"] != self.name:
            raise Unfit(f"model {entry['model']}, expected {self.name}")
        if len(self.on_device) != len(entry["device_layers"]) or not self.on_device <= set(model.layers):
            raise Unfit("device_layers has repeated or unknown layers")
        for layer in self.on_device:
            if not model.needed_before(layer) <= self.on_device:
                self.fault(f"{layer} is on the device without what it reads from")
        tensors, frontier = [upload["tensor"] for upload in entry["uploads"]], model.frontier(self.on_device)
        if sorted(tensors) != sorted(frontier):
            raise Unfit(f"uploads {tensors}, frontier {sorted(frontier)}")
        for tensor, form in self.encoding.items():
            if form is not None and form not in model.size[tensor][1]:
                raise Unfit(f"{tensor} has no encoding {form}")

    def check_device(self):
        """When each upload may be sent at granularity layer, and when the last layer ends."""
        model, operations = self.model, self.operations("device")
        layers = {op["layer"]: op for op in operations if "layer" in op}
        encodes = {op["encode"]: op for op in operations if "encode" in op}
        wanted = {tensor for tensor, form in self.encoding.items() if form is not None}
        if (set(layers), set(encodes)) != (self.on_device, wanted) or len(operations) != len(layers) + len(encodes):
            raise Unfit("device operations are not the device layers and encodes, each once")
        in_turn = sorted(operations, key=lambda op: (op["start_ms"], op["end_ms"]))
        order = [op["layer"] for op in in_turn if "layer" in op]
        zero_length = any(op["start_ms"] == op["end_ms"] for op in operations)
        if order != self.entry["device_layers"] and not zero_length:
            self.fault(f"device_layers {self.entry['device_layers']}, run in order {order}")
        ends = {layer: op["end_ms"] for layer, op in layers.items()}
        for layer, op in layers.items():
            before = [ends[needed] for needed in model.needed_before(layer) & set(ends)]
            self.operation(layer, op, model.layers[layer]["device_ms"], *before)
        ready = {tensor: ends.get(model.producer.get(tensor), F(0)) for tensor in self.encoding}
        for tensor, op in encodes.items():
            self.operation(f"encode of {tensor}", op, self.form(tensor)[1], ready[tensor])
            ready[tensor] = op["end_ms"]
        return ready, max(ends.values(), default=F(0))

    def check_uplink(self, ready, last_layer):
        """When all uploads are at the server."""
        operations, arrival = self.operations("uplink"), F(0)
        if sorted(op["tensor"] for op in operations) != sorted(self.encoding):
            raise Unfit("transfers are not the uploads, each once")
        for op in operations:
            time = self.transfer(self.form(op["tensor"])[0], self.checker.uplink) + self.checker.overhead
            needed = [ready[op["tensor"]]] + [last_layer] * (self.checker.plan["granularity"] == "job")
            self.operation(f"transfer of {op['tensor']}", op, time, *needed)
            arrival = max(arrival, op["end_ms"] + self.checker.half)
        return arrival

    def check_server(self, arrival):
        """When the results are back at the device; 0 if the device has them all."""
        model, downlink_mbps = self.model, self.checker.downlink
        server, downlink = self.operations("server"), self.operations("downlink")
        if len(server) != (1 if self.off_device else 0):
            raise Unfit(f"{len(server)} server blocks")
        size = sum(model.size[t][0] for t in model.outputs if model.producer.get(t) in self.off_device)
        least = 1 if downlink_mbps is not None and size > 0 else 0
        most = 1 if downlink_mbps is not None and self.off_device else 0
        if not least <= len(downlink) <= most:
            raise Unfit(f"{len(downlink)} downlink blocks")
        if not self.off_device:
            return F(0)
        time = sum(model.layers[layer].get("server_ms", F(0)) for layer in self.off_device)
        self.operation("server block", server[0], time + sum(self.form(t)[2] for t in self.encoding), arrival)
        end = server[0]["end_ms"]
        for block in downlink:
            self.operation("downlink block", block, self.transfer(size, downlink_mbps), end)
            end = block["end_ms"]
        return end + self.checker.half


def faults(workload, plan):
    """What is wrong with a plan: a list of sentences, empty for a valid plan."""
    try:
        return Checker(workload, plan).check()
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        return [f"not of the format: {error!r}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workload")
    parser.add_argument("plan")
    args = parser.parse_args()
    found = faults(load(args.workload), load(args.plan))
    print("\n".join(found) or "valid")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
