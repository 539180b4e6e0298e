"""From raw measurements to medians, ratios and the goals. Ratios are taken within a round: both sides met the same machine."""

import statistics
from dataclasses import dataclass

from workload import WORKLOADS

KINDS = {"csv": "CSV", "parquet": "Parquet"}


@dataclass
class Spread:
    """The median of some rounds, with the least and the most."""

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values):
        values = list(values)
        return cls(statistics.median(values), min(values), max(values), len(values)) if values else None

    def text(self, form="{:.2f}"):
        show = form.format
        return show(self.median) if self.rounds == 1 else f"{show(self.median)} ({show(self.least)}–{show(self.most)})"


# What is read from one measurement.


def rate(each):
    return each["rows"] / each["wall"]


def cpu(each):
    """Microseconds of CPU for a row."""
    return each["cpu"] / each["rows"] * 1e6


def sink_cpu(each):
    return each["sink_cpu"] / each["rows"] * 1e6


def limit(each):
    return each["limit"] * 1e6


def signature(each):
    return each["signature"] * 1e6


def wall(each):
    return each["wall"]


def memory_share(each):
    """The memory of its own, of what is allowed."""
    return each["peak_own"] / (100e6 + 24 * each["rows"])


def kept_share(each):
    return each["shares"]["results"] + each["shares"]["journal"]


