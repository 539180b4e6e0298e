"""Programs that are measured, and those that they need: started, waited for with their rusage, and ended whatever happens."""

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

LONGEST = 3600  # seconds that a measured program may take
SAMPLE_SECONDS = 0.02  # between two looks at a program's memory
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
running = set()


class Failed(Exception):
    """A program that did not do what it should: what it was, and what it said."""


@dataclass
class Usage:
    """What a program took, in seconds and bytes. Memory is None where nobody looked."""

    wall: float
    user: float
    system: float
    output: str
    peak: int | None = None  # the whole resident set, mapped files included
    peak_own: int | None = None  # what is not a mapped file

    @property
    def cpu(self):
        return self.user + self.system


def start(command, output, errors=subprocess.STDOUT, **options):
    """Starts a program in a session of its own; it does not outlive this process, however that ends."""
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                               start_new_session=True, preexec_fn=end_with_parent, **options)
    running.add(process)
    return process


def end_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait(process):
    """Waits for a program's end. Returns its rusage, that of its children that it waited for included."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    running.discard(process)
    return usage


def end(process, by=signal.SIGTERM):
    """Ends a program. Returns its rusage."""
    process.send_signal(by)
    killer = threading.Timer(20, process.kill)
    killer.start()
    try:
        return wait(process)
    finally:
        killer.cancel()


@atexit.register
def end_all():
    for process in list(running):
        end(process, signal.SIGKILL)


def run(command, log, memory=False, longest=LONGEST, **options):
    """Runs a program to its end and measures it. What it prints goes to the file `log`, its errors to another beside it."""
    complaints = Path(log).with_suffix(".errors")
    with open(log, "w") as output, open(complaints, "w") as errors:
        started = time.monotonic()
        process = start(command, output, errors, **options)
        killer = threading.Timer(longest, process.kill)
        killer.start()
        watcher = Watcher(process.pid) if memory else None
        try:
            usage = wait(process)
            wall = time.monotonic() - started
        finally:
            killer.cancel()
    text = Path(log).read_text(errors="replace")
    if process.returncode != 0:
        raise Failed(f"`{' '.join(map(str, command))}` ended with {process.returncode}:\n{text[-4000:]}{complaints.read_text(errors='replace')[-4000:]}")
    found = Usage(wall, usage.ru_utime, usage.ru_stime, text)
    if watcher:
        found.peak, found.peak_own = watcher.stop()
    return found


class Watcher(threading.Thread):
    """Looks at a program's memory every few milliseconds. (`ru_maxrss` would count this process's own, from before exec.)"""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status, self.over = Path(f"/proc/{pid}/status"), threading.Event()
        self.peak = self.peak_own = 0
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                fields = dict(line.split(":", 1) for line in self.status.read_text().splitlines())
                self.peak = max(self.peak, int(fields["VmHWM"].split()[0]) * 1024)
                self.peak_own = max(self.peak_own, int(fields["RssAnon"].split()[0]) * 1024)
            except (OSError, KeyError):  # a process that has ended has no memory
                pass
            self.over.wait(SAMPLE_SECONDS)

    def stop(self):
        self.over.set()
        self.join()
        return self.peak, self.peak_own


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process):
    """Returns once somebody listens; fails when the process ends before."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            running.discard(process)
            raise Failed(f"`{process.args[0]}` ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise Failed(f"`{process.args[0]}` does not listen on port {port}")


TICK = 1 / os.sysconf("SC_CLK_TCK")


def cpu_of_session(leader):
    """CPU seconds of a session: of its processes that live, and of those that its leader has waited for."""
    total = 0.0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) != leader:
                continue
            ticks = (int(fields[11]) + int(fields[12])) * TICK
            # Nanoseconds of the threads that live: more exact than ticks, but nothing of threads that have ended.
            exact = sum(int(path.read_text().split()[0]) for path in entry.glob("task/*/schedstat")) / 1e9
            total += max(ticks, exact)
            if int(entry.name) == leader:
                total += (int(fields[13]) + int(fields[14])) * TICK
        except OSError:  # ended meanwhile
            continue
    return total
