"""Real DNS servers on loopback: NSD holds the zones, Unbound resolves, and `mailrun mx` says where mail would go.

Unbound asks NSD for `example`, nobody for `hole.example` (a port that never answers), and a server that refuses for
`broken.example`, which makes it SERVFAIL as it would for a lame delegation.
"""

import json
import os
import socket
import subprocess

import common
from common import holds, ok, same

ZONE = """\
$ORIGIN example.
$TTL 300
@        IN SOA ns hostmaster 1 7200 900 1209600 60
@        IN NS ns
ns       IN A 127.0.0.1
; two domains with the same hosts, in the same order
one      IN MX 10 mx1.shared
one      IN MX 20 mx2.shared
two      IN MX 5 MX1.Shared
two      IN MX 7 mx2.shared
swapped  IN MX 20 mx1.shared
swapped  IN MX 10 mx2.shared
mx1.shared IN A 192.0.2.1
mx1.shared IN AAAA 2001:db8::1
mx2.shared IN A 192.0.2.2
; providers
gmail    IN MX 10 a.mx.google.com.
office   IN MX 10 office.mail.protection.outlook.com.
mixed    IN MX 10 a.mx.google.com.
mixed    IN MX 20 mx1.shared
; others
null     IN MX 0 .
alias    IN CNAME one
implicit IN A 192.0.2.9
text     IN TXT "no mail here"
dead     IN MX 10 gone.shared
literal  IN MX 10 192.0.2.7.
local    IN MX 10 localhost.
xn--mller-kva IN MX 10 mx1.shared
"""
GOOGLE = """\
$ORIGIN google.com.
$TTL 300
@    IN SOA ns hostmaster 1 7200 900 1209600 60
@    IN NS ns
ns   IN A 127.0.0.1
a.mx IN A 192.0.2.25
"""
OUTLOOK = GOOGLE.replace("google.com", "outlook.com").replace("a.mx IN", "office.mail.protection IN")


class Servers:
    """NSD and Unbound, for as long as they are needed."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []
        # Bound and never read: a name server that does not answer.
        self.hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hole.bind(("127.0.0.1", 0))

    def __enter__(self):
        zones = {"example": ZONE, "google.com": GOOGLE, "outlook.com": OUTLOOK}
        authority, resolver = common.free_port(), common.free_port()
        for name, text in zones.items():
            (self.folder / f"{name}.zone").write_text(text)
        entries = "".join(f'zone:\n  name: "{name}"\n  zonefile: "{name}.zone"\n' for name in zones)
        self.start("nsd", authority, f"""\
server:
  ip-address: 127.0.0.1@{authority}
  port: {authority}
  username: ""
  zonesdir: "{self.folder}"
  database: ""
  pidfile: ""
  logfile: "{self.folder}/nsd.log"
  xfrdfile: "{self.folder}/xfrd.state"
  zonelistfile: "{self.folder}/zone.list"
  xfrdir: "{self.folder}"
  server-count: 1
remote-control:
  control-enable: no
{entries}""", "nsd", "-d", "-c")
        hole = self.hole.getsockname()[1]
        # NSD refuses what it has no zone for; Unbound makes that SERVFAIL.
        stubs = {name: authority for name in zones} | {"hole.example": hole, "broken.example": self.refusing()}
        entries = "".join(f'stub-zone:\n  name: "{name}"\n  stub-addr: 127.0.0.1@{port}\n' for name, port in stubs.items())
        self.start("unbound", resolver, f"""\
server:
  interface: 127.0.0.1@{resolver}
  port: {resolver}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{self.folder}"
  pidfile: ""
  logfile: "{self.folder}/unbound.log"
  use-syslog: no
  do-not-query-localhost: no
  do-ip6: no
  module-config: "iterator"
  local-zone: "example." nodefault
remote-control:
  control-enable: no
{entries}""", "unbound", "-d", "-c")
        return f"127.0.0.1:{resolver}"

    def refusing(self):
        """A second NSD, without any zone."""
        port = common.free_port()
        folder = self.folder / "refusing"
        folder.mkdir()
        self.start("refusing", port, f"""\
