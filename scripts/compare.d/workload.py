"""What is sent: lists, templates, and the files that tell each program about them.

Everything is made here, of ASCII only, so that every program's messages have the same encoding and nearly the same size.
"""

import json
import os
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import dns.rdatatype
import dns.zone

import process

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = ROOT / "fixtures" / "welcome" / "keys" / "test-only-rsa.pem"
ZONE = ROOT / "fixtures" / "welcome" / "zone"
DOMAIN, SELECTOR = "mail.harbourlane.example", "s2026"
FROM_NAME, FROM = "Harbour Lane Books", f"hello@{DOMAIN}"
RETURN_PATH = f"bounces@{DOMAIN}"
CONNECTIONS = 20
PERSONAL = 10  # paragraphs of each part that have something to fill in: what a longer letter has more of is the same for all
SEED = 2026
ATTACHMENT_BYTES = 139_000  # 190 kB as base64: with its 10 kB of text a message of 200 kB


@dataclass(frozen=True)
class Workload:
    """One kind of campaign. `share` is how many rows it has for each of --rows."""

    name: str
    title: str
    kilobytes: int  # of text and HTML
    share: float
    signed: bool = True
    personal_body: bool = True
    personalised: bool = True  # False: nothing of the message is any recipient's own, its header neither
    attachment: bool = False


WORKLOADS = [
    Workload("10kb", "personalised, 10 kB, RSA-2048", 10, 1),
    Workload("100kb", "personalised, 100 kB, RSA-2048", 100, 0.5),
    Workload("attachment", "personalised, 200 kB with a common attachment, RSA-2048", 10, 0.5, attachment=True),
    Workload("shared", "one body for all, 200 kB, RSA-2048", 200, 0.5, personal_body=False),
    Workload("unsigned", "personalised, 10 kB, unsigned", 10, 5, signed=False),
    Workload("alarm", "one message for all, 10 kB, RSA-2048", 10, 25, personal_body=False, personalised=False),
]
SHORT = Workload("short", "personalised, 1 kB, unsigned", 1, 1, signed=False)


# --- lists -----------------------------------------------------------------------------------------------------------


def make_list(path, rows, duplicates="0%"):
    """A list of so many rows; `path` ends with .csv or .parquet."""
    if not path.exists():
        # MAILRUN_SYNTH: the binary that makes the lists, where the one that is measured is too old to.
        binary = os.environ.get("MAILRUN_SYNTH") or os.environ["MAILRUN"]
        shares = ["--duplicates", duplicates, "--invalid", "0%", "--non-ascii", "0%"]
        process.run([binary, "synth", path, "--rows", rows, "--seed", SEED, *shares, "--quiet"], path.with_suffix(".log"))
    return path


# --- templates -------------------------------------------------------------------------------------------------------

TEXT_TOP = """\
Dear {{first_name}},

thank you for being with us, number {{customer_id}}. {{#if segment}}We count you among the {{segment}} readers.{{else}}We know too little of you.{{/if}}
"""
TEXT_PART = """
The shop in {{city}} has a new shelf, {{first_name}}: books about harbours, about the people
who work there, and about what they carry. We read all of them, and like most of them.
"""
TEXT_SAME = """
There are charts of coasts that have moved since, letters of pilots, and a cookbook by a ship's
cook who never learned to swim. None of them is new, and each of them is in good condition.
"""
HTML_TOP = """\
<!doctype html>
<html><head><meta charset="utf-8"><title>For {{full_name}}</title></head><body>
<h1>Dear {{first_name}}</h1>
<p>Thank you for being with us, number {{customer_id}}. {{#if segment}}We count you among the {{segment}} readers.{{else}}We know too little of you.{{/if}}</p>
"""
HTML_PART = """\
<p class="shelf">The shop in {{city}} has a new shelf, {{first_name}}: <b>books about harbours</b>, about the people
who work there, and about what they <i>carry</i>. <a href="https://www.harbourlane.example/shelf">We read all of them</a>.</p>
"""
HTML_SAME = """\
<p class="shelf">There are charts of coasts that have moved since, <b>letters of pilots</b>, and a cookbook by a ship's cook who
never learned to <i>swim</i>. <a href="https://www.harbourlane.example/condition">Each of them is in good condition</a>.</p>
"""
HTML_END = '<p><a href="https://www.harbourlane.example/u/{{token}}">No more letters</a></p></body></html>\n'
SUBJECT = "{{first_name}}, a new shelf in {{city}}"


