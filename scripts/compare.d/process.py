"""Programs that are measured, and those that they need: started, waited for with their rusage, and ended whatever happens."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

LONGEST = 3600  # seconds that a measured program may take
SAMPLE_SECONDS = 0.02  # between two looks at a program's memory
running = set()
guardian = None  # where the process that guards them is told what runs


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


def guard(folder):
    """Starts a process that waits for the end of this one, however it comes, then ends what this one has left and removes its folder."""
    global guardian
    reader, guardian = os.pipe()
    if os.fork():
        os.close(reader)
        return
    os.setsid()
    os.close(guardian)
    left = set()
    with open(reader) as lines:
        for line in lines:
            (left.add if line[0] == "+" else left.discard)(int(line[1:]))
    for leader in left:
        end_session(leader)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def start(command, output, errors=subprocess.STDOUT, **options):
    """Starts a program in a session of its own."""
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True, **options)
    running.add(process)
    os.write(guardian, b"+%d\n" % process.pid)
    return process


def wait(process):
    """Waits for a program's end. Returns its rusage, that of its children that it waited for included."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    forget(process)
    return usage


def forget(process):
    running.discard(process)
    os.write(guardian, b"-%d\n" % process.pid)


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
        process.kill()
        process.wait()  # where a signal came between the end of a program and its note here, there is nobody to wait for: that is fine
        forget(process)


def end_session(leader):
    """Ends every process of a session."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == leader:
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:  # ended meanwhile
            pass


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
            forget(process)
            raise Failed(f"`{process.args[0]}` ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise Failed(f"`{process.args[0]}` does not listen on port {port}")


TICK = 1 / os.sysconf("SC_CLK_TCK")


def stolen():
    """Seconds that the machine's cores wanted to work while the hypervisor let others do so, since its start (proc(5), /proc/stat)."""
    return int(Path("/proc/stat").read_text().split("\n", 1)[0].split()[8]) * TICK


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
