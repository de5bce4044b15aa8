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
        self.workload, self.plan, self.faults = workload, plan, []
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

    def same(self, place, what, found, expected):
        if abs(found - expected) > TOLERANCE:
            self.fault(place, f"{what} is {float(found)}, expected {float(expected)}")

    def not_before(self, place, what, found, earliest):
        if found < earliest - TOLERANCE:
            self.fault(place, f"{what} at {float(found)}, possible from {float(earliest)}")

    def transfer(self, place, size, mbps):
        if size == 0:
            return F(0)
        if mbps == 0:
            self.fault(place, "something crosses a link without bandwidth")
            return F(0)
        return size * 8 / (mbps * 1000)

    def check(self):
        plan, schedule = self.plan, self.plan["schedule"]
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
            for op in schedule[machine]:
                operations.setdefault((machine, int(op["job"])), []).append(op)
            self.check_machine(machine, schedule[machine])
        known = {("jobs", j) for j in range(len(self.jobs))}
        for machine, job in operations:
            if ("jobs", job) not in known:
                self.fault(machine, f"operation of unknown job {job}")
        for j, entry in enumerate(plan["jobs"]):
            self.check_job(j, entry, lambda m, j=j: operations.get((m, j), []))
        self.check_numbers()
        return self.faults

    def check_keys(self):
        def keys(place, value, allowed, optional=()):
            found = set(value)
            if not set(allowed) <= found or not found <= set(allowed) | set(optional):
                self.fault(place, f"keys {sorted(found)}, expected {sorted(allowed)}")

        keys("plan", self.plan, ("schema", "policy", "granularity", "makespan_ms",
             "lower_bound_ms", "gap", "optimal", "jobs", "schedule"))
        for job in self.plan["jobs"]:
            keys("jobs", job, ("job", "model", "device_layers", "uploads", "completion_ms"))
            for upload in job["uploads"]:
                keys("uploads", upload, ("tensor",), ("encoding",))
        schedule = self.plan["schedule"]
        keys("schedule", schedule, ("device", "uplink", "server", "downlink"))
        for op in schedule["device"]:
            what = "encode" if "encode" in op else "layer"
            keys("device", op, ("job", what, "start_ms", "end_ms"))
        for op in schedule["uplink"]:
            keys("uplink", op, ("job", "tensor", "start_ms", "end_ms"))
        for op in schedule["server"] + schedule["downlink"]:
            keys("blocks", op, ("job", "start_ms", "end_ms"))

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

    def check_job(self, j, entry, operations):
        place, name = f"job {j}", self.jobs[j]
        if entry["model"] != name:
            self.fault(place, f"model {entry['model']}, expected {name}")
            return
        model = self.models[name]
        on_device = set(entry["device_layers"])
        if len(on_device) != len(entry["device_layers"]) or not on_device <= set(model.layers):
            self.fault(place, "device_layers has repeated or unknown layers")
            return
        for layer in on_device:
            if not model.needed_before(layer) <= on_device:
                self.fault(place, f"{layer} is on the device without what it reads from")
        tensors = [upload["tensor"] for upload in entry["uploads"]]
        if sorted(tensors) != sorted(model.frontier(on_device)):
            self.fault(place, f"uploads {tensors}, frontier {sorted(model.frontier(on_device))}")
            return
        encoding = {u["tensor"]: u.get("encoding") for u in entry["uploads"]}
        for tensor, form in encoding.items():
            if form is not None and form not in model.size[tensor][1]:
                self.fault(place, f"{tensor} has no encoding {form}")
                return
        ends, encode_ends, last_layer = self.check_device(
            place, model, entry, encoding, operations("device")
        )
        if ends is None:
            return
        arrival = self.check_uplink(
            place, model, encoding, ends, encode_ends, last_layer, operations("uplink")
        )
        off_device = set(model.layers) - on_device
        back = self.check_server(place, model, off_device, encoding, arrival, operations)
        completion = max(last_layer, back) if off_device else last_layer
        self.same(place, "completion", entry["completion_ms"], completion)

    def check_device(self, place, model, entry, encoding, operations):
        layers = {op["layer"]: op for op in operations if "layer" in op}
        encodes = {op["encode"]: op for op in operations if "encode" in op}
        wanted = {t for t, form in encoding.items() if form is not None}
        if (
            set(layers) != set(entry["device_layers"])
            or set(encodes) != wanted
            or len(operations) != len(layers) + len(encodes)
        ):
            self.fault(place, "device operations are not the device layers and encodes, each once")
            return None, None, None
        order = [op["layer"] for op in sorted(operations, key=lambda op: (op["start_ms"], op["end_ms"])) if "layer" in op]
        zero_length = any(op["start_ms"] == op["end_ms"] for op in operations)
        if order != entry["device_layers"] and not zero_length:
            self.fault(place, f"device_layers {entry['device_layers']}, run in order {order}")
        ends = {layer: op["end_ms"] for layer, op in layers.items()}
        for layer, op in layers.items():
            self.same(place, f"time of {layer}", op["end_ms"] - op["start_ms"],
                      model.layers[layer]["device_ms"])
            for before in model.needed_before(layer) & set(ends):
                self.not_before(place, layer, op["start_ms"], ends[before])
        for tensor, op in encodes.items():
            encode_ms = model.size[tensor][1][encoding[tensor]][1]
            self.same(place, f"encode of {tensor}", op["end_ms"] - op["start_ms"], encode_ms)
            if tensor in model.producer:
                self.not_before(place, f"encode of {tensor}", op["start_ms"],
                                ends[model.producer[tensor]])
        encode_ends = {tensor: op["end_ms"] for tensor, op in encodes.items()}
        return ends, encode_ends, max(ends.values(), default=F(0))

    def check_uplink(self, place, model, encoding, ends, encode_ends, last_layer, operations):
        arrival = F(0)
        if sorted(op["tensor"] for op in operations) != sorted(encoding):
            self.fault(place, "transfers are not the uploads, each once")
            return arrival
        for op in operations:
            tensor = op["tensor"]
            size, forms = model.size[tensor]
            if encoding[tensor] is not None:
                size = forms[encoding[tensor]][0]
            time = self.transfer(place, size, self.uplink) + self.overhead
            self.same(place, f"transfer of {tensor}", op["end_ms"] - op["start_ms"], time)
            ready = encode_ends.get(tensor, F(0))
            if tensor in model.producer:
                ready = max(ready, ends[model.producer[tensor]])
            if self.plan["granularity"] == "job":
                ready = max(ready, last_layer)
            self.not_before(place, f"transfer of {tensor}", op["start_ms"], ready)
            arrival = max(arrival, op["end_ms"] + self.half)
        return arrival

    def check_server(self, place, model, off_device, encoding, arrival, operations):
        """When the results are back at the device."""
        server, downlink = operations("server"), operations("downlink")
        if len(server) != (1 if off_device else 0):
            self.fault(place, f"{len(server)} server blocks")
            return F(0)
        results = [t for t in model.outputs if model.producer.get(t) in off_device]
        size = sum(model.size[t][0] for t in results)
        least = 1 if self.downlink is not None and size > 0 else 0
        most = 1 if self.downlink is not None and off_device else 0
        if not least <= len(downlink) <= most:
            self.fault(place, f"{len(downlink)} downlink blocks")
            return F(0)
        if not off_device:
            return F(0)
        block = server[0]
        time = sum(model.layers[l].get("server_ms", F(0)) for l in off_device)
        time += sum(model.size[t][1][form][2] for t, form in encoding.items() if form is not None)
        self.same(place, "server block", block["end_ms"] - block["start_ms"], time)
        self.not_before(place, "server block", block["start_ms"], arrival)
        end = block["end_ms"]
        for block in downlink:
            self.same(place, "downlink block", block["end_ms"] - block["start_ms"],
                      self.transfer(place, size, self.downlink))
            self.not_before(place, "downlink block", block["start_ms"], end)
            end = block["end_ms"]
        return end + self.half

    def check_numbers(self):
        plan = self.plan
        makespan, bound = plan["makespan_ms"], plan["lower_bound_ms"]
        last = max((job["completion_ms"] for job in plan["jobs"]), default=F(0))
        self.same("plan", "makespan", makespan, last)
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