server:
  ip-address: 127.0.0.1@{port}
  port: {port}
  username: ""
  zonesdir: "{folder}"
  database: ""
  pidfile: ""
  logfile: "{folder}/nsd.log"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  xfrdir: "{folder}"
  server-count: 1
remote-control:
  control-enable: no
""", "nsd", "-d", "-c")
        return port

    def start(self, name, port, configuration, *command):
        file = self.folder / f"{name}.conf"
        file.write_text(configuration)
        log = open(self.folder / f"{name}.out", "w")
        process = subprocess.Popen([*command, str(file)], stdout=log, stderr=log)
        self.processes.append(process)
        try:
            common.wait_for_port(port, process)
        except common.Failed as failed:
            raise common.Failed(f"{failed}: {(self.folder / f'{name}.out').read_text()}") from None

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(timeout=20)
        self.hole.close()


def ask(server, home, *domains, exits):
    command = [os.environ["MAILRUN"], "mx", "--json", "--dns-server", server, "--campaign", str(home / "campaign.toml"), *domains]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | {"MAILRUN_STATE": str(home / "state")})
    holds(done.returncode == exits, f"`{' '.join(command)}` ended with {done.returncode}, not {exits}:\n{done.stdout}{done.stderr}")
    return {answer["domain"]: answer for answer in json.loads(done.stdout)["domains"]}


def hosts(answer):
    return [(host["preference"], host["name"], host["addresses"]) for host in answer["hosts"]]


def check(folder):
    home = folder / "names"
    home.mkdir()
    # No policy of `mta-sts.…` is fetched: there is no web server here.
    (home / "campaign.toml").write_text(
        '[campaign]\nid = "names"\n[sender]\nfrom = "a@example.com"\n[target-group]\nfiles = ["a.csv"]\n'
        '[template]\nsubject = "x"\ntext = "x"\n[delivery]\nroute = "mx"\n[delivery.mx]\nmta-sts = false\n')
    with Servers(home) as server:
        found = ask(server, home, "one.example", "two.example", "swapped.example", "alias.example", "gmail.example",
                    "office.example", "mixed.example", "implicit.example", "müller.example", exits=0)
        same("names: hosts of one.example", hosts(found["one.example"]),
             [(10, "mx1.shared.example", ["192.0.2.1", "2001:db8::1"]), (20, "mx2.shared.example", ["192.0.2.2"])])
        for name in ("two.example", "alias.example"):
            same(f"names: site of {name}", found[name]["key"], found["one.example"]["key"])
        holds(found["swapped.example"]["key"] != found["one.example"]["key"], "names: another order is the same site")
        same("names: providers", [found[f"{name}.example"]["provider"] for name in ("gmail", "office", "mixed", "one")],
             ["google", "microsoft365", None, None])
        same("names: TLS to Google", found["gmail.example"]["tls"], "required")
        same("names: implicit MX", hosts(found["implicit.example"]), [(0, "implicit.example", ["192.0.2.9"])])
        same("names: A-labels", hosts(found["xn--mller-kva.example"])[0][1], "mx1.shared.example")
        ok("NSD and Unbound: hosts, shared sites, providers, CNAME, implicit MX and A-labels as in the zones")

        wrong = ["null", "gone", "text", "literal", "local", "broken", "hole"]
        found = ask(server, home, "dead.example", *(f"{name}.example" for name in wrong), exits=1)
        told = {name: (found[f"{name}.example"]["class"], found[f"{name}.example"]["permanent"]) for name in wrong}
        for name in wrong[:5]:
            same(f"names: {name}.example", told[name], ("bad_domain", True))
        for name in ("broken", "hole"):
            same(f"names: {name}.example", told[name], ("network", False))
        holds("null MX" in found["null.example"]["problem"], f"names: {found['null.example']}")
        holds("SERVFAIL" in found["broken.example"]["problem"], f"names: {found['broken.example']}")
        holds("does not exist" in found["dead.example"]["hosts"][0]["problem"], f"names: {found['dead.example']}")
        ok("null MX, NXDOMAIN, no mail host, bad MX records, a dead MX, SERVFAIL and a black hole are told apart")
