"""Tables and charts of what was measured."""

import json

import chart
import figures
import stages
from figures import KINDS, Spread
from tools import TOOLS
from workload import WORKLOADS

PLANNERS = {"mailrun": "mailrun", "duckdb": "DuckDB", "polars": "Polars, streaming"}

NOTES = """
## What the figures are

- Every figure is of whole processes, from start to exit: reading, screening, journal and results of mailrun included. The others keep no journal
  and write no results.
- CPU is user and system time, of the client and of the sink apart. Medians of all rounds; ratios are taken round by round.
- The limit is the CPU of one RSA-2048 signature and one SHA-256 of the body, measured in the same round on all cores at once, by ring or by AWS-LC,
  whichever is quicker. AWS-LC signs twice as fast where the processor has AVX-512 IFMA; on such a processor both are measured a second time with it
  masked (`OPENSSL_ia32cap`), as on a processor without.
- A personalised letter has the recipient's name, town, number, segment and link in it, some 50 places in all, whatever its size; every program fills
  in the same text.
- lettre's connections wait: it writes the end of a message apart from its text and leaves Nagle's algorithm on, so that each message waits for the
  receiver's delayed acknowledgement (so it has a quarter of the rows). Its CPU a message is not touched by that. The mail-send program turns the
  algorithm off.
- Python is one process with one connection, as such scripts are written, and has a twentieth of the rows.
- Postfix with OpenDKIM is fed by smtp-source, with its own text of the same size: nothing is rendered. The CPU is that of all of Postfix's processes
  and of opendkim.
- DuckDB and Polars run in Python with as many threads as there are cores; they read CSV as text, without looking for types. DuckDB has the suppressed
  addresses in a store of its own beforehand, Polars in a Parquet file.
- Memory "without mapped files" is what can't be given back: the plan is a mapped file.
- CPU by stage: perf's shares of one run, times the median of the runs without perf. `runtime` is tokio and rayon waking threads and looking for work.
"""


