"""The circle: a run, bounces that Postfix and Exim make of it, the suppression list, and the next run without those addresses.

The mail servers accept all of a small run, can't deliver to some of its recipients, and return what they can't deliver to return paths
with tokens. Postfix hands that to `mailrun feedback listen` over LMTP on a Unix socket and over SMTP, Exim over LMTP on TCP; and Postfix puts it into a mailbox
that `mailrun feedback read` fetches from Dovecot. All on loopback.
"""

import json
import os
import shutil
import signal
import subprocess
import time

import common
from common import holds, ok, same
from cryptography.hazmat.primitives.asymmetric import rsa
from peers import PASSWORD, make_certificates
from receivers import KEEPER, SECONDS, Exim, Postfix, split

DOMAIN = "readers.example"
GONE = [f"gone{number}@{DOMAIN}" for number in range(1, 4)]
THERE = [f"reader{number}@{DOMAIN}" for number in range(1, 6)]
RETURNED = "mail.harbourlane.example"  # the domain of the return paths

CAMPAIGN = """
[campaign]
id = "circle"
without-unsubscribe = true
[sender]
from = "Häuser am Hafen <news@mail.harbourlane.example>"
return-path = "bounces@mail.harbourlane.example"
verp = true
[target-group]
files = ["list.csv"]
[template]
subject = "News"
text = "text.hbs"
[[dkim]]
domain = "mail.harbourlane.example"
selector = "s2026"
key = "{keys}/test-only-rsa.pem"
[delivery]
route = "relay"
[delivery.relay]
host = "127.0.0.1"
port = {port}
tls = "none"
"""


class BouncingPostfix(Postfix):
    """It accepts whoever is written to, and finds out later who is unknown. `returns` is the transport of what it returns."""

    def __init__(self, home, certificate, returns):
        self.returns = returns
        super().__init__(home, certificate)

    def prepare(self):
        command = super().prepare()
        conf = self.home / "conf"
        known = ", ".join(f"{{ {address} = inbox/ }}" for address in THERE)
        (conf / "returned").write_text("/^bounces\\+/ returned/\n")
        main = (conf / "main.cf").read_text().replace("virtual_mailbox_maps = static:inbox/\n", "")
        main += f"virtual_mailbox_maps = inline:{{ {known} }}, regexp:{conf}/returned\nsmtpd_reject_unlisted_recipient = no\n"
        if self.returns:
            main += f"transport_maps = inline:{{ {RETURNED}={self.returns} }}\n"
        (conf / "main.cf").write_text(main)
        with open(conf / "master.cf", "a") as services:
            services.write("lmtp unix - - n - - lmtp\nsmtp unix - - n - - smtp\n")
        return command


class BouncingExim(Exim):
    """The same; what it returns goes to this port over LMTP."""

    def __init__(self, home, certificate, port):
        self.feedback_port = port
        super().__init__(home, certificate)

    def prepare(self):
        command = super().prepare()
        file = self.home / "root/etc/exim4/exim4.conf"
        gone = " : ".join("!" + address.split("@")[0] for address in GONE)
        file.write_text(file.read_text().replace("begin routers\n", f"""\
begin routers
feedback:
  driver = manualroute
  domains = {RETURNED}
  route_list = * 127.0.0.1
  self = send
  transport = feedback
""").replace("keep:\n  driver = accept\n", f"keep:\n  driver = accept\n  local_parts = {gone} : *\n").replace("begin transports\n", f"""\
begin transports
feedback:
  driver = smtp
  protocol = lmtp
  port = {self.feedback_port}
  allow_localhost
"""))
        return command


class Dovecot:
    """An IMAP server for one Maildir."""

    def __init__(self, home, certificate, maildir):
        self.home, self.certificate, self.maildir = home, certificate, maildir
        self.clear, self.tls = common.free_port(), common.free_port()

    def __enter__(self):
        chain, key = split(self.certificate)
        (self.home / "chain.pem").write_text(chain)
        (self.home / "key.pem").write_text(key)
        (self.home / "dovecot.conf").write_text(f"""\
protocols = imap
listen = 127.0.0.1
base_dir = {self.home}/run
state_dir = {self.home}/state
log_path = {self.home}/log
ssl = required
ssl_cert = <{self.home}/chain.pem
ssl_key = <{self.home}/key.pem
mail_location = maildir:{self.maildir}
first_valid_uid = 1
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={KEEPER} gid={KEEPER} home={self.home}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.clear}
  }}
  inet_listener imaps {{
    port = {self.tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
""")
        (self.home / "home").mkdir()
        shutil.chown(self.home / "home", KEEPER, KEEPER)
        self.process = subprocess.Popen(["dovecot", "-F", "-c", str(self.home / "dovecot.conf")], stdin=subprocess.DEVNULL)
        for port in (self.clear, self.tls):
            common.wait_for_port(port, self.process)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=20)


class Listener:
    """`mailrun feedback listen` for as long as it is needed."""

    def __init__(self, home, place):
        self.home, self.place = home, place

    def __enter__(self):
        command = mailrun(self.home, "feedback", "listen", "--listen", self.place, "--json")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        holds('"listening"' in first, f"the listener says {first!r}: {self.process.stderr.read() if not first else ''}")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.said, self.log = self.process.communicate(timeout=30)
        same("the listener's exit code", self.process.returncode, 0)


def mailrun(home, *arguments):
    return [os.environ["MAILRUN"], *map(str, arguments), "--state", str(home / "state"), "--runs", str(home / "runs")]


def suppressed(home):
    listed = subprocess.run(mailrun(home, "suppress", "list", "--json"), capture_output=True, text=True, check=True).stdout
    return {entry["email"]: entry["reason"] for entry in map(json.loads, listed.splitlines())}


