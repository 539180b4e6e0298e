"""What the checks share: running mailrun, reading the rows that went in and the results that came out, the zone."""

import csv
import datetime
import decimal
import json
import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import dkim
import dns.rdatatype
import dns.zone
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent.parent
WELCOME = ROOT / "fixtures" / "welcome"
SENDER_DOMAIN = "mail.harbourlane.example"
SELECTORS = {"s2026": "rsa-sha256", "e2026": "ed25519-sha256"}
RUN_SECONDS = 180


class Failed(Exception):
    """A check that did not hold: what differed."""


def ok(what):
    print(f"ok     {what}", flush=True)


def same(what, found, wanted):
    if found != wanted:
        raise Failed(f"{what}: found {found!r}, wanted {wanted!r}")


def holds(condition, what):
    if not condition:
        raise Failed(what)


# --- running mailrun -------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """A finished run: its folder, its result rows as dictionaries, its summary."""

    folder: Path
    rows: list
    summary: dict
    output: str


def send(campaign, runs, state, *arguments, exits=(0,), environment=None):
    """`mailrun send`; fails unless it ends with one of `exits`."""
    before = set(runs.glob("*/*"))
    command = [os.environ["MAILRUN"], "send", str(campaign), "--runs", str(runs), "--state", str(state), "--json",
               "--no-progress", *map(str, arguments)]
    environment = {"MAILRUN_DNS_ZONE": str(WELCOME / "zone")} | (environment or {})
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=RUN_SECONDS)
    if done.returncode not in exits:
        raise Failed(f"`{' '.join(command)}` ended with {done.returncode}, not one of {exits}:\n{done.stdout}{done.stderr}")
    made = set(runs.glob("*/*")) - before
    holds(len(made) == 1, f"`{' '.join(command)}` made {len(made)} run folders, not one:\n{done.stdout}{done.stderr}")
    folder = made.pop()
    parts = sorted((folder / "results").glob("*.parquet"))
    holds(parts, f"{folder}/results holds no Parquet file")
    rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
    return Run(folder, rows, json.loads(done.stdout), done.stdout + done.stderr)


def count(rows):
    """Result rows per disposition."""
    counts = {}
    for row in rows:
        counts[row["disposition"]] = counts.get(row["disposition"], 0) + 1
    return counts


def without_zeros(counts):
    return {name: number for name, number in counts.items() if number}


@dataclass
class Kept:
    """A message that the sandbox kept: its envelope, and its bytes as they came, without the sandbox's trace fields."""

    name: str
    return_path: str
    recipients: list
    raw: bytes


def read_kept(folder):
    """The `.eml` files of a sandbox. Trace fields (RFC 5321 §4.4) stand before the message."""
    messages = []
    for path in sorted(folder.rglob("*.eml")):
        whole = path.read_bytes()
        trace = re.match(rb"Return-Path: <(.*)>\r\n((?:Delivered-To: .*\r\n)+)Received: .*\r\n(?:[ \t].*\r\n)*", whole)
        holds(trace, f"{path.name} does not begin with Return-Path, Delivered-To and Received: {whole[:200]}")
        recipients = re.findall(r"Delivered-To: (.*)\r\n", trace[2].decode())
        messages.append(Kept(path.name, trace[1].decode(), recipients, whole[trace.end():]))
    return messages


