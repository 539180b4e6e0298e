"""Mail servers as they are in use take a campaign over loopback: Postfix, Exim and OpenSMTPD, each with a configuration of its own.

Each is given the same list in the ways that it has: in clear, over STARTTLS, with AUTH, with CHUNKING and without. Every message must be in its
mailbox afterwards, whole, with the sender's signatures, and the result rows must say what the server said. Exim and OpenSMTPD run in
a folder of their own as root directory, with users of their own: nothing of them is installed, and nothing stays.
"""

import csv
import email
import email.policy
import os
import re
import shutil
import signal
import socketserver
import subprocess
import threading
import time
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

import common
from common import holds, ok, same, verify
from peers import PASSWORD, USER, make_certificates

UNPACKED = Path(os.environ.get("MAILRUN_RECEIVERS", ".venv/receivers"))
REFUSED, INTERNATIONAL = "refused@example.com", "grüße@example.com"
KEEPER = 65534  # the user and group that mailboxes belong to: nobody, or one of the root directory's own
SECONDS = 60  # the longest that a server may take to deliver what it accepted

CAMPAIGN = """
[campaign]
id = "{id}"
without-unsubscribe = true
[sender]
from = "Häuser am Hafen <news@mail.harbourlane.example>"
return-path = "bounces@mail.harbourlane.example"
[target-group]
files = ["list.csv"]
id = "number"
name = "name"
[template]
subject = "Grüße an {{{{name}}}}"
text = "text.hbs"
html = "page.hbs"
[[dkim]]
domain = "mail.harbourlane.example"
selector = "s2026"
key = "{keys}/test-only-rsa.pem"
[[dkim]]
domain = "mail.harbourlane.example"
selector = "e2026"
key = "{keys}/test-only-ed25519.pem"
[delivery]
route = "relay"
[delivery.relay]
host = "127.0.0.1"
port = {port}
connections = 3
{relay}
[delivery.retry]
first = "1s"
give-up-after = "10s"
"""
TEXT = "Hello {{name}},\n.\n..two dots\nFrom here on: 日本語, 👋\n\n{{{letter}}}\n"
PAGE = "<p>Hello {{name}}, <b>ünïcödé</b> &amp; trailing space </p>\n.\n<p>{{number}}</p>\n"
NAMES = ["Ann", "Bob O'Neill", "Łucja Żółć", "さくら", "Zoë \"Zed\" Q.", "Ωμέγα", "Дмитрий", "Smith, John"]
LARGE = "".join(f"line {number:05}: The quick brown fox – über die Brücke.\n" for number in range(6000))  # more than 300 kB


@dataclass
class Way:
    """How a server is reached: one of its ports."""

    tls: bool
    auth: bool
    chunking: bool
    port: int

    def __str__(self):
        names = ["STARTTLS" if self.tls else "clear", "AUTH" if self.auth else None, "CHUNKING" if self.chunking else None]
        return ", ".join(filter(None, names))


def ways(server):
    """In clear, over TLS, over TLS with AUTH; with CHUNKING and without. Of these, what the server has."""
    wanted = [(False, False, False), (False, False, True), (True, False, True), (True, True, False), (True, True, True)]
    return [Way(*way, common.free_port()) for way in wanted if server.TLS >= way[0] and server.CHUNKING >= way[2]]


