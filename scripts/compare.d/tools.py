"""The programs that send: how each is started, and that its messages are what they should be."""

import email
import email.policy
import html
import itertools
import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import dkim

import postfix
import process
import sink
import workload as work
from process import Failed

PEERS = Path(os.environ.get("MAILRUN_PEERS", "target/peers/release"))
PYTHON_SHARE, FEWEST = 0.05, 20  # it sends so slowly that a twentieth of the list says as much
PROOF = 4  # messages that are looked at
NUMBER = itertools.count(1)
# AWS-LC signs twice as fast where the processor has AVX-512 IFMA: bit 21 of EBX of CPUID's leaf 7, the low half of the second value
# (crypto/fipsmodule/cpucap/cpu_intel.c). Without it such a processor shows how the others do.
IFMA = "avx512ifma" in Path("/proc/cpuinfo").read_text().split()
MASKED = {"OPENSSL_ia32cap": "~0x0:~0x200000"}


@dataclass(frozen=True)
class Tool:
    """A program that sends. `takes` tells for which workloads it has a part, `share` how much of the list it is given."""

    name: str
    title: str
    share: float = 1.0
    takes: callable = field(default=lambda workload: True)
    command: callable = None
    environment: dict = field(default_factory=dict)
    own: bool = False  # it is mailrun, in some way


def mailrun(durability="power-loss"):
    def command(workload, folder, list_, port):
        home = folder / f"run-{next(NUMBER)}"
        campaign = work.write_campaign(workload, folder, list_, port, durability)
        return work.mailrun("send", home, campaign, "--json", "--no-check")

    return command


def rust(name):
    return lambda workload, folder, list_, port: [PEERS / name, work.write_job(workload, folder, list_, port, "hbs")]


def python(workload, folder, list_, port):
    script = work.ROOT / "benches" / "peers" / "python" / "send.py"
    return [sys.executable, script, work.write_job(workload, folder, list_, port, "jinja")]


TOOLS = [
    Tool("mailrun", "mailrun", command=mailrun(), own=True),
    Tool("process-crash", "mailrun, durability process-crash", takes=lambda workload: workload.name == "10kb",
         command=mailrun("process-crash"), own=True),
    Tool("masked", "mailrun, AVX-512 IFMA masked", takes=lambda workload: IFMA and workload.signed, command=mailrun(), environment=MASKED, own=True),
    Tool("lettre", "lettre + mail-auth", 0.25, takes=lambda workload: workload.personalised, command=rust("peer-lettre")),
    Tool("mail-send", "mail-send + mail-auth", takes=lambda workload: workload.personalised, command=rust("peer-mail-send")),
    Tool("python", "Python: smtplib + dkimpy", PYTHON_SHARE, lambda workload: workload.personalised, python),
    Tool("smtp-source", "Postfix smtp-source", takes=lambda workload: workload.name == "unsigned"),
    Tool("postfix", "Postfix + OpenDKIM", 0.5, lambda workload: workload.name == "10kb" and postfix.MISSING is None),
]


class Bench:
    """A workload made ready: its folder, its templates, its lists, and the sizes that were seen."""

    def __init__(self, workload, home, rows):
        self.workload, self.rows = workload, max(FEWEST, int(rows * workload.share))
        self.folder, self.lists = home / workload.name, home / "lists"
        self.folder.mkdir()
        self.lists.mkdir(exist_ok=True)
        work.write_templates(workload, self.folder)
        self.body_bytes = self.message_bytes = None

    def list(self, rows):
        return work.make_list(self.lists / f"{rows}.csv", rows)

    def prove(self, tool):
        """Sends a few messages, and holds them against what they should be. mailrun's give the sizes. Returns them."""
        if tool.name == "postfix":
            return postfix.prove(self.folder, self.body_bytes)
        if tool.command is None:
            return self.message_bytes
        list_, kept = self.list(PROOF), self.folder / f"kept-{tool.name}"
        with sink.Sink(self.folder, keep=kept) as receiver:
            command = tool.command(self.workload, self.folder, list_, receiver.port)
            process.run(command, self.folder / "proof.log", longest=60, env=os.environ | tool.environment)
        messages = sink.kept(kept)
        check(self.workload, tool, messages)
        if tool.name == "mailrun":
            self.message_bytes = max(map(len, messages))
            self.body_bytes = max(len(message.partition(b"\r\n\r\n")[2]) for message in messages)
        return max(map(len, messages))

    def measure(self, tool):
        """One run of one program, as a dictionary for the raw data."""
        rows = max(FEWEST, int(self.rows * tool.share))
        list_ = self.list(rows)
        if tool.name == "postfix":
            return postfix.measure(self.folder, rows, self.body_bytes)
        stolen = process.stolen()
        with sink.Sink(self.folder) as receiver:
            if tool.name == "smtp-source":
                command = ["smtp-source", "-d", "-s", work.CONNECTIONS, "-l", self.message_bytes, "-m", rows, "-f", work.FROM,
                           "-t", "reader@d1.example", f"127.0.0.1:{receiver.port}"]
            else:
                command = tool.command(self.workload, self.folder, list_, receiver.port)
            usage = process.run(command, self.folder / f"{tool.name}.log", env=os.environ | tool.environment)
        stolen = process.stolen() - stolen
        if tool.own:
            self.tidy(usage.output, rows)
        if self.workload.personalised and receiver.messages != rows:
            raise Failed(f"{tool.name}, {self.workload.name}: {rows} rows, but smtp-sink took {receiver.messages} messages")
        return {"rows": rows, "wall": usage.wall, "user": usage.user, "system": usage.system, "cpu": usage.cpu,
                "sink_cpu": receiver.cpu, "messages": receiver.messages, "stolen": stolen}

    def tidy(self, output, rows):
        """Holds mailrun's own count against the list, and removes its run directories: they are as large as the list."""
        accepted = accepted_in(json.loads(output))
        if accepted != rows:
            raise Failed(f"mailrun, {self.workload.name}: {rows} rows, {accepted} accepted")
        for home in self.folder.glob("run-*"):
            shutil.rmtree(home)


def accepted_in(answer):
    """The count of accepted rows in what `mailrun send --json` prints."""
    return answer["summary"]["dispositions"]["accepted"]


def check(workload, tool, messages):
    """Each message is complete, has two parts that were filled in, and a signature that dkimpy verifies."""
    what = f"{tool.name}, {workload.name}"
    if len(messages) != PROOF and (workload.personalised or not messages):
        raise Failed(f"{what}: {len(messages)} messages of {PROOF} came")
    for raw in messages:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        kinds = [part.get_content_type() for part in message.walk() if not part.is_multipart()]
        wanted = ["text/plain", "text/html"] + (["application/pdf"] if workload.attachment else [])
        if kinds != wanted:
            raise Failed(f"{what}: the parts are {kinds}, not {wanted}")
        for part in ("plain", "html"):
            content = html.unescape(message.get_body((part,)).get_content())
            filled_in = workload.personalised and message["To"].addresses[0].display_name.split()[0] in content
            if "{{" in content or "{%" in content or filled_in != workload.personal_body:
                raise Failed(f"{what}: the {part} part is not filled in as it should be:\n{content[:300]}")
        if workload.signed and not dkim.verify(raw, dnsfunc=work.record):
            raise Failed(f"{what}: dkimpy rejects the signature")
        if not workload.signed and message["DKIM-Signature"]:
            raise Failed(f"{what}: there is a signature")
