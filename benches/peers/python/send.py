"""A list as data teams send it: csv, Jinja2, email.message, dkimpy, smtplib. One process, one connection.

    send.py JOB.json
"""

import csv
import json
import smtplib
import sys
from email.message import EmailMessage
from email.utils import formataddr, formatdate, make_msgid
from pathlib import Path

import dkim
from jinja2 import Environment

with open(sys.argv[1]) as file:
    job = json.load(file)
plain, escaped = Environment(keep_trailing_newline=True), Environment(autoescape=True, keep_trailing_newline=True)
subject = plain.from_string(job["subject"])
text = plain.from_string(Path(job["text"]).read_text())
html = escaped.from_string(Path(job["html"]).read_text())
attachment = Path(job["attachment"]) if job["attachment"] else None
contents = attachment.read_bytes() if attachment else None
key = Path(job["key"]).read_bytes() if job["key"] else None
signed = [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type", b"Reply-To"]

sent = 0
with smtplib.SMTP("127.0.0.1", job["port"]) as smtp, open(job["list"], newline="") as file:
    for row in csv.DictReader(file):
        message = EmailMessage()
        message["From"] = formataddr((job["from_name"], job["from"]))
        message["To"] = formataddr((row["full_name"], row["email"]))
        message["Subject"] = subject.render(row)
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=job["domain"])
        message.set_content(text.render(row))
        message.add_alternative(html.render(row), subtype="html")
        if attachment:
            message.add_attachment(contents, maintype="application", subtype="pdf", filename=attachment.name)
        whole = message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        if key:
            whole = dkim.sign(whole, job["selector"].encode(), job["domain"].encode(), key,
                              canonicalize=(b"relaxed", b"relaxed"), include_headers=signed) + whole
        smtp.sendmail(job["return_path"], [row["email"]], whole)
        sent += 1
print(sent)