class Server:
    """A mail server for as long as it is needed: `with` starts it and ends it, and all that it started."""

    TLS = True
    SMTPUTF8 = True
    CHUNKING = True
    UTF8_STAYS = False  # its trace field says UTF8SMTP of all later messages of a connection too

    def __init__(self, home, certificate):
        self.home, self.certificate, self.ways = home, certificate, ways(self)
        self.log = home / "output"

    def __enter__(self):
        command = self.prepare()
        with open(self.log, "w") as output:
            # A session of its own: ending it ends every process of the server's.
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        try:
            for way in self.ways:
                common.wait_for_port(way.port, self.process)
        except BaseException as error:
            self.__exit__()
            raise common.Failed(f"{error}: {self.told()}") from None
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            pass
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=20)

    def left(self):
        """The processes of the server's that are still there: those of its session, and those within its folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
                where = [os.readlink(entry / link) for link in ("cwd", "root")]
            except OSError:  # ended meanwhile
                continue
            if session == self.process.pid or any(path == str(self.home) or path.startswith(f"{self.home}/") for path in where):
                found.append(int(entry.name))
        return found

    def told(self):
        return "".join(path.read_text(errors="replace")[-4000:] for path in [self.log, *self.logs()] if path.exists())

    def take(self, number):
        """The `number` messages that the mailbox must hold in a while; it is empty afterwards."""
        until = time.monotonic() + SECONDS
        while len(paths := list((self.inbox / "new").glob("*"))) < number:
            holds(time.monotonic() < until, f"{self.NAME}: {len(paths)} of {number} messages in its mailbox: {self.told()}")
            time.sleep(0.05)
        messages = []
        for path in paths:
            messages.append(path.read_bytes())
            path.unlink()
        return messages

    def ports(self, wanted):
        return ":".join(str(way.port) for way in self.ways if wanted(way))


class DovecotAuth(socketserver.ThreadingTCPServer):
    """Answers Postfix's smtpd as Dovecot's auth process would (protocol 1.2); it knows one user."""

    daemon_threads = True

    class RequestHandlerClass(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nDONE\n")
            for line in self.rfile:
                command, *fields = line.decode().rstrip("\n").split("\t")
                if command == "AUTH":
                    given = next(field[5:] for field in fields if field.startswith("resp="))
                    good = b64decode(given).split(b"\0")[1:] == [USER.encode(), PASSWORD.encode()]
                    self.wfile.write(f"OK\t{fields[0]}\tuser={USER}\n".encode() if good else f"FAIL\t{fields[0]}\tuser={USER}\n".encode())

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.RequestHandlerClass)


class Postfix(Server):
    NAME = "Postfix"

    def prepare(self):
        self.inbox = self.home / "mail" / "inbox"
        conf, queue, data = (self.home / name for name in ("conf", "queue", "data"))
        for folder in (conf, queue, data, self.home / "mail"):
            folder.mkdir()
        shutil.chown(data, "postfix")
        shutil.chown(self.home / "mail", KEEPER, KEEPER)
        self.auth = DovecotAuth()
        threading.Thread(target=self.auth.serve_forever, daemon=True).start()
        refused = f"check_recipient_access inline:{{{{{REFUSED} = 550 5.1.1 No such reader}}}}"
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
notify_classes =
virtual_mailbox_domains = static:all
virtual_mailbox_maps = static:inbox/
virtual_mailbox_base = {self.home}/mail
virtual_mailbox_limit = 0
virtual_uid_maps = static:{KEEPER}
virtual_gid_maps = static:{KEEPER}
smtpd_tls_chain_files = {self.key_and_certificate()}
smtpd_tls_session_cache_database =
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{self.auth.server_address[1]}
smtpd_recipient_restrictions = {refused}, reject_unauth_destination
with_auth = {refused}, permit_sasl_authenticated, reject
""")
        services = ""
        for way in self.ways:
            options = [f"smtpd_tls_security_level={'encrypt' if way.tls else 'none'}"]
            if way.auth:
                options += ["smtpd_sasl_auth_enable=yes", "smtpd_recipient_restrictions=$with_auth"]
            if not way.chunking:
                options.append("smtpd_discard_ehlo_keywords=chunking,silent-discard")
            services += f"127.0.0.1:{way.port} inet n - n - - smtpd\n" + "".join(f"  -o {option}\n" for option in options)
        for name, kind, wakeup, limit, program in [
                ("cleanup", "unix", "-", "0", "cleanup"), ("qmgr", "unix", "300", "1", "qmgr"), ("tlsmgr", "unix", "1000?", "1", "tlsmgr"),
                ("rewrite", "unix", "-", "-", "trivial-rewrite"), ("bounce", "unix", "-", "0", "bounce"), ("defer", "unix", "-", "0", "bounce"),
                ("trace", "unix", "-", "0", "bounce"), ("error", "unix", "-", "-", "error"), ("retry", "unix", "-", "-", "error"),
                ("virtual", "unix", "-", "-", "virtual"), ("anvil", "unix", "-", "1", "anvil"), ("postlog", "unix-dgram", "-", "1", "postlogd")]:
            private = "n" if name in ("cleanup", "qmgr", "postlog") else "-"
            unprivileged = "n" if name == "virtual" else "-"
            services += f"{name} {kind} {private} {unprivileged} n {wakeup} {limit} {program}\n"
        (conf / "master.cf").write_text(services)
        return ["postfix", "-c", str(conf), "start-fg"]

    def key_and_certificate(self):
        """The same file with the key first, as Postfix wants it."""
        chain, key = split(self.certificate)
        file = self.home / "chain.pem"
        file.write_text(key + chain)
        return file

    def __exit__(self, *_):
        super().__exit__()
        self.auth.shutdown()
        self.auth.server_close()

    def logs(self):
        return [self.home / "maillog"]

    def chunked(self, ids):
        """How many messages came by BDAT since the last time: the log counts each connection's commands when it ends."""
        until = time.monotonic() + SECONDS
        while True:
            log = (self.home / "maillog").read_text()
            if log.count(": connect from") == log.count(": disconnect from"):
                break
            holds(time.monotonic() < until, f"{self.NAME}: a connection has not ended: {log[-2000:]}")
            time.sleep(0.05)
        total = sum(int(found) for found in re.findall(r": disconnect from .*\bbdat=(\d+)", log))
        before, self.counted = getattr(self, "counted", 0), total
        return total - before


