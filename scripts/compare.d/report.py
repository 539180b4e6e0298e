"""From raw measurements to medians, ratios, tables and charts. Ratios are taken within a round: both sides met the same machine."""

import json
import statistics
from dataclasses import dataclass

import chart
import stages
from tools import TOOLS
from workload import WORKLOADS

TITLES = {tool.name: tool.title for tool in TOOLS} | {"duckdb": "DuckDB"}
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


class Report:
    def __init__(self, measurements, machine):
        self.all, self.machine = measurements, machine
        self.cores = machine["cores"]
        self.rounds = max((each.get("round", 1) for each in measurements), default=1)

    def select(self, part, **wanted):
        return [each for each in self.all if each["part"] == part and all(each.get(key) == value for key, value in wanted.items())]

    def spread(self, value, part, **wanted):
        return Spread.of(value(each) for each in self.select(part, **wanted))

    def ratio(self, above, below, value, other=None):
        """The spread of value(above)/other(below), round by round. `above` and `below` are measurements."""
        other = other or value
        of_round = {each["round"]: each for each in below}
        return Spread.of(value(each) / other(of_round[each["round"]]) for each in above if each["round"] in of_round)

    # --- tables ------------------------------------------------------------------------------------------------------

    def markdown(self):
        told = [f"# mailrun beside others\n\n{self.machine_text()}\n", self.goals_table()]
        for workload in WORKLOADS:
            told.append(self.workload_table(workload))
        told += [self.plan_table(), self.size_table(), self.memory_table(), self.profile_table()]
        told.append(NOTES)
        return "\n".join(filter(None, told))

    def machine_text(self):
        machine = self.machine
        lines = [f"- machine: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}",
                 f"- mailrun: {machine['mailrun']}, SHA-256 {machine['binary']}…; scripts of commit {machine['commit']}", f"- command: `{machine['command']}`", f"- when: {machine['when']}",
                 "- beside it: " + ", ".join(f"{name} {version}" for name, version in machine["versions"].items())]
        lines += [f"- not measured: {name}: {why}" for name, why in machine["missing"].items()]
        return "\n".join(lines)

    def goals_table(self):
        rows = [(what, goal, spread.text() if spread else "not measured", verdict(spread, goal)) for what, goal, spread in self.goals()]
        return "## Goals\n\n" + table(["measure", "goal", "median (least–most)", ""], rows)

    def goals(self):
        """Each goal with what was found: (measure, goal, Spread or None)."""
        cpu = lambda each: each["cpu"] / each["rows"]
        wall_rate = lambda each: each["rows"] / each["wall"]
        limit = lambda each: each["limit"]
        signature = lambda each: each["signature"]
        mine = lambda workload: self.select("send", workload=workload, tool="mailrun")
        limits = lambda workload: self.select("limit", workload=workload)
        source = self.select("send", workload="unsigned", tool="smtp-source")
        signed_rate = self.select("send", workload="10kb", tool="mailrun")
        for workload, goal in [("10kb", "≤ 1.10"), ("100kb", "≤ 1.10"), ("attachment", "≤ 1.15")]:
            title = next(each.title for each in WORKLOADS if each.name == workload)
            yield f"client CPU a message ÷ (signature + hash): {title}", goal, self.ratio(mine(workload), limits(workload), cpu, limit)
        yield "both cores busy: messages × (signature + hash) ÷ (cores × time − sink's CPU), 10 kB", "≥ 0.90", self.busy("10kb")
        yield "unsigned, 10 kB: messages/s ÷ smtp-source's", "≥ 1.5", self.ratio(mine("unsigned"), source, wall_rate)
        yield "unsigned, 10 kB: client CPU a message ÷ smtp-source's", "≤ 1.0", self.ratio(mine("unsigned"), source, cpu)
        yield "one body for all, 200 kB: client CPU a message ÷ one signature", "≤ 1.10", self.ratio(mine("shared"), limits("shared"), cpu, signature)
        yield "one message for all: recipients/s ÷ signed messages/s", "≥ 20", self.ratio(mine("alarm"), signed_rate, wall_rate)
        for kind, name in KINDS.items():
            yield f"plan, {name}: time ÷ DuckDB's", "≤ 1.0", self.ratio(
                self.select("plan", tool="mailrun", kind=kind), self.select("plan", tool="duckdb", kind=kind), lambda each: each["wall"])
            yield f"plan, {name}: the same, what a process takes that does nothing taken off both", "≤ 1.0", self.ratio(
                self.select("plan", tool="mailrun", kind=kind), self.select("plan", tool="duckdb", kind=kind), self.without_start)
        allowed = lambda each: each["peak_own"] / (100e6 + 24 * each["rows"])
        yield "peak memory without mapped files ÷ (100 MB + 24 bytes a row), sending", "≤ 1.0", self.spread(allowed, "memory")
        for kind, name in KINDS.items():
            yield f"peak memory without mapped files ÷ (100 MB + 24 bytes a row), plan, {name}", "≤ 1.0", self.spread(allowed, "plan", tool="mailrun", kind=kind)
        share = lambda each: each["shares"]["results"] + each["shares"]["journal"]
        yield "results and journal: share of the CPU, unsigned", "≤ 0.10", self.spread(share, "profile", workload="unsigned")
        yield "start to first message, 1,000 rows, ms", "≤ 50", self.spread(lambda each: each["seconds"] * 1000, "first")
        for what in ("send", "plan"):
            yield f"CPU a row, largest list ÷ smallest, {what}", "≤ 1.10", self.flat(what)

    def without_start(self, plan):
        """The time of a plan less that of a process that does nothing, of the same round."""
        return plan["wall"] - self.select("empty", tool=plan["tool"], round=plan["round"])[0]["wall"]

    def busy(self, workload):
        limits = {each["round"]: each["limit"] for each in self.select("limit", workload=workload)}
        return Spread.of(each["rows"] * limits[each["round"]] / (self.cores * each["wall"] - each["sink_cpu"])
                         for each in self.select("send", workload=workload, tool="mailrun") if each["round"] in limits)

    def flat(self, what):
        sizes = sorted({each["rows"] for each in self.select("size", what=what)})
        if len(sizes) < 2:
            return None
        return self.ratio(self.select("size", what=what, rows=sizes[-1]), self.select("size", what=what, rows=sizes[0]), lambda each: each["cpu"] / each["rows"])

    def workload_table(self, workload):
        limits, source = self.select("limit", workload=workload.name), self.select("send", workload=workload.name, tool="smtp-source")
        cpu, rate = lambda each: each["cpu"] / each["rows"], lambda each: each["rows"] / each["wall"]
        rows = []
        for tool in TOOLS:
            found = self.select("send", workload=workload.name, tool=tool.name)
            if not found:
                continue
            proof = self.select("proof", workload=workload.name, tool=tool.name)
            row = [tool.title, f"{found[0]['rows']:,}", f"{proof[0]['bytes']:,}" if proof else "", Spread.of(map(rate, found)).text("{:,.0f}"),
                   Spread.of(cpu(each) * 1e6 for each in found).text("{:,.0f}"), Spread.of(each["sink_cpu"] / each["rows"] * 1e6 for each in found).text("{:,.0f}")]
            if workload.signed:
                row.append(told(self.ratio(found, limits, cpu, lambda each: each["limit"])))
            else:
                row += [told(self.ratio(found, source, rate)), told(self.ratio(found, source, cpu))]
            rows.append(row)
        if not rows:
            return None
        limit = self.spread(lambda each: each["limit"] * 1e6, "limit", workload=workload.name)
        text = f"\nOne signature and one hash of the body: {limit.text('{:,.0f}')} µs of CPU.\n" if limit else ""
        header = ["", "rows", "bytes a message", "messages/s", "client CPU a message, µs", "sink CPU a message, µs"]
        header += ["client CPU ÷ limit"] if workload.signed else ["messages/s ÷ smtp-source's", "client CPU ÷ smtp-source's"]
        return f"\n## {workload.title[0].upper()}{workload.title[1:]}\n{text}\n" + table(header, rows)

    def plan_table(self):
        rows = []
        for kind, name in KINDS.items():
            for tool in ("mailrun", "duckdb"):
                found = self.select("plan", tool=tool, kind=kind)
                if found:
                    rows.append((f"{TITLES[tool]}, {name}", f"{found[0]['rows']:,}", Spread.of(each["wall"] for each in found).text("{:.3f}"), Spread.of(each["cpu"] for each in found).text("{:.3f}"),
                                 Spread.of(each["peak"] / 1e6 for each in found).text("{:,.0f}"), Spread.of(each["peak_own"] / 1e6 for each in found).text("{:,.0f}")))
        for tool in ("mailrun", "duckdb"):
            if found := self.select("empty", tool=tool):
                rows.append((f"{TITLES[tool]}, a process that does nothing", "", Spread.of(each["wall"] for each in found).text("{:.3f}"), Spread.of(each["cpu"] for each in found).text("{:.3f}"), "", ""))
        return "\n## The plan: read, leave out duplicates and suppressed, write\n\n" + table(["", "rows", "time, s", "CPU, s", "peak memory, MB", "without mapped files, MB"], rows) if rows else None

    def size_table(self):
        rows = [(what, f"{size:,}", self.spread(lambda each: each["cpu"] / each["rows"] * 1e6, "size", what=what, rows=size).text(),
                 self.spread(lambda each: each["wall"], "size", what=what, rows=size).text())
                for what in ("send", "plan") for size in sorted({each["rows"] for each in self.select("size", what=what)})]
        return "\n## Cost over list size: 1 kB, unsigned\n\n" + table(["", "rows", "CPU a row, µs", "time, s"], rows) if rows else None

    def memory_table(self):
        rows = [(f"{each['rows']:,}", f"{each['peak'] / 1e6:,.0f}", f"{each['peak_own'] / 1e6:,.0f}", f"{each['rows'] / each['wall']:,.0f}") for each in self.select("memory")]
        return "\n## Memory: sending 10 kB, unsigned\n\n" + table(["rows", "peak, MB", "without mapped files, MB", "messages/s"], rows) if rows else None

    def profile_table(self):
        found = self.select("profile")
        if not found:
            return None
        columns = self.stages(found)
        rows = [[stage, *(f"{values.get(stage, 0):.1f}" for _, values, _ in columns)] for stage in stages.ORDER]
        return "\n## CPU a message by stage, µs\n\n" + table(["", *(title for title, *_ in columns)], rows)

    def stages(self, found):
        """Per profiled workload: its title, the microseconds of each stage, their sum as text. Shares are perf's, the sum is of runs without perf."""
        rows = []
        for each in found:
            workload = next(workload for workload in WORKLOADS if workload.name == each["workload"])
            cpu = self.spread(lambda send: send["cpu"] / send["rows"] * 1e6, "send", workload=workload.name, tool="mailrun")
            if cpu:
                rows.append((workload.title, {stage: share * cpu.median for stage, share in each["shares"].items()}, f"{cpu.median:,.0f} µs"))
        return rows

    # --- charts ------------------------------------------------------------------------------------------------------

    def charts(self):
        """Name and SVG of each chart."""
        rounds = f"medians, with the least and the most of {self.rounds} rounds" if self.rounds > 1 else "one round"
        subtitle = f"{rounds}; {self.machine['cpu']}, {self.cores} cores"
        yield "rates.svg", self.bars("Messages a second", subtitle, lambda each: each["rows"] / each["wall"], "{:,.0f}/s")
        yield "cpu.svg", self.bars("Client CPU a message", subtitle, lambda each: each["cpu"] / each["rows"] * 1e6, "{:,.0f} µs")
        columns = self.stages(self.select("profile"))
        if columns:
            yield "stages.svg", chart.stacks("mailrun: CPU a message by stage", f"µs, each bar the whole of its message; {self.machine['cpu']}, {self.cores} cores", stages.ORDER, [(short(title), values, text) for title, values, text in columns])
        else:
            yield "stages.svg", chart.nothing("mailrun: CPU a message by stage", self.machine["missing"].get("profile", "not asked for"))
        series = []
        for what in ("send", "plan"):
            points = []
            for size in sorted({each["rows"] for each in self.select("size", what=what)}):
                spread = self.spread(lambda each: each["cpu"] / each["rows"] * 1e6, "size", what=what, rows=size)
                points.append((size, spread.median, spread.least, spread.most))
            if points:
                series.append((f"mailrun {what}", points, "µs of CPU a row"))
        yield "sizes.svg", chart.lines("Cost over list size: 1 kB, unsigned", subtitle, "rows", series) if series else chart.nothing("Cost over list size", "not asked for")

    def bars(self, title, subtitle, value, form):
        groups = []
        for workload in WORKLOADS:
            rows = []
            for tool in TOOLS:
                if spread := self.spread(value, "send", workload=workload.name, tool=tool.name):
                    rows.append((tool.title, spread.median, spread.least, spread.most, form.format(spread.median)))
            if rows:
                groups.append((workload.title, rows))
        return chart.bars(title, subtitle, groups) if groups else chart.nothing(title, "not asked for")


