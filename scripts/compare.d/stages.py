"""Where mailrun's CPU goes: perf samples of one run, counted by the module that each was in."""

import json
import re
import shutil
import subprocess

import process
import sink
import workload as work

HERTZ = 999
STACK_BYTES = 16_384  # of each sample's stack: frames beyond are not seen; a signature has a table of 8 KiB there
# A sample is of the first stage that one of its frames names, from the innermost frame outwards; but what `WHOLE` names is that stage's with
# all that it calls.
STAGES = {
    "render": r"mailrun::template(?!::handlebars::(check|library|syntax|walk))|(?<!template::)handlebars::",
    "build": r"mailrun::compose(?!::setup)|mailrun::mail",
    "sign": r"mailrun::dkim|ring_core_\w+|__bn_\w+",
    "send": r"mailrun::smtp",
    "dispatch": r"mailrun::(run|route|pacing)",
    "journal": r"mailrun::journal",
    "results": r"mailrun::results",
    "start and plan": r"mailrun::(target_group|screen|plan|suppression|cli|campaign|preflight|compose::setup|template::handlebars::(check|library|syntax|walk))",
}
WHOLE = ["results", "sign"]
REST = "runtime"  # tokio and rayon: waking threads, and looking for work
ORDER = [*STAGES, REST]


def missing():
    """Why it can't be measured here, or None."""
    if not shutil.which("perf"):
        return "perf is not installed"
    done = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-o", "/dev/null", "true"], capture_output=True, text=True)
    said = done.stderr.strip().splitlines() or ["it says nothing"]
    return f"perf does not work here: {said[0]}" if done.returncode else None


def shares(bench):
    """The share of the CPU that each stage takes in a run of a workload, with the number of samples."""
    folder, data = bench.folder, bench.folder / "perf.data"
    with sink.Sink(folder) as receiver:
        campaign = work.write_campaign(bench.workload, folder, bench.list(bench.rows), receiver.port)
        home = folder / "run-profile"
        process.run(["perf", "record", "-q", "-F", HERTZ, "-e", "cpu-clock", "--call-graph", f"dwarf,{STACK_BYTES}", "-o", data, "--",
                     *work.mailrun("send", home, campaign, "--json", "--no-check")], folder / "perf.log")
    process.run(["perf", "script", "-i", data, "--no-inline", "-F", "comm,tid,ip,sym"], folder / "perf.txt")
    shutil.rmtree(home)
    counts = fold((folder / "perf.txt").read_text(errors="replace"))
    total = sum(counts.values())
    return {"rows": bench.rows, "samples": total, "shares": {stage: counts.get(stage, 0) / total for stage in ORDER}}


def fold(script):
    """Samples per stage of what `perf script` prints: a line with the thread, then one line a frame, the innermost first."""
    patterns = {stage: re.compile(pattern) for stage, pattern in STAGES.items()}
    counts = {}
    for sample in script.split("\n\n"):
        frames = sample.strip().split("\n")[1:]
        if not frames:
            continue
        found = next((stage for stage in WHOLE if any(patterns[stage].search(frame) for frame in frames)), None)
        found = found or next((stage for frame in frames for stage, pattern in patterns.items() if pattern.search(frame)), REST)
        counts[found] = counts.get(found, 0) + 1
    return counts