class Rooted(Server):
    """A server that runs in `root`, which holds its programs, their libraries and a list of users, and nothing else."""

    def root(self, programs, users):
        root = self.home / "root"
        for name in ("etc", "dev", "tmp", "var/spool", "var/run", "inbox"):
            (root / name).mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        (root / "dev/null").touch()  # a file does: nobody reads it, and a device may not be allowed here
        (root / "dev/null").chmod(0o666)
        users = {"root": 0, "keeper": KEEPER} | users
        (root / "etc/passwd").write_text("".join(f"{name}:x:{id}:{id}::/:/bin/sh\n" for name, id in users.items()))
        (root / "etc/group").write_text("".join(f"{name}:x:{id}:\n" for name, id in users.items()))
        (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\nservices: files\n")
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (root / "etc/services").write_text("smtp 25/tcp\nsubmissions 465/tcp\n")
        for program in programs:
            source = Path(program) if Path(program).is_absolute() else UNPACKED / program
            place = root / str(program).lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place)
            libraries = subprocess.run(["ldd", str(source)], capture_output=True, text=True, check=True).stdout
            holds("not found" not in libraries, f"{program} misses a library: {libraries}")
            for library in re.findall(r"(/\S+) \(0x", libraries):
                (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
                if not (root / library[1:]).exists():
                    shutil.copy(library, root / library[1:])
        self.inbox = root / "inbox"
        return root


class Exim(Rooted):
    NAME = "Exim"
    UTF8_STAYS = True
    USER = 997  # `Debian-exim`, in the root directory's own list of users

    def prepare(self):
        root = self.root(["usr/sbin/exim4"], {"Debian-exim": self.USER})
        for name in ("spool", "log", "inbox"):
            (root / name).mkdir(exist_ok=True)
            shutil.chown(root / name, self.USER, self.USER)
        shutil.copy(self.certificate, root / "server.pem")
        shutil.chown(root / "server.pem", self.USER, self.USER)
        (root / "etc/exim4").mkdir()
        listening = " ; ".join(f"[127.0.0.1]:{way.port}" for way in self.ways)
        ports = {name: f"inlist{{$received_port}}{{{self.ports(wanted)}}}" for name, wanted in
                 {"tls": lambda way: way.tls, "auth": lambda way: way.auth, "chunking": lambda way: way.chunking}.items()}
        (root / "etc/exim4/exim4.conf").write_text(f"""\
primary_hostname = exim.harbourlane.example
spool_directory = /spool
log_file_path = /log/%s
keep_environment =
deliver_drop_privilege
local_interfaces = <; {listening}
host_lookup =
smtp_accept_max = 50
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
tls_certificate = /server.pem
tls_advertise_hosts = ${{if {ports['tls']} {{*}}}}
chunking_advertise_hosts = ${{if {ports['chunking']} {{*}}}}
smtputf8_advertise_hosts = *
acl_smtp_rcpt = recipient
acl_smtp_data = accept
dkim_verify_signers =
begin acl
recipient:
  deny    recipients = {REFUSED}
          message = Unrouteable address
  deny    condition = ${{if {ports['tls']}}}
          !encrypted = *
          message = TLS is needed
  deny    condition = ${{if {ports['auth']}}}
          !authenticated = *
          message = authentication is needed
  accept
begin routers
keep:
  driver = accept
  transport = keep
begin transports
keep:
  driver = appendfile
  directory = /inbox
  maildir_format
  return_path_add
  envelope_to_add
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_advertise_condition = ${{if and{{{{def:tls_in_cipher}} {{{ports['auth']}}}}}}}
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}} {{eq{{$auth3}}{{{PASSWORD}}}}}}}}}
  server_set_id = $auth2
""")
        return ["chroot", str(root), "/usr/sbin/exim4", "-bdf"]

    def logs(self):
        return [self.home / "root/log" / name for name in ("main", "panic", "reject")]

    def chunked(self, ids):
        """The messages of these queue ids that came by BDAT: the log marks them with K."""
        lines = (self.home / "root/log/main").read_text().splitlines()
        return sum(1 for line in lines if " <= " in line and line.split()[2] in ids and " K " in line)


class OpenSmtpd(Rooted):
    NAME = "OpenSMTPD"
    SMTPUTF8 = CHUNKING = False  # neither is in it
    TLS = False  # nor used: as it runs here, in a chroot, Debian 12's build ends each handshake with an internal error

    def prepare(self):
        programs = ["usr/sbin/smtpd", "/bin/sh", *(f"usr/libexec/opensmtpd/{name}" for name in ("mail.maildir", "mail.mda"))]
        root = self.root(programs, {"opensmtpd": 995, "opensmtpq": 994})
        (root / "var/lib/opensmtpd/empty").mkdir(parents=True)
        shutil.chown(root / "inbox", KEEPER, KEEPER)
        listening = "".join(f"listen on 127.0.0.1 port {way.port}\n" for way in self.ways)
        (root / "etc/smtpd.conf").write_text(f"""\
table everyone {{ "@" = keeper }}
{listening}
action keep maildir "/inbox" virtual <everyone>
match from any for rcpt-to "{REFUSED}" reject
match from any for any action keep
""")
        return ["chroot", str(root), "/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd.conf"]

    def logs(self):
        return []

    def chunked(self, ids):
        return 0


def split(certificate):
    """The certificates and the key of a PEM file that holds both."""
    blocks = re.findall(r"-----BEGIN [^-]+-----.*?-----END [^-]+-----\n", certificate.read_text(), re.S)
    return "".join(block for block in blocks if "CERTIFICATE" in block), "".join(block for block in blocks if "KEY" in block)


def make_campaign(folder, id, way, authority):
    folder.mkdir()
    relay = f'tls = "required"\nca-file = "{authority}"' if way.tls else 'tls = "none"'
    if way.auth:
        relay += f'\nusername = "{USER}"\npassword-env = "INTEROP_PASSWORD"'
    keys = os.path.relpath(common.WELCOME / "keys", folder)
    (folder / "campaign.toml").write_text(CAMPAIGN.format(id=id, keys=keys, port=way.port, relay=relay))
    (folder / "text.hbs").write_text(TEXT)
    (folder / "page.hbs").write_text(PAGE)
    addresses = [f"reader{number}@example.com" for number in range(1, 19)] + [REFUSED, INTERNATIONAL]
    with open(folder / "list.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "email", "name", "letter"])
        for number, address in enumerate(addresses, 1):
            writer.writerow([number, address, NAMES[number % len(NAMES)], LARGE if number == 7 else f"Letter {number}: ñ"])
    return folder / "campaign.toml"


def rendered(campaign, out):
    """What `mailrun render` says of each row, by address."""
    # A state of its own: the run has put the refused address on its suppression list.
    command = [os.environ["MAILRUN"], "render", str(campaign), "--all", "--out", str(out), "--state", str(out.parent / "state-of-render")]
    done = subprocess.run(command, cwd=common.ROOT, capture_output=True, text=True, timeout=common.RUN_SECONDS,
                          env=os.environ | {"INTEROP_PASSWORD": PASSWORD, "MAILRUN_DNS_ZONE": str(common.WELCOME / "zone")})
    holds(done.returncode == 0, f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return {int(path.stem): parse(path.read_bytes()) for path in out.glob("*.eml")}


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def content(message):
    """All that a reader sees: names and subject, and each part's type and text."""
    parts = [(part.get_content_type(), part.get_content()) for part in message.walk() if not part.is_multipart()]
    return str(message["From"]), str(message["To"]), str(message["Subject"]), parts


def run_way(server, way, home, authority):
    what = f"{server.NAME} ({way})"
    campaign = make_campaign(home, home.name, way, authority)
    result = common.send(campaign, home / "runs", home / "state", exits=(1,), environment={"INTEROP_PASSWORD": PASSWORD})
    rows = {row["email"]: row for row in result.rows}
    same(f"{what}: results", len(rows), 20)

    refused = rows.pop(REFUSED)
    same(f"{what}: what became of {REFUSED}", (refused["disposition"], refused["smtp_code"], refused["class"]), ("bounced", 550, server.refusal.klass))
    holds(re.fullmatch(server.refusal.reply, refused["reply"]), f"{what}: the reply to {REFUSED} is {refused['reply']!r}")
    same(f"{what}: enhanced status of {REFUSED}", refused["enhanced_status"], server.refusal.status)
    if not server.SMTPUTF8:
        row = rows.pop(INTERNATIONAL)
        same(f"{what}: what became of {INTERNATIONAL}", row["disposition"], "bounced")
        holds("SMTPUTF8" in (row["detail"] or ""), f"{what}: the detail of {INTERNATIONAL} is {row['detail']!r}")
    for email_address, row in rows.items():
        same(f"{what}, {email_address}: result", (row["disposition"], row["smtp_code"], row["enhanced_status"]), ("accepted", 250, server.accepted.status))
        same(f"{what}, {email_address}: over TLS", row["tls"] is not None and row["tls"].startswith("TLS"), way.tls)

    wanted, zone, ids = rendered(campaign, home / "rendered"), common.Zone(), set()
    by_id = {row["message_id"].strip("<>"): row for row in rows.values()}
    for raw in server.take(len(rows)):
        raw = re.sub(rb"\r?\n", b"\r\n", raw)  # a mailbox has the line ends of its system
        message = parse(raw)
        row = by_id.pop(message["Message-ID"].strip("<> "), None)
        holds(row, f"{what}: a message twice, or one without a result: {message['Message-ID']}")
        told = f"{what}, {row['email']}"
        verify(raw, zone, told)
        same(f"{told}: what arrived", content(message), content(wanted[row["row"]]))
        same(f"{told}: return path", str(message["Return-Path"]), "<bounces@mail.harbourlane.example>")
        received = " ".join(message.get_all("Received")[-1].split())
        holds(re.search(rf"for <?{re.escape(row['email'])}>?;", received), f"{told}: another recipient: {received}")
        queue_id = re.fullmatch(server.accepted.reply, row["reply"])
        holds(queue_id, f"{told}: the reply is {row['reply']!r}")
        ids.add(queue_id[1])
        holds(f" id {queue_id[1]} " in received, f"{told}: {row['reply']!r}, but {received}")
        protocol = ("UTF8SMTP" if row["email"] == INTERNATIONAL else "ESMTP") + ("S" if way.tls else "") + ("A" if way.auth else "")
        found = re.search(r" with (\w+)", received)[1].upper().replace("UTF8ESMTP", "UTF8SMTP")
        if server.UTF8_STAYS and found.startswith("UTF8") and row["email"] != INTERNATIONAL:
            found = found.replace("UTF8", "E")
        same(f"{told}: protocol", found, protocol)
    same(f"{what}: accepted, but not arrived", list(by_id), [])
    same(f"{what}: messages by BDAT", server.chunked(ids), len(rows) if way.chunking else 0)
    leaks = [path for path in home.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    holds(not leaks and PASSWORD not in result.output, f"{what}: the password is in the output or in {leaks}")
    return len(rows)


def run_wrong_password(server, way, home, authority):
    """A refused login stops the run: exit code 4, nothing sent, no row touched."""
    what = f"{server.NAME} (a wrong password)"
    campaign = make_campaign(home, home.name, way, authority)
    stopped = common.send(campaign, home / "runs", home / "state", exits=(4,), environment={"INTEROP_PASSWORD": "not-the-password"})
    same(f"{what}: dispositions", common.count(stopped.rows), {"not_attempted": 20})
    holds("535" in stopped.output, f"{what}: the output does not tell the reply: {stopped.output}")
    same(f"{what}: messages in the mailbox", list((server.inbox / "new").glob("*")), [])


@dataclass
class Reply:
    """What a server says: its words as a pattern, the enhanced status, and the class that mailrun gives it."""

    reply: str
    status: str | None
    klass: str | None = None


Postfix.accepted = Reply(r"Ok: (?:\d+ bytes )?queued as (\w+)", "2.0.0")
Postfix.refusal = Reply(r"<refused@example\.com>: Recipient address rejected: No such reader", "5.1.1", "bad_mailbox")
Exim.accepted = Reply(r"(?:.* )?OK id=(\S+)", None)
Exim.refusal = Reply(r"Unrouteable address", None, "bad_mailbox")
OpenSmtpd.accepted = Reply(r"(\w+) Message accepted for delivery", "2.0.0")
OpenSmtpd.refusal = Reply(r"Invalid recipient.*", None, "bad_mailbox")


def check(folder):
    if os.geteuid() != 0:
        print("not run: receivers: mail servers are started by root only", flush=True)
        return
    folder.chmod(0o755)  # servers that give up root must get there
    home = folder / "receivers"
    home.mkdir()
    authority, certificate = make_certificates(home / "certificates", rsa.generate_private_key(65537, 2048))
    for kind in (Postfix, Exim, OpenSmtpd):
        place = home / kind.__name__.lower()
        place.mkdir()
        arrived = 0
        with kind(place, certificate) as server:
            for number, way in enumerate(server.ways):
                arrived += run_way(server, way, place / f"way-{number}", authority)
            for way in [way for way in server.ways if way.auth][:1]:
                run_wrong_password(server, way, place / "wrong-password", authority)
        same(f"{kind.NAME}: processes left", server.left(), [])
        ok(f"{kind.NAME} takes {arrived} messages, each whole and with its signatures: {'; '.join(map(str, server.ways))}")
    ok("Postfix and Exim refuse a wrong password: the run stops with exit code 4, nothing is sent")
