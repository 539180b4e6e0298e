"""What is measured of mailrun alone: the time to the first message, cost over list size, memory, CPU by stage."""

import json
import shutil
import signal
import time

import process
import sink
import workload as work
from process import Failed
from tools import accepted_in

FIRST_ROWS, FIRST_SECONDS = 1000, 30


class Alone:
    def __init__(self, home):
        self.folder = home / "alone"
        self.lists = home / "lists"
        self.folder.mkdir()
        self.lists.mkdir(exist_ok=True)

    def campaign(self, workload, rows, port):
        folder = self.folder / workload.name
        if not folder.exists():
            folder.mkdir()
            work.write_templates(workload, folder)
        return work.write_campaign(workload, folder, work.make_list(self.lists / f"{rows}.csv", rows), port)

    def fresh(self):
        """A folder for a run that nobody has begun."""
        home = self.folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        return home

    def first_message(self):
        """From the start of the process to the first MAIL, signed, 1,000 rows; in seconds."""
        receiver = sink.FirstMail()
        campaign = self.campaign(next(each for each in work.WORKLOADS if each.name == "10kb"), FIRST_ROWS, receiver.port)
        command = work.mailrun("send", self.fresh(), campaign, "--json", "--no-check")
        with open(self.folder / "first.log", "w") as output:
            started = time.monotonic()
            sender = process.start(command, output)
        try:
            if not receiver.came.wait(FIRST_SECONDS):
                raise Failed(f"no MAIL within {FIRST_SECONDS} s: {(self.folder / 'first.log').read_text()[-2000:]}")
        finally:
            process.end(sender, signal.SIGKILL)
            receiver.stop()
        return {"rows": FIRST_ROWS, "seconds": receiver.at - started}

    def send(self, workload, rows, memory=False):
        """One whole run."""
        with sink.Sink(self.folder) as receiver:
            campaign = self.campaign(workload, rows, receiver.port)
            command = work.mailrun("send", self.fresh(), campaign, "--json", "--no-check")
            usage = process.run(command, self.folder / "send.log", memory=memory)
        if (accepted := accepted_in(json.loads(usage.output))) != rows:
            raise Failed(f"{rows} rows, {accepted} accepted")
        found = {"rows": rows, "wall": usage.wall, "user": usage.user, "system": usage.system, "cpu": usage.cpu, "sink_cpu": receiver.cpu}
        return found | ({"peak": usage.peak, "peak_own": usage.peak_own} if memory else {})

    def plan(self, rows):
        """One whole plan."""
        command = work.mailrun("plan", self.fresh(), self.campaign(work.SHORT, rows, 25), "--json")
        usage = process.run(command, self.folder / "plan.log")
        return {"rows": rows, "wall": usage.wall, "user": usage.user, "system": usage.system, "cpu": usage.cpu}
