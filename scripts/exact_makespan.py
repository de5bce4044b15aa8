"""The least makespan of a small workload, by going through all plans.

Standard library only, nothing shared with the Rust code, whole nanoseconds. Every cut of every
job with every choice of encodings is listed; every choice of one for each job is looked at unless
its loads alone take too long; and for each choice, every order of transfers is followed, the best
beginnings of each set of transfers kept. Three facts keep that small:

- Given the order of transfers it is best for the device to do first what the next one waits for,
  so the device's time depends only on which transfers have begun.
- Without a downlink and with one executor, or none to wait for, the server best takes jobs as they
  arrive. Otherwise all orders are tried.
- The downlink best takes results as they are made.
"""

import itertools
from dataclasses import dataclass

import check_plan

NS = 1_000_000  # in a millisecond


def nanoseconds(ms):
    return round(ms * NS)


@dataclass(frozen=True)
class Way:
    """One way to run a job: a cut and the forms of what crosses it."""

    device: int  # all work on the device
    before: tuple  # by set of transfers, as a bit mask: device time that they wait for
    uplink: tuple  # the time of each transfer
    server: int
    download: object  # its time, or None
    is_sent: bool  # whether the server does anything

    def alone(self, half):
        """A lower bound on the time of a job alone."""
        if not self.is_sent:
            return self.device
        arrival = 0
        for one, time in enumerate(self.uplink):
            arrival = max(arrival, self.before[1 << one] + time)
        if self.uplink:
            arrival = max(arrival, min(self.leads()) + sum(self.uplink)) + half
        return max(self.device, arrival + self.tail(half))

    def leads(self):
        return [self.before[1 << one] for one in range(len(self.uplink))]

    def tail(self, half):
        return self.server + (self.download or 0) + half


class Link:
    def __init__(self, workload):
        link = workload["link"]
        self.uplink = link["uplink_mbps"]
        self.downlink = link.get("downlink_mbps")
        self.half = nanoseconds(link.get("rtt_ms", 0)) // 2
        self.overhead = nanoseconds(link.get("message_overhead_ms", 0))

    def transfer(self, size, mbps):
        return 0 if size == 0 else round(size * 8000 / mbps)


class Model(check_plan.Model):
    """A model with all ways to run a job of it."""

    def forms(self, tensor):
        """Bytes, encode and decode time of each form of a tensor: raw first."""
        size, encodings = self.size[tensor]
        encoded = [(size, nanoseconds(encode), nanoseconds(decode)) for size, encode, decode in encodings.values()]
        return [(size, 0, 0), *encoded]

    def needs(self, layer):
        """A layer and all that it depends on."""
        return {layer}.union(*map(self.needs, self.needed_before(layer)))

    def cuts(self):
        for count in range(len(self.layers) + 1):
            for cut in map(set, itertools.combinations(self.layers, count)):
                if all(self.needed_before(layer) <= cut for layer in cut):
                    yield cut

    def ways(self, link, granularity):
        return undominated([way for cut in self.cuts() for way in self.ways_of(cut, link, granularity)])

    def ways_of(self, cut, link, granularity):
        away = set(self.layers) - cut
        frontier = sorted(self.frontier(cut))
        layers = {name: nanoseconds(layer["device_ms"]) for name, layer in self.layers.items()}
        server = sum(nanoseconds(self.layers[name].get("server_ms", 0)) for name in away)
        results = [self.size[tensor][0] for tensor in self.outputs if self.producer.get(tensor) in away]
        download = None
        if link.downlink is not None and results:
            download = link.transfer(sum(results), link.downlink)
        for forms in itertools.product(*map(self.forms, frontier)):
            encodes = [encode for _, encode, _ in forms]
            device = sum(layers[name] for name in cut) + sum(encodes)
            uplink = [link.transfer(size, link.uplink) + link.overhead for size, _, _ in forms]
            before = [0]
            for chosen in range(1, 1 << len(frontier)):
                which = [k for k in range(len(frontier)) if chosen >> k & 1]
                work = cut
                if granularity == "layer":
                    made = [self.producer[frontier[k]] for k in which if frontier[k] in self.producer]
                    work = set().union(*map(self.needs, made))
                before.append(sum(layers[name] for name in work) + sum(encodes[k] for k in which))
            decodes = sum(decode for _, _, decode in forms)
            yield Way(device, tuple(before), tuple(uplink), server + decodes, download, bool(away))


def undominated(ways):
    """Leaves out ways that another one replaces transfer by transfer, or by none at all."""
    def beats(a, b):
        if not a.is_sent:
            return a.device <= b.device
        return (b.is_sent and len(a.uplink) == len(b.uplink) and a.device <= b.device
                and a.server <= b.server and (a.download or 0) <= (b.download or 0)
                and all(x <= y for x, y in zip(a.uplink, b.uplink))
                and all(x <= y for x, y in zip(a.before, b.before)))

    kept = []
    for way in sorted(set(ways), key=lambda w: (w.device, w.uplink, w.server, w.download or 0)):
        if not any(beats(k, way) for k in kept):
            kept = [k for k in kept if not beats(way, k)] + [way]
    return kept


