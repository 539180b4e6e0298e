"""Holds what a sender has open while it sends for long: see scripts/soak. Linux only: it reads /proc."""

import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EVERY = 5  # seconds between samples
CONNECTIONS = 20
FEWEST = 10  # samples: fewer say nothing about fifths
# By how much the last fifth's median may exceed the second's.
BOUNDS = {"files": lambda second: 16, "threads": lambda second: 4, "rss_kib": lambda second: second / 10 + 32 * 1024}
# Local part of the sandbox, and how many of a thousand recipients it is. The rest is accepted.
FAULTS = {"rcpt-550": 5, "data-554": 3, "greylist": 20, "rcpt-452-4.2.2-once": 10, "421-once": 3, "slow-20ms": 20, "slow-500ms": 1,
          "slow-rcpt-20ms": 10, "multiline": 10, "drop-at-rcpt-once": 3, "drop-in-data-once": 3, "drop-after-dot": 1,
          "reset-at-rcpt-once": 2, "reset-after-dot": 1, "garbage-at-rcpt-once": 2, "overlong-after-dot": 1}
FIRST_LIST, LONGEST_LIST = 20_000, 5_000_000

CAMPAIGN = """
[campaign]
id = "soak"
without-unsubscribe = true
[sender]
from = "Soak <soak@mail.example.com>"
[target-group]
files = ["list.csv"]
[template]
subject = "Number {{{{number}}}}"
text = "text.hbs"
[capacity]
per-hour = 1_000_000_000
[stop]
bounce-percent = 0.0
[delivery]
route = "relay"
[delivery.relay]
host = "127.0.0.1"
port = {port}
tls = "none"
connections = {connections}
[delivery.retry]
first = "500ms"
give-up-after = "30s"
"""


def write_campaign(folder, port, rows, chance):
    folder.mkdir()
    (folder / "campaign.toml").write_text(CAMPAIGN.format(port=port, connections=CONNECTIONS))
    (folder / "text.hbs").write_text("Hello {{number}},\n" + "this is a line of the letter, as long as lines are.\n" * 40)
    names, weights = [None, *FAULTS], [1000 - sum(FAULTS.values()), *FAULTS.values()]
    with open(folder / "list.csv", "w") as file:
        file.write("email,number\n")
        for number, fault in enumerate(chance.choices(names, weights, k=rows)):
            file.write(f"{f'{fault}+{number}' if fault else f'reader{number}'}@d{number % 50}.example,{number}\n")
    return folder / "campaign.toml"


def sample(pid):
    """What the process has now, or None when it is over; `sockets` tells whether it has its connections yet."""
    try:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        names = os.listdir(f"/proc/{pid}/fd")
        found = {"files": len(names), "threads": int(status["Threads"]), "rss_kib": int(status["VmRSS"].split()[0]), "sockets": 0}
    except (OSError, KeyError):  # a process that has ended has no VmRSS
        return None
    for name in names:
        try:
            found["sockets"] += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        except OSError:  # closed meanwhile
            pass
    return found


def watch(process, seconds):
    """Samples of `seconds` of sending, or until the process is over. Screening the list, before, does not count."""
    samples = []
    while len(samples) * EVERY < seconds:
        try:
            process.wait(timeout=EVERY)
            break
        except subprocess.TimeoutExpired:
            found = sample(process.pid)
            if found and (samples or found["sockets"] >= CONNECTIONS / 2):
                samples.append(found)
    return samples


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def send(campaign, home, output):
    command = [os.environ["MAILRUN_BIN"], "send", str(campaign), "--runs", str(home / "runs"), "--state", str(campaign.parent / "state"), "--json",
               "--no-progress", "--quiet", "--no-check"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)


def end(process, patience):
    """Asks a process to end; kills it when it does not in a while. Returns its exit code."""
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


def table(samples):
    """The medians of each fifth as lines, and what grew beyond its bound."""
    size = len(samples) / 5
    fifths = [samples[round(size * n):round(size * (n + 1))] for n in range(5)]
    lines, grown = [f"{'':10}" + "".join(f"{f'fifth {n}':>12}" for n in range(1, 6)) + f"{'bound':>12}"], []
    for name, bound in BOUNDS.items():
        medians = [statistics.median(each[name] for each in fifth) for fifth in fifths]
        most = medians[1] + bound(medians[1])
        lines.append(f"{name:10}" + "".join(f"{median:12,.0f}" for median in medians) + f"{most:12,.0f}")
        if medians[4] > most:
            grown.append(name)
    return lines, grown


def main():
    minutes = float(sys.argv[1])
    if minutes * 60 / EVERY < FEWEST:
        sys.exit(f"{minutes} minutes are too short: at least {FEWEST * EVERY} seconds")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as after Ctrl-C: both processes are ended, the folder removed
    seed = int(os.environ.get("MAILRUN_SOAK_SEED") or random.randrange(1 << 32))
    print(f"seed {seed}", flush=True)
    chance, port = random.Random(seed), free_port()
    with tempfile.TemporaryDirectory(prefix="mailrun-soak-") as folder:
        home = Path(folder)
        receiver = subprocess.Popen([os.environ["MAILRUN_BIN"], "sandbox", "--listen", f"127.0.0.1:{port}", "--quiet"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        sender = None
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if receiver.poll() is not None:
                        sys.exit(f"the receiver ended with {receiver.returncode}")
                    time.sleep(0.02)
            # A short list tells how fast this machine is; one process then sends a list that lasts for the whole time.
            with open(home / "first.json", "w") as output:
                started = time.monotonic()
                sender = send(write_campaign(home / "first", port, FIRST_LIST, chance), home, output)
                code = sender.wait(timeout=600)
                rate = FIRST_LIST / (time.monotonic() - started)
            if code != 1:  # 1: some were refused, as they must be
                sys.exit(f"the first list ended with {code}, not 1:\n{(home / 'first.json').read_text()[-4000:]}")
            left, number, grown = minutes * 60, 0, []
            while left >= FEWEST * EVERY:
                number += 1
                rows = min(LONGEST_LIST, int(rate * left * 2))
                print(f"list {number}: {rows:,} rows, about {rate:,.0f}/s", flush=True)
                with open(home / f"{number}.json", "w") as output:
                    sender = send(write_campaign(home / f"list-{number}", port, rows, chance), home, output)
                    samples = watch(sender, left)
                    code = sender.poll()
                    if code is None:
                        code = end(sender, 60)
                # 4: stopped before the end of the list, and can be resumed.
                if code not in (1, 4):
                    sys.exit(f"list {number} ended with {code}, not 1 or 4:\n{(home / f'{number}.json').read_text()[-4000:]}")
                if len(samples) < FEWEST:
                    sys.exit(f"list {number} ended after {len(samples)} samples: too few")
                lines, more = table(samples)
                print("\n".join([f"{len(samples)} samples, every {EVERY} s", *lines]), flush=True)
                grown += more
                left -= len(samples) * EVERY
            receiver_code = receiver.poll()
            if receiver_code is not None:
                sys.exit(f"the receiver ended with {receiver_code}")
            if grown:
                sys.exit(f"grown beyond the bound: {', '.join(grown)}")
        finally:
            for process in (sender, receiver):
                if process and process.poll() is None:
                    end(process, 60)


main()