def make_campaign(home, port):
    keys = os.path.relpath(common.WELCOME / "keys", home)
    (home / "campaign.toml").write_text(CAMPAIGN.format(keys=keys, port=port))
    (home / "text.hbs").write_text("Hello\n")
    (home / "list.csv").write_text("email\n" + "".join(f"{address}\n" for address in THERE + GONE))
    return home / "campaign.toml"


def wait_until(what, server, ready):
    until = time.monotonic() + SECONDS
    while not ready():
        holds(time.monotonic() < until, f"{what}: {server.told()}")
        time.sleep(0.2)


def send_first(home, server):
    """The run that bounces."""
    campaign = make_campaign(home, server.ways[0].port)
    first = common.send(campaign, home / "runs", home / "state", "--edition", "1")
    same("the first run", common.count(first.rows), {"accepted": len(THERE + GONE)})
    return campaign


def send_next(home, campaign, what):
    """The run without those that bounced."""
    same(f"{what}: suppressed", suppressed(home), dict.fromkeys(GONE, "bad_mailbox"))
    following = common.send(campaign, home / "runs", home / "state", "--edition", "2")
    same(f"{what}: the next run", common.count(following.rows), {"accepted": len(THERE), "suppressed": len(GONE)})


def check_listener(home, what, server, place):
    with Listener(home, place) as listener, server:
        campaign = send_first(home, server)
        wait_until(f"{what}: bounces", server, lambda: len(suppressed(home)) == len(GONE))
        send_next(home, campaign, what)
        server.take(2 * len(THERE))
    mails = [json.loads(line) for line in listener.said.splitlines()]
    events = [event for mail in mails for event in mail["events"]]
    same(f"{what}: by what", {event["recipient"]["by"] for event in events}, {"envelope"})
    same(f"{what}: whom", sorted(event["recipient"]["address"] for event in events), GONE)
    ok(f"{what} returns what it can't deliver, and the next run leaves {len(GONE)} addresses out")


def check_dovecot(home, authority, certificate):
    server = BouncingPostfix(home / "postfix", certificate, None)
    (home / "dovecot").mkdir()
    state = home / "state"
    state.mkdir(mode=0o700)
    (state / "imap.password").write_text(PASSWORD + "\n")
    with server, Dovecot(home / "dovecot", certificate, home / "postfix/mail/returned") as dovecot:
        campaign = send_first(home, server)
        returned = home / "postfix/mail/returned/new"
        wait_until("Dovecot: bounces", server, lambda: returned.is_dir() and len(list(returned.iterdir())) == len(GONE))
        mailbox = ('[[feedback.mailbox]]\nhost = "127.0.0.1"\nport = {}\ntls = "{}"\nca-file = "{}"\nusername = "bounces"\n'
                   'password-file = "imap.password"\ndone = "{}"\n')
        reads = [("implicit", dovecot.tls, "flag", GONE), ("starttls", dovecot.clear, "flag", []), ("starttls", dovecot.clear, "move:Old mail", GONE),
                 ("implicit", dovecot.tls, "delete", [])]
        for tls, port, done, expected in reads:
            (state / "feedback.toml").write_text(mailbox.format(port, tls, authority, done))
            read = subprocess.run(mailrun(home, "feedback", "read", "--json"), capture_output=True, text=True)
            what = f"Dovecot, {tls}, {done}"
            same(f"{what}: exit code", (read.returncode, read.stderr if read.returncode else ""), (0, ""))
            holds(PASSWORD not in read.stdout + read.stderr, f"{what}: the password is in the output")
            mails = [json.loads(line) for line in read.stdout.splitlines()]
            same(what, sorted(event["recipient"]["address"] for mail in mails for event in mail["events"]), expected)
        moved = [path for path in (home / "postfix/mail/returned/.Old mail").rglob("*") if path.parent.name in ("cur", "new")]
        same("Dovecot: moved", len(moved), len(GONE))
        send_next(home, campaign, "Dovecot")
        (state / "imap.password").write_text("wrong-password-7")
        read = subprocess.run(mailrun(home, "feedback", "read"), capture_output=True, text=True)
        holds(read.returncode == 2 and "failed to log in" in read.stderr, f"Dovecot, wrong password: {read.stderr}")
        holds("wrong-password-7" not in read.stderr, "Dovecot: the password is in the error")
    ok("bounces are fetched from Dovecot over TLS and STARTTLS, flagged, moved and deleted; the next run leaves them out")


def check(folder):
    if os.geteuid() != 0:
        print("not run: circle: mail servers are started by root only", flush=True)
        return
    folder.chmod(0o755)  # servers that give up root must get there
    home = folder / "circle"
    home.mkdir()
    authority, certificate = make_certificates(home / "certificates", rsa.generate_private_key(65537, 2048))

    def place(name, server):
        (home / name / server).mkdir(parents=True)
        return home / name, home / name / server

    lmtp, postfix = place("lmtp", "postfix")
    socket = lmtp / "feedback.sock"
    check_listener(lmtp, "Postfix over LMTP", BouncingPostfix(postfix, certificate, f"lmtp:unix:{socket}"), socket)
    smtp, postfix = place("smtp", "postfix")
    port = common.free_port()
    check_listener(smtp, "Postfix over SMTP", BouncingPostfix(postfix, certificate, f"smtp:[127.0.0.1]:{port}"), f"127.0.0.1:{port}")
    lmtp, exim = place("exim-lmtp", "exim")
    port = common.free_port()
    check_listener(lmtp, "Exim over LMTP", BouncingExim(exim, certificate, port), f"127.0.0.1:{port}")
    imap, _ = place("imap", "postfix")
    check_dovecot(imap, authority, certificate)