def write_templates(workload, folder):
    """The Handlebars and the Jinja2 template of each part, equal but for their notation; a third of the bytes is text, the rest HTML."""
    size = workload.kilobytes * 1000
    text = TEXT_TOP + paragraphs(TEXT_PART, TEXT_SAME, size // 3 - len(TEXT_TOP))
    html = HTML_TOP + paragraphs(HTML_PART, HTML_SAME, size * 2 // 3 - len(HTML_TOP) - len(HTML_END)) + HTML_END
    subject = SUBJECT
    if not workload.personal_body:
        text, html = impersonal(text), impersonal(html)
    if not workload.personalised:
        subject = impersonal(subject)
    for name, template in [("text", text), ("html", html), ("subject", subject)]:
        (folder / f"{name}.hbs").write_text(template)
        (folder / f"{name}.jinja").write_text(as_jinja(template))
    shutil.copyfile(KEY, folder / "key.pem")
    (folder / "key.pem").chmod(0o600)
    if workload.attachment:
        (folder / "catalogue.pdf").write_bytes(random.Random(SEED).randbytes(ATTACHMENT_BYTES))


def paragraphs(personal, same, size):
    """Paragraphs of about this size: at most PERSONAL of them, spread over all, with something to fill in."""
    number = max(0, size // len(same))
    every = max(1, number // PERSONAL)
    return "".join(personal if n % every == 0 and n // every < PERSONAL else same for n in range(number))


def as_jinja(template):
    for pattern, replacement in [(r"\{\{#if (\w+)\}\}", r"{% if \1 %}"), (r"\{\{else\}\}", "{% else %}"), (r"\{\{/if\}\}", "{% endif %}")]:
        template = re.sub(pattern, replacement, template)
    return template


def impersonal(template):
    """The template with nothing to fill in."""
    template = re.sub(r"\{\{#if \w+\}\}.*?\{\{else\}\}(.*?)\{\{/if\}\}", r"\1", template)
    return re.sub(r"\{\{(\w+)\}\}", r"(\1)", template)


# --- what each program is told ---------------------------------------------------------------------------------------

CAMPAIGN = """\
[campaign]
id = "{name}"
kind = "{kind}"
{unsubscribe}
[sender]
from = "{from_name} <{from_}>"
return-path = "{return_path}"
[target-group]
files = ["{list}"]
id = "customer_id"
{display_name}
[template]
subject = "{subject}"
text = "text.hbs"
html = "html.hbs"
strict = false
{template}
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
first = "1s"
give-up-after = "5s"
[journal]
durability = "{durability}"
"""
SIGNING = f'[[dkim]]\ndomain = "{DOMAIN}"\nselector = "{SELECTOR}"\nkey = "key.pem"\n'


def write_campaign(workload, folder, list_, port, durability="power-loss"):
    """mailrun's campaign file, beside the templates. Returns its path."""
    template = 'attachments = ["catalogue.pdf"]\n' if workload.attachment else ""
    if not workload.personalised:
        template += "personalised = false\n"
    text = CAMPAIGN.format(name=workload.name, kind="news" if workload.personalised else "alarm",
                           unsubscribe="without-unsubscribe = true" if workload.personalised else "", from_name=FROM_NAME, from_=FROM, return_path=RETURN_PATH, list=list_, port=port,
                           display_name='name = "full_name"' if workload.personalised else "", template=template,
                           subject=(folder / "subject.hbs").read_text(), connections=CONNECTIONS, durability=durability)
    path = folder / "campaign.toml"
    path.write_text(text + (SIGNING if workload.signed else ""))
    return path


def write_job(workload, folder, list_, port, notation):
    """The peers' job file. `notation` is that of their templates: hbs or jinja. Returns its path."""
    job = {"port": port, "connections": CONNECTIONS, "list": str(list_), "from_name": FROM_NAME, "from": FROM, "return_path": RETURN_PATH,
           "subject": (folder / f"subject.{notation}").read_text(),
           "text": str(folder / f"text.{notation}"), "html": str(folder / f"html.{notation}"),
           "attachment": str(folder / "catalogue.pdf") if workload.attachment else None, "key": str(folder / "key.pem") if workload.signed else None,
           "domain": DOMAIN, "selector": SELECTOR}
    path = folder / f"job-{notation}.json"
    path.write_text(json.dumps(job, indent=1))
    return path


def record(name, timeout=5):
    """The TXT record of a name, as dkimpy asks for it: from the fixture's zone."""
    zone = dns.zone.from_file(str(ZONE), relativize=False)
    return b"".join(zone.find_rdataset(name.decode(), dns.rdatatype.TXT)[0].strings)


def mailrun(command, home, *arguments):
    """mailrun's command line, with runs and state in the folder `home`."""
    return [os.environ["MAILRUN"], command, *arguments, "--runs", home / "runs", "--state", home / "state", "--no-progress", "--quiet"]
