"""Bodies that verifiers and signers have disagreed on: each is sent to the sandbox and verified by dkimpy."""

import csv
import email
import email.policy
import os

import common
from common import holds, ok, same, verify

CAMPAIGN = """
[campaign]
id = "{name}"
[sender]
from = "Shapes <shapes@mail.harbourlane.example>"
[target-group]
stray-quotes = "allow"
files = ["list.csv"]
[template]
subject = {subject}
{parts}
[[dkim]]
domain = "mail.harbourlane.example"
selector = "s2026"
key = "{keys}/test-only-rsa.pem"
[[dkim]]
domain = "mail.harbourlane.example"
selector = "e2026"
key = "{keys}/test-only-ed25519.pem"
[delivery]
route = "sandbox"
"""

# name: (text template or None, HTML template or None, the row's field). The text `{{field}}` stands for the field.
SHAPES = {
    "empty": (b"", None, "x"),
    "only-line-ends": (b"\r\n\r\n\r\n", None, "x"),
    "no-last-line-end": (b"Hello {{field}}", None, "Ann"),
    "trailing-white-space-lines": (b"Hello\r\n \t\r\n \r\n", None, "x"),
    "only-white-space": (b" \t \r\n\t\r\n", None, "x"),
    "trailing-spaces": (b"Hello  \r\nthere \t \r\n", None, "x"),
    "inner-white-space": (b"a  b\t\tc \t d\r\n", None, "x"),
    "leading-dots": (b".\r\n..\r\n...x\r\n.hidden\r\n.", None, "x"),
    "eight-bit": ("Grüße, 日本語, 👋 {{field}}\r\n".encode(), None, "Żółć"),
    "eight-bit-mostly": (("ж" * 400 + "\r\n").encode() * 5, None, "x"),
    "long-line": (b"x" * 5000 + b"\r\n", None, "x"),
    "long-words": (b"word " * 3000, None, "x"),
    "lone-cr": (b"one {{field}} two\r\n", None, "a\rb\r.\rc"),
    "lone-lf": (b"one {{field}} two\r\n", None, "a\nb\n.\nc"),
    "dot-in-a-field": (b"{{field}}\r\n", None, "\r\n.\r\nQUIT\r\n"),
    "unix-line-ends": (b"a\n.\nb\n\n", None, "x"),
    "equals-signs": (b"a=b=3D=\r\n=\r\n", None, "x"),
    "from-at-line-start": (b"From here on\r\n>From there\r\n", None, "x"),
    "html-only": (None, b"<p>Hello {{field}}</p>", "Ann & Bob"),
    "html-and-text": (b"Hello {{field}}", "<p>Grüße {{field}}</p>\n \n".encode(), "Ann"),
    "html-empty": (b"Hello", b"", "x"),
    "header-injection": (b"Hello\r\n", None, "x\r\nBcc: evil@example.com\r\n\r\nBody"),
    "long-subject": (b"Hello\r\n", None, "Überraschung " * 40),
}


def check(folder):
    zone = common.Zone()
    for name, (text, page, field) in SHAPES.items():
        home, kept = folder / "shapes" / name, folder / "shapes" / name / "kept"
        home.mkdir(parents=True)
        parts = ""
        for key, content in (("text", text), ("html", page)):
            if content is not None:
                (home / f"{key}.hbs").write_bytes(content)
                parts += f'{key} = "{key}.hbs"\n'
        subject = '"About {{field}}"' if name in ("header-injection", "long-subject") else '"About"'
        keys = os.path.relpath(common.WELCOME / "keys", home)
        (home / "campaign.toml").write_text(CAMPAIGN.format(name=name, subject=subject, parts=parts, keys=keys))
        with open(home / "list.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["email", "field"], ["ann@example.com", field]])
        result = common.send(home / "campaign.toml", home / "runs", home / "state", "--sandbox", "--sandbox-keep", kept)
        same(f"{name}: dispositions", common.count(result.rows), {"accepted": 1})
        messages = common.read_kept(kept)
        same(f"{name}: messages kept", len(messages), 1)
        same(f"{name}: RCPT TO", messages[0].recipients, ["ann@example.com"])
        raw = messages[0].raw
        verify(raw, zone, name)
        message = email.message_from_bytes(raw, policy=email.policy.default)
        holds("Bcc" not in message, f"{name}: a field of the row became a header")
        body = message.get_body(("plain", "html")).get_content()
        # What a mail reader shows is what the template says, line ends and white space at their ends aside.
        wanted = (text if text is not None else page).decode().replace("{{field}}", field if page is None else field.replace("&", "&amp;"))
        if text is not None:
            same(f"{name}: body", lines(body), lines(wanted))
        if name in ("header-injection", "long-subject"):
            same(f"{name}: subject", " ".join(str(message["Subject"]).split()), " ".join(f"About {field}".split()))
        same(f"{name}: recipients", str(message["To"]), "ann@example.com")
    ok(f"dkimpy verifies {len(SHAPES)} shapes of body: {', '.join(SHAPES)}")


def lines(text):
    """The lines without white space at their ends, and without empty ones at the end of all."""
    found = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    while found and not found[-1]:
        found.pop()
    return found
