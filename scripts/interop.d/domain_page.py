"""The page of `mailrun domain report` for a made-up domain, and pictures of it by Chromium. Only Python's own library."""

import html
import json
import os
import random
import re
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

DOMAIN = "harbourlane.example"
# A Monday; so many weeks from there.
BEGIN, WEEKS, DAY = 1_735_516_800, 13, 86_400
WIDTH, HEIGHT = 1000, 770
REGISTRY = """
[[platform]]
name = "Letters Ltd"
spf-domains = ["bounces.letters.example"]
selectors = ["let1"]

[[platform]]
name = "Ticket desk"
addresses = ["203.0.113.0/28"]
"""
# The window is wider than any frame: a browser's may not be as narrow as a phone.
FRAME = """<!doctype html>
<output id="found"></output>
<iframe style="border: 0; width: WIDTHpx; height: 800px" srcdoc="PAGE"></iframe>
<script>
onload = () => {
  const inner = document.querySelector("iframe").contentWindow;
  const overflow = inner.document.documentElement.scrollWidth - inner.innerWidth;
  const requests = inner.performance.getEntriesByType("resource").map(entry => entry.name);
  document.querySelector("#found").textContent = JSON.stringify({ width: inner.innerWidth, overflow, requests });
};
</script>
"""
REPORTERS = ["google.com", "Yahoo", "Enterprise Outlook", "GMX", "Mail.example"]


def make(program, folder):
    """Reads reports into a fresh state directory and writes the page. Returns its path."""
    folder = Path(folder)
    (folder / "reports").mkdir(parents=True)
    chance = random.Random(7)
    for week in range(WEEKS):
        for day in range(7):
            for number, org in enumerate(REPORTERS):
                begin = BEGIN + (week * 7 + day) * DAY
                text = report(org, f"{begin}.{number}", begin, records(chance, week, day))
                (folder / "reports" / f"{begin}-{number}.xml").write_text(text)
    (folder / "senders.toml").write_text(REGISTRY)
    page = folder / "page.html"
    for arguments in (
        ["feedback", "read", "reports"],
        ["domain", "report", DOMAIN, "--html", str(page)],
    ):
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "MAILRUN_STATE": str(folder / "state")}
        subprocess.run([program, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return page


def records(chance, week, day):
    few = 0.3 if day >= 5 else 1.0

    def count(most):
        return max(1, int(chance.uniform(0.7, 1.0) * most * few))

    own = DOMAIN
    rows = [
        record("192.0.2.10", count(9000), own, "s2026", True, f"mail.{own}", True, True),
        record("192.0.2.11", count(7000), own, "s2026", True, f"mail.{own}", True, True),
        record("198.51.100.20", count(4000 + 250 * week), own, "let1", True, "bounces.letters.example", True, False),
        record("203.0.113.5", count(500), own, "tickets", True, "ticketdesk.example", True, False),
        record("203.0.113.99", count(90), own, "s2026", True, "lists.university.example", True, False),
        record("198.51.100.77", count(60), own, "s2026", True, "", False, False),
        record("203.0.113.200", count(220), "crm.example", "k1", True, "crm.example", True, False),
    ]
    burst = 9000 if week in (7, 8) else 150
    for number in range(4):
        rows.append(record(f"198.51.{100 + number}.{chance.randrange(1, 255)}", count(burst // 4), "", "", False, own, False, False))
    return rows


def record(source, count, dkim_domain, selector, dkim, spf_domain, spf, spf_is_own):
    word = {True: "pass", False: "fail"}
    own_key = dkim and dkim_domain == DOMAIN
    signature = ""
    if dkim_domain:
        signature = f"<dkim><domain>{dkim_domain}</domain><selector>{selector}</selector><result>{word[dkim]}</result></dkim>"
    asked = f"<spf><domain>{spf_domain}</domain><result>{word[spf]}</result></spf>" if spf_domain else ""
    return (
        f"<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>"
        f"<dkim>{word[own_key]}</dkim><spf>{word[spf and spf_is_own]}</spf></policy_evaluated></row><identifiers>"
        f"<header_from>{DOMAIN}</header_from></identifiers><auth_results>{signature}{asked}</auth_results></record>"
    )


def report(org, number, begin, rows):
    return (
        f"<feedback><report_metadata><org_name>{org}</org_name><report_id>{number}</report_id><date_range><begin>{begin}</begin>"
        f"<end>{begin + DAY}</end></date_range></report_metadata><policy_published><domain>{DOMAIN}</domain><p>none</p>"
        f"</policy_published>{''.join(rows)}</feedback>"
    )


def picture(page, png, dark=False, height=HEIGHT):
    """Draws the top of a page."""
    arguments = [f"--window-size={WIDTH},{height}", f"--screenshot={png}"]
    if dark:
        arguments += ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"]
    chromium(page, arguments)
    return png


def measure(page, width):
    """Shows a page in a frame of this width: the pixels that it is wider than that, and the addresses that it asks for."""
    with tempfile.TemporaryDirectory() as folder:
        around = Path(folder) / "around.html"
        text = html.escape(Path(page).read_text(), quote=True)
        around.write_text(FRAME.replace("WIDTH", str(width)).replace("PAGE", text))
        seen = chromium(around, ["--dump-dom", "--virtual-time-budget=10000"])
    found = re.search(r'<output id="found">(.*?)</output>', seen)
    if not found or not found[1]:
        raise RuntimeError(f"chromium says nothing of {page}: {seen[-1000:]}")
    return json.loads(html.unescape(found[1]))


def chromium(page, arguments):
    """What a headless Chromium that may reach nothing prints of a page."""
    fixed = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--proxy-server=127.0.0.1:1"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [*fixed, f"--user-data-dir={profile}", *arguments, Path(page).absolute().as_uri()]
        done = subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode()


def pixels(png):
    """The pixels of a PNG of 8 bits as (red, green, blue), row by row."""
    data = Path(png).read_bytes()
    at, packed, kind = 8, b"", None
    while at < len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if name == b"IHDR":
            width, height, _, kind = struct.unpack(">IIBB", body[:10])
        elif name == b"IDAT":
            packed += body
        at += length + 12
    size = {2: 3, 6: 4}[kind]
    raw, before, rows = zlib.decompress(packed), bytearray(width * size), []
    for number in range(height):
        start = number * (width * size + 1)
        line = unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + width * size]), before, size)
        rows.append([tuple(line[at : at + 3]) for at in range(0, len(line), size)])
        before = line
    return rows


def unfiltered(kind, line, above, size):
    for at in range(len(line)):
        left = line[at - size] if at >= size else 0
        corner = above[at - size] if at >= size else 0
        up = above[at]
        if kind == 1:
            line[at] = (line[at] + left) & 255
        elif kind == 2:
            line[at] = (line[at] + up) & 255
        elif kind == 3:
            line[at] = (line[at] + (left + up) // 2) & 255
        elif kind == 4:
            guess = left + up - corner
            nearest = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))
            line[at] = (line[at] + nearest[2]) & 255
    return line