class Report:
    def __init__(self, measurements, machine):
        self.machine, self.figures = machine, figures.Figures(measurements, machine["cores"])
        self.select, self.spread = self.figures.select, self.figures.spread

    def markdown(self):
        workloads = [self.workload_table(workload) for workload in WORKLOADS]
        others = [self.plan_table(), self.size_table(), self.memory_table(), self.stage_table()]
        return "\n".join(filter(None, ["# mailrun beside others\n", self.machine_text(), self.goals_table(), *workloads, *others, NOTES]))

    def machine_text(self):
        machine, stolen = self.machine, self.figures.stolen()
        kind = {True: " with AVX-512 IFMA", False: " without AVX-512 IFMA"}.get(machine.get("ifma"), "")
        lines = [
            f"machine: {machine['cpu']}{kind}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}",
            f"mailrun: {machine['mailrun']}, SHA-256 {machine['binary']}…; scripts of commit {machine['commit']}",
            f"command: `{machine['command']}`",
            f"when: {machine['when']}",
            "beside it: " + ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
            *([] if stolen is None else [f"time that the hypervisor gave to others: at most {stolen:.1%} of a measurement"]),
            *(f"not measured: {name}: {why}" for name, why in machine["missing"].items()),
        ]
        return "".join(f"- {line}\n" for line in lines)

    # --- tables ------------------------------------------------------------------------------------------------------

    def goals_table(self):
        rows = [(what, goal, shown(spread) or "not measured", verdict(spread, goal)) for what, goal, spread in self.figures.goals()]
        return "## Goals\n\n" + table(["measure", "goal", "median (least–most)", ""], rows)

    def workload_table(self, workload):
        source = self.select("send", workload=workload.name, tool="smtp-source")
        rows = []
        for tool in TOOLS:
            found = self.select("send", workload=workload.name, tool=tool.name)
            if not found:
                continue
            proof = self.select("proof", workload=workload.name, tool=tool.name)
            row = [tool.title, f"{found[0]['rows']:,}", f"{proof[0]['bytes']:,}" if proof else ""]
            row += [Spread.of(map(value, found)).text("{:,.0f}") for value in (figures.rate, figures.cpu, figures.sink_cpu)]
            if workload.signed:
                limits = self.figures.limits(workload.name, tool.name == "masked")
                row.append(shown(self.figures.ratio(found, limits, figures.cpu, figures.limit)))
            else:
                row += [shown(self.figures.ratio(found, source, value)) for value in (figures.rate, figures.cpu)]
            rows.append(row)
        if not rows:
            return None
        limit = Spread.of(map(figures.limit, self.figures.limits(workload.name)))
        text = f"One signature and one hash of the body: {limit.text('{:,.0f}')} µs of CPU.\n\n" if limit else ""
        header = ["", "rows", "bytes a message", "messages/s", "client CPU a message, µs", "sink CPU a message, µs"]
        header += ["client CPU ÷ limit"] if workload.signed else ["messages/s ÷ smtp-source's", "client CPU ÷ smtp-source's"]
        return f"\n## {workload.title[0].upper()}{workload.title[1:]}\n\n{text}" + table(header, rows)

    def plan_table(self):
        rows = []
        for kind, name in KINDS.items():
            for tool, title in PLANNERS.items():
                if found := self.select("plan", tool=tool, kind=kind):
                    seconds = [Spread.of(each[key] for each in found).text("{:.3f}") for key in ("wall", "cpu")]
                    memory = [Spread.of(each[key] / 1e6 for each in found).text("{:,.0f}") for key in ("peak", "peak_own")]
                    rows.append([f"{title}, {name}", f"{found[0]['rows']:,}", *seconds, *memory])
        for tool, title in PLANNERS.items():
            if found := self.select("empty", tool=tool):
                seconds = [Spread.of(each[key] for each in found).text("{:.3f}") for key in ("wall", "cpu")]
                rows.append([f"{title}, a process that does nothing", "", *seconds, "", ""])
        header = ["", "rows", "time, s", "CPU, s", "peak memory, MB", "without mapped files, MB"]
        return section("The plan: read, leave out duplicates and suppressed, write", header, rows)

    def size_table(self):
        rows = []
        for what in ("send", "plan"):
            for size in self.figures.sizes(what):
                values = [self.spread(value, "size", what=what, rows=size).text() for value in (figures.cpu, figures.wall)]
                rows.append([what, f"{size:,}", *values])
        return section("Cost over list size: 1 kB, unsigned", ["", "rows", "CPU a row, µs", "time, s"], rows)

    def memory_table(self):
        rows = [[f"{each['rows']:,}", f"{each['peak'] / 1e6:,.0f}", f"{each['peak_own'] / 1e6:,.0f}", f"{figures.rate(each):,.0f}"]
                for each in self.select("memory")]
        return section("Memory: sending 10 kB, unsigned", ["rows", "peak, MB", "without mapped files, MB", "messages/s"], rows)

    def stage_table(self):
        found = self.figures.stages()
        rows = [[stage, *(f"{values.get(stage, 0):.1f}" for _, values, _ in found)] for stage in stages.ORDER] if found else []
        return section("CPU a message by stage, µs", ["", *(title for title, *_ in found)], rows)

    # --- charts ------------------------------------------------------------------------------------------------------

    def charts(self):
        """Name and SVG of each chart."""
        machine = f"{self.machine['cpu']}, {self.machine['cores']} cores"
        rounds = self.figures.rounds
        subtitle = f"{f'medians, with the least and the most of {rounds} rounds' if rounds > 1 else 'one round'}; {machine}"
        yield "rates.svg", self.bars("Messages a second", subtitle, figures.rate, "{:,.0f}/s")
        yield "cpu.svg", self.bars("Client CPU a message", subtitle, figures.cpu, "{:,.0f} µs")
        yield "stages.svg", self.stacks("mailrun: CPU a message by stage", f"µs, each bar the whole of its message; {machine}")
        yield "sizes.svg", self.lines("Cost over list size: 1 kB, unsigned", subtitle)

    def bars(self, title, subtitle, value, form):
        groups = []
        for workload in WORKLOADS:
            found = [(tool.title, self.spread(value, "send", workload=workload.name, tool=tool.name)) for tool in TOOLS]
            if rows := [(name, spread.median, spread.least, spread.most, form.format(spread.median)) for name, spread in found if spread]:
                groups.append((workload.title, rows))
        return chart.bars(title, subtitle, groups) if groups else chart.nothing(title, "not asked for")

    def stacks(self, title, subtitle):
        rows = [(brief(name), values, f"{whole:,.0f} µs") for name, values, whole in self.figures.stages()]
        why = self.machine["missing"].get("profile", "not asked for")
        return chart.stacks(title, subtitle, stages.ORDER, rows) if rows else chart.nothing(title, why)

    def lines(self, title, subtitle):
        series = []
        for what in ("send", "plan"):
            found = [(size, self.spread(figures.cpu, "size", what=what, rows=size)) for size in self.figures.sizes(what)]
            if found:
                points = [(size, spread.median, spread.least, spread.most) for size, spread in found]
                series.append((f"mailrun {what}", points, "µs of CPU a row"))
        return chart.lines(title, subtitle, "rows", series) if series else chart.nothing(title, "not asked for")


def verdict(spread, goal):
    """Whether the median is within the goal."""
    if spread is None:
        return ""
    sign, bound = goal.split()
    return "met" if (spread.median <= float(bound) if sign == "≤" else spread.median >= float(bound)) else "**missed**"


def shown(spread):
    return spread.text() if spread else ""


def brief(title):
    """A workload's title, short enough to stand beside a bar."""
    return title.replace("personalised, ", "").replace(" with a common attachment", " + attachment").replace(", RSA-2048", ", signed")


def section(title, header, rows):
    return f"\n## {title}\n\n{table(header, rows)}" if rows else None


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def read(path):
    """The raw data of an earlier run."""
    return [json.loads(line) for line in path.read_text().splitlines()]