class Figures:
    """The raw data of some rounds, and what follows from it."""

    def __init__(self, measurements, cores):
        self.all, self.cores = measurements, cores
        self.rounds = max((each["round"] for each in measurements), default=1)

    def select(self, part, **wanted):
        return [each for each in self.all if each["part"] == part and all(each.get(key) == value for key, value in wanted.items())]

    def spread(self, value, part, **wanted):
        return Spread.of(value(each) for each in self.select(part, **wanted))

    def sizes(self, what):
        return sorted({each["rows"] for each in self.select("size", what=what)})

    @staticmethod
    def ratio(above, below, value, other=None):
        """The spread of value(above) ÷ other(below), round by round. `above` and `below` are measurements."""
        other = other or value
        of_round = {each["round"]: each for each in below}
        return Spread.of(value(each) / other(of_round[each["round"]]) for each in above if each["round"] in of_round)

    def goals(self):
        """Each goal with what was found: (measure, goal, Spread or None)."""
        titles = {each.name: each.title for each in WORKLOADS}
        for masked in (False, True) if self.masked else (False,):
            tool, how = ("masked", ", AVX-512 IFMA masked") if masked else ("mailrun", "")
            for workload, goal in [("10kb", "≤ 1.12"), ("100kb", "≤ 1.10"), ("attachment", "≤ 1.12")]:
                of_limit = self.ratio(self.mine(workload, tool), self.limits(workload, masked), cpu, limit)
                yield f"client CPU a message ÷ (signature + hash): {titles[workload]}{how}", goal, of_limit
            yield f"cores busy: messages × (signature + hash) ÷ (cores × time − sink's CPU), 10 kB{how}", "≥ 0.90", self.busy("10kb", tool, masked)
        for workload, goal in [("10kb", "≤ 0.97"), ("100kb", "≤ 0.92"), ("attachment", "≤ 0.92"), ("unsigned", "≤ 0.90")]:
            peer = self.select("send", workload=workload, tool="mail-send")
            yield f"client CPU a message ÷ mail-send's: {titles[workload]}", goal, self.ratio(self.mine(workload), peer, cpu)
            yield f"messages/s ÷ mail-send's: {titles[workload]}", "≥ 1.05", self.ratio(self.mine(workload), peer, rate)
        safe = self.ratio(self.mine("10kb"), self.mine("10kb", "process-crash"), rate)
        yield "messages/s, durability power-loss ÷ process-crash, 10 kB", "≥ 0.97", safe
        source = self.select("send", workload="unsigned", tool="smtp-source")
        yield "unsigned, 10 kB: messages/s ÷ smtp-source's", "≥ 1.0", self.ratio(self.mine("unsigned"), source, rate)
        yield "unsigned, 10 kB: client CPU a message ÷ smtp-source's", "≤ 1.5", self.ratio(self.mine("unsigned"), source, cpu)
        shared = self.ratio(self.mine("shared"), self.limits("shared"), cpu, signature)
        yield "one body for all, 200 kB: client CPU a message ÷ one signature", "≤ 1.10", shared
        yield "one message for all: recipients/s ÷ signed messages/s", "≥ 20", self.ratio(self.mine("alarm"), self.mine("10kb"), rate)
        for kind, name in KINDS.items():
            own = self.select("plan", tool="mailrun", kind=kind)
            for peer, title, goal in [("duckdb", "DuckDB", "≤ 0.6"), ("polars", "Polars", "≤ 1.0")]:
                plans = own, self.select("plan", tool=peer, kind=kind)
                yield f"plan, {name}: time ÷ {title}'s", goal, self.ratio(*plans, wall)
                yield f"plan, {name}: the same, less a process that does nothing", goal, self.ratio(*plans, self.without_start)
        memory = "peak memory without mapped files ÷ (100 MB + 24 bytes a row)"
        yield f"{memory}, sending", "≤ 1.0", self.spread(memory_share, "memory")
        for kind, name in KINDS.items():
            yield f"{memory}, plan, {name}", "≤ 1.0", self.spread(memory_share, "plan", tool="mailrun", kind=kind)
        yield "results and journal: share of the CPU, unsigned", "≤ 0.10", self.spread(kept_share, "profile", workload="unsigned")
        yield "start to first message, 1,000 rows, ms", "≤ 50", self.spread(lambda each: each["seconds"] * 1000, "first")
        for what in ("send", "plan"):
            yield f"CPU a row, largest list ÷ smallest, {what}", "≤ 1.10", self.flat(what)

    @property
    def masked(self):
        """Whether it was measured with AVX-512 IFMA masked too."""
        return bool(self.select("limit", masked=True))

    def mine(self, workload, tool="mailrun"):
        return self.select("send", workload=workload, tool=tool)

    def limits(self, workload, masked=False):
        # Raw data of before 2026-12 knows nothing of masks.
        return [each for each in self.select("limit", workload=workload) if each.get("masked", False) == masked]

    def stolen(self):
        """The largest part of a measurement's time, on all cores, that the hypervisor gave to others."""
        return max((each["stolen"] / (self.cores * each["wall"]) for each in self.all if "stolen" in each), default=None)

    def busy(self, workload, tool="mailrun", masked=False):
        """The part of the time that the cores had for the client in which they could have done no more than sign and hash."""
        limits = {each["round"]: each["limit"] for each in self.limits(workload, masked)}
        return Spread.of(each["rows"] * limits[each["round"]] / (self.cores * each["wall"] - each["sink_cpu"])
                         for each in self.mine(workload, tool) if each["round"] in limits)

    def without_start(self, plan):
        """The time of a plan less that of a process that does nothing, of the same round."""
        return plan["wall"] - self.select("empty", tool=plan["tool"], round=plan["round"])[0]["wall"]

    def flat(self, what):
        sizes = self.sizes(what)
        if len(sizes) < 2:
            return None
        return self.ratio(*(self.select("size", what=what, rows=rows) for rows in (sizes[-1], sizes[0])), cpu)

    def stages(self):
        """Per profiled workload: its title, the microseconds of each stage, and their sum. Shares are perf's; the sum is of the runs without it."""
        rows = []
        for each in self.select("profile"):
            workload = next(workload for workload in WORKLOADS if workload.name == each["workload"])
            if whole := self.spread(cpu, "send", workload=workload.name, tool="mailrun"):
                rows.append((workload.title, {stage: share * whole.median for stage, share in each["shares"].items()}, whole.median))
        return rows
