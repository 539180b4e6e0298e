"""`mailrun check` against real daemons: NSD serves the zones, SpamAssassin and ClamAV look at the content."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

import common
from common import Failed, free_port, holds, ok, same

# The file that every virus scanner knows, in two halves so that none minds this one.
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
# GTUBE, the text that every spam filter knows: 1,000 points.
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
START_SECONDS = 120


def check_zones(folder):
    """The table of situations, with every zone served by NSD."""
    nsd = needed("nsd")
    command = ["cargo", "test", "--quiet", "--lib", "--", "preflight::sender::situations", "--test-threads=1"]
    done = subprocess.run(command, cwd=common.ROOT, env=os.environ | {"MAILRUN_NSD": nsd}, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"the situations differ with NSD:\n{done.stdout}{done.stderr}")
    ok("the situations give the same findings with NSD as the name server")
    served = Daemon(folder / "nsd", lambda place, port: [nsd, "-d", "-c", nsd_config(place, port)])
    with served as port:
        campaign = common.relay_campaign(folder / "checked", 'host = "192.0.2.26"')
        by_server = report(folder, campaign, "--dns-server", f"127.0.0.1:{port}", "--offline")
        by_file = report(folder, campaign, "--dns-zone", common.WELCOME / "zone")
    found = lambda one: [(f["level"], f["id"], f["seen"]) for f in one["findings"] if f["group"] == "sender"]
    same("findings with NSD and with the zone file", found(by_server), found(by_file))
    same("levels of the sender's findings", {level for level, _, _ in found(by_server)}, {"ok"})
    ok(f"the welcome campaign's sender: {len(found(by_server))} findings, all ok, from NSD as from the zone file")


def nsd_config(place, port):
    zone = (common.WELCOME / "zone").read_text()
    (place / "zone").write_text(zone)
    # The rest of DNS: nothing else exists.
    (place / "root").write_text("$ORIGIN .\n$TTL 300\n. IN SOA ns. hostmaster. 1 3600 600 86400 300\n. IN NS ns.\nns. IN A 127.0.0.1\n")
    config = place / "nsd.conf"
    config.write_text(
        f'server:\n  ip-address: 127.0.0.1@{port}\n  username: ""\n  chroot: ""\n  zonesdir: "{place}"\n  pidfile: ""\n'
        f'  xfrdfile: "{place}/xfrd"\n  zonelistfile: "{place}/list"\n  logfile: "{place}/log"\n  xfrdir: "{place}"\n'
        'remote-control:\n  control-enable: no\nzone:\n  name: "harbourlane.example"\n  zonefile: zone\n'
        'zone:\n  name: "."\n  zonefile: root\n')
    return str(config)


def check_content(folder):
    """SpamAssassin's and ClamAV's daemons on a message of the list and its attachments."""
    spamd, clamd = needed("spamd"), needed("clamd")
    copy = folder / "content"
    shutil.copytree(common.WELCOME, copy, ignore=shutil.ignore_patterns("runs"))
    campaign = copy / "campaign.toml"
    plain = campaign.read_text()
    as_root = ["-u", "nobody"] if os.geteuid() == 0 else []
    spam = Daemon(folder / "spamd", lambda place, port: [
        spamd, "--local", "--max-children=1", "--port", str(port), "--listen", "127.0.0.1", "--nouser-config", "--helper-home-dir", str(place), *as_root])
    virus = Daemon(folder / "clamd", lambda place, port: [clamd, "--foreground", "--config-file", clamd_config(place, port)])
    with spam as spam_port, virus as virus_port:
        table = f'\n[check]\nspamd = "127.0.0.1:{spam_port}"\nclamd = "127.0.0.1:{virus_port}"\n'
        campaign.write_text(plain + table)
        good = content(report(folder, campaign, "--sandbox", "--offline"))
        same("findings of a good message", [(f["level"], f["id"]) for f in good if f["id"] in ("spam-score", "clamd")], [("ok", "spam-score"), ("ok", "clamd")])
        ok(f"SpamAssassin: {good[0]['seen'][:90]}…")
        text = copy / "templates" / "welcome.txt.hbs"
        written = text.read_text()
        text.write_text(written + GTUBE + "\n")
        bad = content(report(folder, campaign, "--sandbox", "--offline", exits=3))
        holds(any(f["id"] == "spam-score-high" and "GTUBE" in f["seen"] for f in bad), f"GTUBE is not refused: {bad}")
        ok("SpamAssassin's GTUBE is refused")
        text.write_text(written)
        (copy / "attachments" / "eicar.txt").write_text(EICAR)
        campaign.write_text(plain.replace("attachments = [", 'attachments = ["attachments/eicar.txt", ') + table)
        bad = content(report(folder, campaign, "--sandbox", "--offline", exits=3))
        found = [f["seen"] for f in bad if f["id"] == "virus"]
        holds(any("attachments/eicar.txt" in seen for seen in found), f"EICAR is not refused: {bad}")
        ok(f"ClamAV: {found[-1]}")


def clamd_config(place, port, name="Eicar-Test", signature=EICAR):
    """A database of one signature: nothing has to be fetched."""
    database = place / "database"
    database.mkdir()
    (database / "test.ndb").write_text(f"{name}:0:*:{signature.encode().hex()}\n")
    config = place / "clamd.conf"
    user = "User root\n" if os.geteuid() == 0 else ""
    config.write_text(f"DatabaseDirectory {database}\nTCPSocket {port}\nTCPAddr 127.0.0.1\nForeground yes\n{user}TemporaryDirectory {place}\n")
    return str(config)



def check_scanners(folder):
    """Two ClamAV daemons with different signatures, and c-icap in front of a third, on every message of a run."""
    clamd, c_icap = needed("clamd"), needed("c-icap")
    words = {"First.Sig": "first-forbidden", "Second.Sig": "second-forbidden", "Third.Sig": "third-forbidden"}
    daemons = [Daemon(folder / f"clamd-{name}", lambda place, port, name=name, word=word: [
        clamd, "--foreground", "--config-file", clamd_config(place, port, name, word)]) for name, word in words.items()]
    copy = folder / "scanned"
    copy.mkdir()
    (copy / "letter.hbs").write_text("Hello {{n}}\n{{word}}\n")
    (copy / "terms.txt").write_text("Terms that everybody gets.\n" * 1_000)
    rows = "".join(f"r{n}@one.example,{n},{list(words.values())[n] if n < 3 else 'fine'}\n" for n in range(40))
    (copy / "list.csv").write_text("email,n,word\n" + rows)
    with daemons[0] as one, daemons[1] as two, daemons[2] as three:
        icap = Daemon(folder / "c-icap", lambda place, port: [c_icap, "-N", "-D", "-f", icap_config(place, port, three)])
        with icap as icap_port:
            (copy / "campaign.toml").write_text(
                '[campaign]\nid = "scanned"\nwithout-unsubscribe = true\n[sender]\nfrom = "news@mail.example.com"\n'
                '[target-group]\nfiles = ["list.csv"]\n[template]\nsubject = "Hello"\ntext = "letter.hbs"\nattachments = ["terms.txt"]\n'
                '[delivery]\nroute = "sandbox"\n'
                f'[[scanner]]\nkind = "clamd"\nname = "one"\naddress = "127.0.0.1:{one}"\n'
                f'[[scanner]]\nkind = "clamd"\nname = "two"\naddress = "127.0.0.1:{two}"\n'
                f'[[scanner]]\nkind = "icap"\nurl = "icap://127.0.0.1:{icap_port}/virus_scan"\n')
            command = [os.environ["MAILRUN"], "send", str(copy / "campaign.toml"), "--no-progress", "--no-check", "--state", str(folder / "state-s"),
                       "--runs", str(folder / "runs-s")]
            done = subprocess.run(command, cwd=common.ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            holds(done.returncode == 1, f"send ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    [results] = (folder / "runs-s").glob("scanned/*/results")
    rows = pq.read_table(results).select(["disposition", "detail"]).to_pylist()
    ends = [row["disposition"] for row in rows]
    same("dispositions", (ends[:3], set(ends[3:])), (["infected"] * 3, {"accepted"}))
    for row, name in zip(rows, words):
        holds(name in row["detail"], f"{row} does not name {name}")
        ok(f"scanned: {row['detail']}")


def icap_config(place, port, clamd_port):
    """c-icap with its service virus_scan, which asks a ClamAV daemon."""
    modules = next(Path("/usr/lib").glob("**/c_icap/virus_scan.so")).parent
    config = place / "c-icap.conf"
    user = "User root\nGroup root\n" if os.geteuid() == 0 else ""
    config.write_text(
        f"PidFile {place}/pid\nCommandsSocket {place}/ctl\nPort 127.0.0.1:{port}\n{user}TmpDir {place}\nLoadMagicFile /etc/c-icap/c-icap.magic\nModulesDir {modules}\n"
        f"ServicesDir {modules}\nServerLog {place}/log\nAccessLog {place}/access\nService antivirus_module virus_scan.so\n"
        "ServiceAlias srv_clamav virus_scan\nvirus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE\n"
        "virus_scan.SendPercentData 5\nvirus_scan.StartSendPercentDataAfter 2M\nvirus_scan.MaxObjectSize 50M\n"
        "Module common clamd_mod.so\nclamd_mod.ClamdHost 127.0.0.1\n"
        f"clamd_mod.ClamdPort {clamd_port}\n")
    return str(config)


def content(one):
    return [finding for finding in one["findings"] if finding["group"] == "content"]


def report(folder, campaign, *arguments, exits=0):
    """The JSON report of `mailrun check`."""
    command = [os.environ["MAILRUN"], "check", str(campaign), "--json", "--state", str(folder / "state"), "--runs", str(folder / "runs"),
               *map(str, arguments)]
    done = subprocess.run(command, cwd=common.ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != exits:
        raise Failed(f"`{' '.join(command)}` ended with {done.returncode}, not {exits}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def needed(program):
    """Where a daemon is; installed, and not started, where it is missing and may be installed."""
    packages = {"nsd": ["nsd"], "spamd": ["spamassassin", "spamd"], "clamd": ["clamav-daemon"], "c-icap": ["c-icap", "libc-icap-mod-virus-scan"]}
    if not shutil.which(program) and os.geteuid() == 0:
        print(f"installing {program}", file=sys.stderr)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", *packages[program]]
        if subprocess.run(install, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
            # A machine that is new has no lists of packages, or old ones.
            subprocess.run(["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "update"], env=environment, stdout=subprocess.DEVNULL, check=True)
            subprocess.run(install, env=environment, stdout=subprocess.DEVNULL, check=True)
    found = shutil.which(program)
    holds(found, f"{program} is missing: install Debian's {' '.join(packages[program])}")
    return found


class Daemon:
    """A daemon on a free port of loopback, ended with its block. `command` gets its folder and its port."""

    def __init__(self, place, command):
        self.place, self.command = place, command

    def __enter__(self):
        self.place.mkdir()
        port = free_port()
        log = open(self.place / "output", "wb")
        self.process = subprocess.Popen(self.command(self.place, port), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                common.wait_for_port(port, self.process)
                return port
            except Failed:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise Failed(f"{self.command(self.place, port)[0]} does not start:\n{(self.place / 'output').read_text(errors='replace')[-2000:]}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