def relay_campaign(folder, relay):
    """A copy of the welcome campaign that delivers to a relay; `relay` is the text of `[delivery.relay]`."""
    shutil.copytree(WELCOME, folder)
    file = folder / "campaign.toml"
    text = file.read_text()
    holds('route = "sandbox"' in text, "the welcome campaign has no `route = \"sandbox\"`")
    file.write_text(text.replace('route = "sandbox"', 'route = "relay"') + f"\n[delivery.relay]\n{relay}\n")
    return file


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process=None):
    """Returns once somebody listens on the port; fails when `process` ends before."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process and process.poll() is not None:
            raise Failed(f"{process.args[0]} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise Failed(f"nobody listens on port {port}")


# --- the rows that went in, read without mailrun ---------------------------------------------------------------------


def welcome_rows():
    """Every row of the welcome target group in order, keyed by (file name, row), with what must become of it."""
    rows = {}
    with open(WELCOME / "recipients" / "counter.csv", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=";")
        header = [name.strip() for name in next(reader)]
        for number, fields in enumerate(reader, 1):
            row = dict(zip(header, (field or None for field in fields)))
            row["torn"] = len(fields) != len(header)
            rows["counter.csv", number] = row
    for number, row in enumerate(pq.read_table(WELCOME / "recipients" / "web.parquet").to_pylist(), 1):
        rows["web.parquet", number] = row

    seen = set()
    for row in rows.values():
        row["wanted"] = wanted_disposition(row, seen)
        if row["wanted"] not in ("invalid", "duplicate"):
            row["points"] = int(row["points"]) if row.get("points") is not None else None
            row["premium"] = row.get("premium") in (True, "yes")
            if isinstance(row.get("member_since"), str):
                row["member_since"] = datetime.date.fromisoformat(row["member_since"])
    return rows


def wanted_disposition(row, seen):
    email, points = row.get("email") or "", row.get("points")
    readable = not row.get("torn") and (not isinstance(points, str) or re.fullmatch(r"-?\d+", points))
    sendable = re.fullmatch(r"[^@.\s\u200b]+(\.[^@.\s\u200b]+)*@[^@.\s]+(\.[^@.\s]+)+", email)
    if not readable or not sendable:
        return "invalid"
    if wire(email).lower() in seen:
        return "duplicate"
    seen.add(wire(email).lower())
    if not row["member_since"]:
        return "render_failed"
    if email.startswith(("rcpt-550@", "data-554@")):
        return "bounced"
    if email.startswith("drop-after-dot@"):
        return "in_doubt"
    return "accepted"


def wire(address):
    """The address with its domain in A-labels and lower case."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.encode('idna').decode().lower()}"


def key_of(result):
    """The (file name, row) of a result row."""
    return Path(result["source_file"]).name, result["row"]


def by_message_id(results):
    """Result rows that have a Message-ID, by it, without its angle brackets."""
    return {row["message_id"].strip("<>"): row for row in results if row["message_id"]}


def money(value):
    return f"{decimal.Decimal(value):,.2f}"


def check_envelope(what, return_path, recipients, email):
    """One recipient, the row's; a return path of its own under the campaign's."""
    same(f"{what}: RCPT TO", [wire(recipient) for recipient in recipients], [wire(email)])
    holds(re.fullmatch(r"bounces\+[A-Za-z0-9_.=-]+@mail\.harbourlane\.example", return_path), f"{what}: MAIL FROM {return_path}")


# --- DKIM ------------------------------------------------------------------------------------------------------------


class Zone:
    """The fixture's zone file as the DNS that dkimpy asks."""

    def __init__(self, path=WELCOME / "zone"):
        self.zone = dns.zone.from_file(str(path), relativize=False)

    def txt(self, name, timeout=5):
        try:
            found = self.zone.find_rdataset(name.decode(), dns.rdatatype.TXT)
        except KeyError:
            return None
        return b"".join(found[0].strings)


def verify(raw, zone, what):
    """Every signature of a message verifies; both keys signed; what must be signed is. Returns how many there are."""
    selectors = {}
    message = dkim.DKIM(raw)
    signatures = [value for name, value in message.headers if name.lower() == b"dkim-signature"]
    for index, signature in enumerate(signatures):
        tags = {k.strip(): re.sub(rb"\s+", b"", v) for k, _, v in (tag.partition(b"=") for tag in signature.strip().rstrip(b";").split(b";"))}
        tags = {k.decode(): v.decode() for k, v in tags.items()}
        try:
            good = dkim.DKIM(raw).verify(idx=index, dnsfunc=zone.txt)
        except dkim.DKIMException as error:
            raise Failed(f"{what}: dkimpy on signature {index} (s={tags.get('s')}): {error}")
        holds(good, f"{what}: dkimpy rejects signature {index} (s={tags.get('s')})")
        selectors[tags["s"]] = tags["a"]
        same(f"{what}: d= of s={tags['s']}", tags["d"], SENDER_DOMAIN)
        same(f"{what}: c= of s={tags['s']}", tags["c"], "relaxed/relaxed")
        signed = tags["h"].lower().split(":")
        holds(signed.count("from") == 2, f"{what}: From is not over-signed in h={tags['h']}")
        holds("l" not in tags, f"{what}: l= leaves a part of the body unsigned")
        present = {name.lower().decode() for name, _ in message.headers}
        for name in present & {"list-unsubscribe", "list-unsubscribe-post", "subject", "date", "to", "message-id", "mime-version", "content-type"}:
            holds(name in signed, f"{what}: {name} is not in h={tags['h']}")
    same(f"{what}: signatures", selectors, SELECTORS)
    return len(signatures)
