"""Postfix with OpenDKIM as its milter, in a folder of its own, fed by smtp-source and relaying to smtp-sink.

What it sends is smtp-source's own text, of the same size: Postfix renders no templates. So its figures leave out what the others do for
rendering, and hold what they have no need of: receiving each message, and keeping it in a queue on disk.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import dkim

import process
import sink
import workload as work

PROOF = 4
SECONDS = 300  # the longest that the queue may take


def missing():
    """Why it can't be measured here, or None."""
    if os.geteuid() != 0:
        return "only root can start Postfix"
    gone = [name for name in ("postfix", "opendkim") if not shutil.which(name)]
    return f"{' and '.join(gone)} not installed" if gone else None


MISSING = missing()


def prove(folder, body_bytes):
    """Sends a few messages, and holds their signatures against dkimpy. Returns the largest one's size."""
    kept = folder / "kept-postfix"
    with sink.Sink(folder, keep=kept) as receiver, tempfile.TemporaryDirectory(prefix="postfix-", dir=folder) as home, Relay(Path(home), receiver.port) as relay:
        feed(folder, relay, PROOF, body_bytes)
        receiver.wait_for(PROOF, SECONDS)
    messages = sink.kept(kept)
    if len(messages) != PROOF or not all(dkim.verify(raw, dnsfunc=work.record) for raw in messages):
        raise process.Failed(f"postfix: dkimpy rejects a signature of {len(messages)} messages")
    return max(map(len, messages))


def feed(folder, relay, rows, body_bytes):
    return process.run(["smtp-source", "-d", "-s", min(rows, work.CONNECTIONS), "-l", body_bytes, "-m", rows, "-f", work.FROM,
                        "-t", "reader@d1.example", f"127.0.0.1:{relay.port}"], folder / "feeder.log", longest=SECONDS)


def measure(folder, rows, body_bytes):
    """One run through Postfix. `cpu` is that of all of Postfix's processes and of opendkim; smtp-source's stands apart."""
    with sink.Sink(folder) as receiver, tempfile.TemporaryDirectory(prefix="postfix-", dir=folder) as home, Relay(Path(home), receiver.port) as relay:
        before, started = relay.cpu(), time.monotonic()
        feeder = feed(folder, relay, rows, body_bytes)
        receiver.wait_for(rows, SECONDS)
        wall, cpu = time.monotonic() - started, relay.cpu() - before
    return {"rows": rows, "wall": wall, "cpu": cpu, "feeder_cpu": feeder.cpu, "sink_cpu": receiver.cpu, "messages": receiver.messages}


class Relay:
    """Postfix and opendkim for as long as they are needed."""

    def __init__(self, home, next_port):
        self.home, self.next_port = home, next_port
        self.port, self.milter_port = process.free_port(), process.free_port()

    def __enter__(self):
        self.home.chmod(0o755)
        with open(self.home / "opendkim.log", "w") as output:
            self.opendkim = process.start(["opendkim", "-f", "-x", self.write_opendkim()], output)
        process.wait_for_port(self.milter_port, self.opendkim)
        with open(self.home / "postfix.log", "w") as output:
            # `postfix start-fg` keeps a shell above the master: this starts it alone, after `check` has made the queue's folders.
            conf = self.write_postfix()
            process.wait(process.start(["postfix", "-c", conf, "check"], output))
            master = Path(subprocess.check_output(["postconf", "-h", "daemon_directory"], text=True).strip()) / "master"
            self.postfix = process.start([master, "-c", conf, "-s"], output)
        try:
            process.wait_for_port(self.port, self.postfix)
        except process.Failed as failed:
            logs = [self.home / name for name in ("postfix.log", "maillog", "opendkim.log")]
            raise process.Failed(f"{failed}: {''.join(path.read_text()[-2000:] for path in logs if path.exists())}") from None
        return self

    def __exit__(self, *_):
        for server in (self.postfix, self.opendkim):
            process.end(server)
        process.end_session(self.postfix.pid)  # the master leaves its children to end by themselves

    def cpu(self):
        return sum(process.cpu_of_session(server.pid) for server in (self.postfix, self.opendkim))

    def write_opendkim(self):
        key = self.home / "key.pem"
        key.write_bytes(work.KEY.read_bytes())
        key.chmod(0o600)
        path = self.home / "opendkim.conf"
        path.write_text(f"""\
Mode s
Domain {work.DOMAIN}
Selector {work.SELECTOR}
KeyFile {key}
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
Socket inet:{self.milter_port}@127.0.0.1
RequireSafeKeys no
Syslog no
UserID root
""")
        return path

    def write_postfix(self):
        conf, queue, data = (self.home / name for name in ("conf", "queue", "data"))
        for folder in (conf, queue, data):
            folder.mkdir()
        shutil.chown(data, "postfix")
        (conf / "main.cf").write_text(f"""\
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {self.home}/maillog
maillog_file_prefixes = {self.home}
myhostname = postfix.harbourlane.example
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8
alias_maps =
smtpd_peername_lookup = no
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_milters = inet:127.0.0.1:{self.milter_port}
milter_default_action = tempfail
relayhost = [127.0.0.1]:{self.next_port}
default_destination_concurrency_limit = {work.CONNECTIONS}
initial_destination_concurrency = {work.CONNECTIONS}
smtp_connection_cache_destinations = [127.0.0.1]:{self.next_port}
notify_classes =
""")
        services = f"127.0.0.1:{self.port} inet n - n - - smtpd\n"
        for name, kind, private, wakeup, limit, program in [
                ("cleanup", "unix", "n", "-", "0", "cleanup"), ("qmgr", "unix", "n", "300", "1", "qmgr"), ("rewrite", "unix", "-", "-", "-", "trivial-rewrite"),
                ("bounce", "unix", "-", "-", "0", "bounce"), ("defer", "unix", "-", "-", "0", "bounce"), ("trace", "unix", "-", "-", "0", "bounce"),
                ("error", "unix", "-", "-", "-", "error"), ("retry", "unix", "-", "-", "-", "error"), ("smtp", "unix", "-", "-", "-", "smtp"),
                ("relay", "unix", "-", "-", "-", "smtp"), ("anvil", "unix", "-", "-", "1", "anvil"), ("scache", "unix", "-", "-", "1", "scache"),
                ("proxymap", "unix", "-", "-", "-", "proxymap"), ("postlog", "unix-dgram", "n", "-", "1", "postlogd")]:
            services += f"{name} {kind} {private} - n {wakeup} {limit} {program}\n"
        (conf / "master.cf").write_text(services)
        return conf