class Search:
    """Looks for a plan shorter than `best`."""

    def __init__(self, workload, granularity, best):
        self.link, self.best = Link(workload), best
        self.executors = workload.get("server", {}).get("executors", 0)
        models = {name: Model(m) for name, m in workload["models"].items()}
        ways = {name: m.ways(self.link, granularity) for name, m in models.items()}
        counts = {}
        for run in workload["jobs"]:
            counts[run["model"]] = counts.get(run["model"], 0) + run.get("count", 1)
        self.jobs = [(ways[name], is_first) for name, count in counts.items()
                     for is_first in [True] + [False] * (count - 1)]
        # What the jobs from each one on take at least, on device and uplink and both.
        self.least = [(0, 0, 0)]
        for ways_of_job, _ in reversed(self.jobs):
            loads = [(w.device, sum(w.uplink), w.device + sum(w.uplink)) for w in ways_of_job]
            self.least.append(tuple(map(sum, zip(self.least[-1], map(min, zip(*loads))))))
        self.least.reverse()

    def run(self):
        self.choose([], 0, (0, 0))
        return self.best

    def choose(self, chosen, start, loads):
        """Gives the jobs that are left their ways; jobs alike take ways in order."""
        n = len(chosen)
        device, uplink = loads
        least = self.least[n]
        if (device + least[0] >= self.best or uplink + least[1] >= self.best
                or device + uplink + least[2] >= 2 * self.best):
            return
        if n == len(self.jobs):
            self.order(chosen)
            return
        ways, is_first = self.jobs[n]
        for i in range(0 if is_first else start, len(ways)):
            if ways[i].alone(self.link.half) < self.best:
                self.choose(chosen + [ways[i]], i,
                            (device + ways[i].device, uplink + sum(ways[i].uplink)))

    def is_too_long(self, ways):
        half = self.link.half
        sent = [w for w in ways if w.uplink]
        if sent:
            load = min(min(w.leads()) for w in sent) + sum(sum(w.uplink) for w in sent)
            if load + half + min(w.tail(half) for w in sent) >= self.best:
                return True
        server = sum(w.server for w in ways if w.is_sent)
        return self.executors > 0 and server / self.executors + half >= self.best

    def order(self, ways):
        """Follows all orders of transfers, by the sets of transfers that have begun."""
        if self.is_too_long(ways):
            return
        sent = [w for w in ways if w.uplink]
        kept = [(0, 0, w) for w in ways if w.is_sent and not w.uplink]
        device = sum(w.device for w in ways)
        start = (0,) * len(sent)
        fronts = {start: [(0, (None,) * len(sent))]}
        for _ in range(sum(len(w.uplink) for w in sent)):
            following = {}
            for masks, front in fronts.items():
                self.extend(sent, masks, front, following)
            fronts = following
        for front in fronts.values():
            for _, arrivals in front:
                visits = [(a + self.link.half, w.server, w.download) for a, w in zip(arrivals, sent)]
                visits += [(0, w.server, w.download) for _, _, w in kept]
                self.best = min(self.best, max(device, self.returned(visits)))

    def extend(self, sent, masks, front, following):
        for job, way in enumerate(sent):
            for one, time in enumerate(way.uplink):
                if masks[job] >> one & 1:
                    continue
                after = masks[:job] + (masks[job] | 1 << one,) + masks[job + 1:]
                device = sum(w.before[m] for w, m in zip(sent, after))
                is_last = after[job] == (1 << len(way.uplink)) - 1
                for uplink, arrivals in front:
                    end = max(uplink, device) + time
                    then = arrivals
                    if is_last:
                        then = arrivals[:job] + (end,) + arrivals[job + 1:]
                        if end + self.link.half + way.tail(self.link.half) >= self.best:
                            continue
                    add_to_front(following.setdefault(after, []), (end, then))

    def returned(self, visits):
        """When the last result is back, for the best order on the server."""
        if not visits:
            return 0
        visits.sort(key=lambda v: v[0])
        has_downloads = any(v[2] is not None for v in visits)
        in_arrival_order = self.executors == 0 or (self.executors == 1 and not has_downloads)
        orders = [visits] if in_arrival_order else itertools.permutations(visits)
        return min(map(self.serve, orders))

    def serve(self, order):
        free = [0] * (self.executors or len(order))
        made = []
        for arrival, server, download in order:
            executor = free.index(min(free))
            free[executor] = max(free[executor], arrival) + server
            made.append((free[executor], download))
        made.sort(key=lambda m: m[0])
        downlink, last = 0, 0
        for end, download in made:
            if download is not None:
                end = downlink = max(downlink, end) + download
            last = max(last, end)
        return last + self.link.half


def add_to_front(front, new):
    """Keeps of beginnings with the same transfers those that no other is at least as early as."""
    def is_earlier(a, b):
        return a[0] <= b[0] and all(x is None or x <= y for x, y in zip(a[1], b[1]))

    if not any(is_earlier(old, new) for old in front):
        front[:] = [old for old in front if not is_earlier(new, old)] + [new]


def best_makespan(workload, granularity, known=None):
    """The least makespan in nanoseconds, or `known`, the makespan of some plan, if none is less."""
    everything_here = sum(
        nanoseconds(layer["device_ms"]) * run.get("count", 1)
        for run in workload["jobs"] for layer in workload["models"][run["model"]]["layers"])
    best = everything_here if known is None else min(known, everything_here)
    return Search(workload, granularity, best).run()
