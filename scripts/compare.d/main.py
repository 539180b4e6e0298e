"""The rounds: what is measured, in which order, and where it is written."""

import argparse
import datetime
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import alone
import figures
import plan
import postfix
import process
import report
import stages
import tools
import workload as work
from process import Failed

PARTS = ["plan", "first", "sizes", "profile"]
LIMIT_ROUNDS = 200  # signatures for the limit, in each round


def arguments():
    names = [each.name for each in work.WORKLOADS] + [each.name for each in tools.TOOLS] + plan.PEERS + PARTS
    parser = argparse.ArgumentParser(prog="scripts/compare", description="Measures mailrun beside other programs.")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (5)")
    parser.add_argument("--rows", type=count, help="rows of the 10kb campaign; the others have a part, or a multiple, of them (4000)")
    parser.add_argument("--only", metavar="NAME,…", default="", help=f"workloads, programs and parts: {', '.join(names)}")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where raw data, tables and charts go (target/compare/<time>)")
    parser.add_argument("--plan-rows", type=count, metavar="N", help="rows of the plan (1m); a tenth as many are suppressed")
    parser.add_argument("--sizes", type=lambda text: [count(size) for size in text.split(",")], metavar="N,…", help="list sizes (10k,100k)")
    parser.add_argument("--memory", type=count, metavar="N", help="send N rows of 10 kB once more, and look at the memory")
    parser.add_argument("--quick", action="store_true", help="all of it once, small: no figures to quote")
    parser.add_argument("--report", type=Path, metavar="DIR", help="measure nothing: make tables and charts again from the raw data in DIR")
    given = parser.parse_args()
    usual = {"rounds": 1, "rows": 200, "plan_rows": 50_000, "sizes": [1_000, 5_000]} if given.quick else {
        "rounds": 5, "rows": 4_000, "plan_rows": 1_000_000, "sizes": [10_000, 100_000]}
    for name, value in usual.items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    given.only = [name for name in given.only.split(",") if name]
    if unknown := [name for name in given.only if name not in names]:
        parser.error(f"nothing is called {', '.join(unknown)}; there are {', '.join(names)}")
    return given


def count(text):
    """10k, 1m, 200_000."""
    match = re.fullmatch(r"([\d_]+)([km]?)", text.lower())
    if not match:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number such as 200, 10k or 1m")
    return int(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2]]