NOTES = """
## What the figures are

- Every figure is of whole processes, from start to exit: reading, screening, journal and results of mailrun included. The others keep no journal and write no results.
- CPU is user and system time, of the client and of the sink apart. Medians of all rounds; ratios are taken round by round.
- The limit is the CPU of one RSA-2048 signature and one SHA-256 of the body, by ring alone, measured in the same round.
- A personalised letter has the recipient's name, town, number, segment and link in it, some 50 places in all, whatever its size; every program fills in the same text.
- lettre's connections wait: it writes the end of a message apart from its text and leaves Nagle's algorithm on, so that each message waits for
  the receiver's delayed acknowledgement (so it has a quarter of the rows). Its CPU a message is not touched by that. The mail-send program turns the algorithm off.
- Python is one process with one connection, as such scripts are written, and has a twentieth of the rows.
- Postfix with OpenDKIM is fed by smtp-source, with its own text of the same size: nothing is rendered. The CPU is that of all of Postfix's processes and of opendkim.
- DuckDB runs in Python with as many threads as there are cores; reading types is off for CSV. Both have the suppressed addresses in their own store beforehand.
- Memory "without mapped files" is what can't be given back: the plan is a mapped file.
- CPU by stage: perf's shares of one run, times the median of the runs without perf. `runtime` is tokio and rayon waking threads and looking for work.
"""


def verdict(spread, goal):
    """Whether the median is within the goal."""
    if spread is None:
        return ""
    sign, bound = goal.split()
    return "met" if (spread.median <= float(bound) if sign == "≤" else spread.median >= float(bound)) else "**missed**"


def told(spread):
    return spread.text() if spread else ""


def short(title):
    """A workload's title without its key's kind, for beside a bar."""
    return title.replace("personalised, ", "").replace(" with a common attachment", " + attachment").replace(", RSA-2048", ", signed")


def table(header, rows):
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return "\n".join(lines + [f"| {' | '.join(map(str, row))} |" for row in rows]) + "\n"


def read(path):
    """The raw data of an earlier run."""
    return [json.loads(line) for line in path.read_text().splitlines()]