class Comparison:
    def __init__(self, given, home, out):
        self.given, self.home, self.out = given, home, out
        self.measurements, self.missing = [], {}
        # What --only names of one kind (workloads and parts, or programs) leaves out the others of that kind.
        wanted = set(given.only)
        sorts = [each.name for each in work.WORKLOADS] + PARTS
        programs = [each.name for each in tools.TOOLS] + plan.PEERS
        self.sorts = [name for name in sorts if name in wanted or not wanted & set(sorts)]
        self.programs = [name for name in programs if name in wanted or not wanted & set(programs)]

    def note(self, part, round_, found, **names):
        """Writes a measurement to the raw data, and tells it."""
        line = {"part": part, "round": round_, **names, **found}
        self.measurements.append(line)
        with open(self.out / "measurements.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
        told = [f"round {round_}", part, *map(str, names.values())]
        if found.get("rows") and "wall" in found:
            told.append(f"{found['rows']:,} rows: {found['rows'] / found['wall']:,.0f}/s, {found['cpu'] / found['rows'] * 1e6:,.1f} µs of CPU each")
        elif "limit" in found:
            told.append(f"{found['limit'] * 1e6:,.0f} µs")
        elif "bytes" in found:
            told.append(f"{found['bytes']:,} bytes: as they should be")
        elif "wall" in found:
            told.append(f"{found['wall'] * 1000:,.0f} ms")
        elif "samples" in found:
            told.append(f"{found['samples']:,} samples")
        elif part == "first":
            told.append(f"{found['seconds'] * 1000:.1f} ms")
        print("  ".join(told), flush=True)

    def run(self):
        benches = [self.prepare(each) for each in work.WORKLOADS if each.name in self.sorts]
        benches = [bench for bench in benches if bench]
        if "postfix" in self.programs and postfix.MISSING:
            self.missing["postfix"] = postfix.MISSING
        plans = plan.Plans(self.home, self.given.plan_rows) if "plan" in self.sorts else None
        mine = alone.Alone(self.home) if "mailrun" in self.programs else None
        for round_ in range(1, self.given.rounds + 1):
            for bench in benches:
                self.send(bench, round_)
            if plans:
                self.plan(plans, round_)
            if mine:
                self.mailrun_alone(mine, round_)
        if mine and self.given.memory:
            workload = next(each for each in work.WORKLOADS if each.name == "unsigned")
            self.note("memory", 1, mine.send(workload, self.given.memory, memory=True))
        if mine and "profile" in self.sorts:
            self.profile(benches)

    def prepare(self, workload):
        """Makes a workload ready, and sees each program send it as it should."""
        bench = tools.Bench(workload, self.home, self.given.rows)
        for tool in self.tools(workload, tools.TOOLS[0].name):
            try:
                found = bench.prove(tool)
            except Failed as failed:
                if workload.personalised or "unknown field `personalised`" not in str(failed):
                    raise
                self.missing[workload.name] = "this mailrun does not know `personalised = false`"
                return None
            self.note("proof", 0, {"bytes": found}, workload=workload.name, tool=tool.name)
        return bench

    def tools(self, workload, always=None):
        return [tool for tool in tools.TOOLS if (tool.name in self.programs or tool.name == always) and tool.takes(workload)]

    def send(self, bench, round_):
        name = bench.workload.name
        if bench.workload.signed and bench.body_bytes:
            for masked in (False, True) if tools.IFMA else (False,):
                self.note("limit", round_, self.limit(bench.body_bytes, masked), workload=name, masked=masked)
        chosen = self.tools(bench.workload)
        # Another one goes first in every round.
        for tool in chosen[round_ % len(chosen):] + chosen[:round_ % len(chosen)] if chosen else []:
            self.note("send", round_, bench.measure(tool), workload=name, tool=tool.name)

    def limit(self, body_bytes, masked):
        """CPU seconds of one signature and one hash on all cores at once, by whichever library is quicker at both."""
        command = [tools.PEERS / "peer-limit", work.KEY, LIMIT_ROUNDS, os.cpu_count(), body_bytes]
        usage = process.run(command, self.home / "limit.log", env=os.environ | (tools.MASKED if masked else {}))
        found = {library: {"signature": each["signature"], "hash": each["hash"][str(body_bytes)]} for library, each in json.loads(usage.output).items()}
        library = min(found, key=lambda name: sum(found[name].values()))
        return {"body_bytes": body_bytes, "libraries": found, "library": library, **found[library], "limit": sum(found[library].values())}

    def plan(self, plans, round_):
        chosen = [name for name in plan.PLANNERS if name in self.programs]
        for kind in figures.KINDS:
            planned = []
            for tool in chosen[::1 if round_ % 2 else -1]:
                found = plans.measure(tool, kind)
                planned.append(found["planned"])
                self.note("plan", round_, found, tool=tool, kind=kind)
            plans.agree(planned)
        for tool in chosen:
            self.note("empty", round_, plans.empty(tool), tool=tool)

    def mailrun_alone(self, mine, round_):
        if "first" in self.sorts:
            self.note("first", round_, mine.first_message())
        if "sizes" in self.sorts:
            for rows in self.given.sizes:
                self.note("size", round_, mine.send(work.SHORT, rows), what="send")
                self.note("size", round_, mine.plan(rows), what="plan")

    def profile(self, benches):
        if why := stages.missing():
            self.missing["profile"] = why
            return
        for bench in benches:
            self.note("profile", 1, stages.shares(bench), workload=bench.workload.name)


def machine(missing):
    """Where and of what the figures are."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1])
    commit = said(["git", "describe", "--always", "--dirty", "--abbrev=12"])
    lock = (work.ROOT / "benches" / "peers" / "Cargo.lock").read_text()
    versions = {name: re.search(rf'name = "{name}"\nversion = "([^"]+)"', lock)[1] for name in ("lettre", "mail-send", "mail-auth", "ring", "aws-lc-rs")}
    for line in (work.ROOT / "scripts" / "compare.d" / "requirements.txt").read_text().split():
        name, _, version = line.partition("==")
        versions[name] = version
    versions |= {"Python": platform.python_version(), "Postfix": said(["postconf", "-d", "-h", "mail_version"])}
    if shutil.which("opendkim"):
        versions["OpenDKIM"] = re.search(r"v([\d.]+)", said(["opendkim", "-V"]))[1]
    return {
        "cpu": cpu[1] if cpu else platform.processor(), "ifma": tools.IFMA, "cores": os.cpu_count(), "memory_gib": round(memory / 2**20), "kernel": platform.release(),
        "mailrun": said([os.environ["MAILRUN"], "--version"]), "binary": hashlib.sha256(Path(os.environ["MAILRUN"]).read_bytes()).hexdigest()[:16],
        "commit": commit, "command": shlex.join(["scripts/compare", *sys.argv[1:]]),
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "versions": versions, "missing": missing,
    }


def said(command):
    done = subprocess.run(command, cwd=work.ROOT, capture_output=True, text=True)
    return (done.stdout or done.stderr).strip() or "unknown"


def write(out, measurements, about):
    made = report.Report(measurements, about)
    (out / "machine.json").write_text(json.dumps(about, indent=1) + "\n")
    (out / "summary.md").write_text(made.markdown())
    for name, svg in made.charts():
        (out / name).write_text(svg)
    print(f"\n{made.goals_table()}\n{out}/summary.md, measurements.jsonl and charts (*.svg)")


def main():
    given = arguments()
    if given.report:
        write(given.report, report.read(given.report / "measurements.jsonl"), json.loads((given.report / "machine.json").read_text()))
        return
    for number in (signal.SIGTERM, signal.SIGINT):  # programs are ended, folders removed
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    out = given.out or work.ROOT / "target" / "compare" / datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    out.mkdir(parents=True, exist_ok=True)
    (out / "measurements.jsonl").write_text("")
    # Not in memory, and readable for those that give up root's rights.
    with tempfile.TemporaryDirectory(prefix="mailrun-compare-", dir=os.environ.get("TMPDIR", "/var/tmp")) as home:
        os.chmod(home, 0o755)
        process.guard(home)
        comparison = Comparison(given, Path(home), out)
        failure = None
        try:
            comparison.run()
        except Failed as failed:
            failure = failed
        finally:
            process.end_all()
    write(out, comparison.measurements, machine(comparison.missing))
    if failure:
        sys.exit(f"FAILED {failure}")  # what was measured before stands


main()
