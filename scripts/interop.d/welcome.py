"""The welcome campaign to the sandbox: dispositions against the rows, dkimpy on every message, Python's email on every part."""

import email
import email.header
import email.policy
import email.utils
import html
import re
from datetime import datetime, timedelta, timezone

import common
from common import Failed, by_message_id, check_envelope, count, holds, key_of, money, ok, same, verify, wire, without_zeros

UNSUBSCRIBE = "https://mail.harbourlane.example/u/"
FEEDBACK_ID = "welcome:news:mailrun:mail.harbourlane.example"


def run(folder):
    """Sends the welcome campaign once, for all checks that look at it. Returns the run and the kept messages."""
    runs, kept = folder / "runs", folder / "kept"
    if not hasattr(run, "done"):
        run.done = common.send(common.WELCOME / "campaign.toml", runs, folder / "state", "--sandbox", "--sandbox-keep", kept, exits=(1,))
    return run.done, common.read_kept(kept)


def check(folder):
    started = datetime.now(timezone.utc) - timedelta(seconds=1)
    result, messages = run(folder)
    rows = common.welcome_rows()
    check_dispositions(result, rows)
    paired = check_kept(result, messages)
    zone = common.Zone()
    signatures = sum(verify(kept.raw, zone, kept.name) for kept in messages)
    ok(f"dkimpy verifies {signatures} signatures, RSA and Ed25519, of {len(messages)} messages")
    check_tampering(messages, zone)
    tokens = set()
    for raw, row in paired:
        check_message(raw, row, rows[key_of(row)], started, tokens)
    same("unsubscribe tokens", len(tokens), len(paired))
    ok(f"Python's email reads {len(paired)} messages back to the fields of their rows")


def check_dispositions(result, rows):
    found = {key_of(row): row for row in result.rows}
    same("result rows", len(result.rows), len(rows))
    same("rows that have no result, or results that have no row", set(found) ^ set(rows), set())
    for key, row in rows.items():
        if found[key]["disposition"] != row["wanted"]:
            raise Failed(f"{key[0]} row {key[1]}: {row['wanted']} wanted, found {found[key]}")
        same(f"{key}: recipient_id", found[key]["recipient_id"], row["customer_id"])
        same(f"{key}: email", found[key]["email"] or "", row.get("email") or "")
        attempted = row["wanted"] in ("accepted", "bounced", "in_doubt")
        holds(attempted == (found[key]["attempts"] not in (0, None)), f"{key}: attempts of {found[key]}")
        if attempted:
            same(f"{key}: domain", found[key]["domain"], wire(row["email"]).rpartition("@")[2])
        else:
            holds(found[key]["detail"], f"{key}: no detail says why it is {row['wanted']}")
        if "rcpt-451-twice" in (row.get("email") or ""):
            same(f"{key}: attempts", found[key]["attempts"], 3)
        if row["wanted"] == "bounced":
            code = 550 if row["email"].startswith("rcpt-550") else 554
            same(f"{key}: smtp_code", found[key]["smtp_code"], code)
            holds(found[key]["class"] and found[key]["reply"], f"{key}: a bounce without class or reply")
    counts = count(result.rows)
    same("counts of --json", without_zeros(result.summary["summary"]["dispositions"]), counts)
    ok(f"{len(rows)} rows, {len(rows)} results, each as its row wants: {counts}")


def check_kept(result, messages):
    """Each accepted row was taken over exactly once; nothing else than a row in doubt was. Returns (bytes, result row)."""
    results, paired, seen, paths = by_message_id(result.rows), [], set(), set()
    for kept in messages:
        message = email.message_from_bytes(kept.raw, policy=email.policy.default)
        message_id = str(message["Message-ID"]).strip("<> ")
        holds(message_id in results, f"{kept.name}: Message-ID {message_id} is in no result row")
        holds(message_id not in seen, f"{kept.name}: Message-ID {message_id} a second time")
        seen.add(message_id)
        paths.add(kept.return_path)
        row = results[message_id]
        holds(row["disposition"] in ("accepted", "in_doubt"), f"{kept.name}: kept, but {row}")
        check_envelope(kept.name, kept.return_path, kept.recipients, row["email"])
        paired.append((kept.raw, row))
    same("return paths", len(paths), len(messages))
    accepted = {message_id for message_id, row in results.items() if row["disposition"] == "accepted"}
    same("accepted rows whose message was not kept", accepted - seen, set())
    ok(f"{len(accepted)} accepted rows, each taken over exactly once")
    return paired


def check_tampering(messages, zone):
    """The verifier itself can say no: one changed letter in the body or in From ends in a failure."""
    raw = messages[0].raw
    head, _, body = raw.partition(b"\r\n\r\n")
    for what, changed in (
        ("body", head + b"\r\n\r\n" + body[:-40] + bytes([body[-40] ^ 1]) + body[-39:]),
        ("From", re.sub(rb"(?mi)^From: *\S", b"From: X", raw)),
        ("second From", b"From: evil@example.com\r\n" + raw),
    ):
        try:
            verify(changed, zone, what)
        except Failed:
            continue
        raise Failed(f"{messages[0].name}: a changed {what} still verifies")
    ok("dkimpy rejects a changed body, a changed From and a second From")


def check_message(raw, result, row, started, tokens):
    """One message against the row that it was made from."""
    name = f"{key_of(result)[0]} row {result['row']}"
    holds(not re.search(rb"\r(?!\n)|(?<!\r)\n", raw), f"{name}: a lone CR or LF")
    longest = max(map(len, raw.split(b"\r\n")))
    holds(longest <= 998, f"{name}: a line of {longest} octets")
    message = email.message_from_bytes(raw, policy=email.policy.default)
    for part in message.walk():
        same(f"{name}: defects of {part.get_content_type()}", part.defects, [])
    # Headers may be UTF-8 as they stand (RFC 6532); Python's parser reads them so only from text.
    headers = email.message_from_string(raw.partition(b"\r\n\r\n")[0].decode(), policy=email.policy.default)
    for header in ("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "List-Unsubscribe", "List-Unsubscribe-Post",
                   "List-Id", "Feedback-ID", "MIME-Version", "Organization", "X-Member"):
        same(f"{name}: {header} fields", len(headers.get_all(header, [])), 1)

    same(f"{name}: From", mailbox(raw, "From"), ("Harbour Lane Books", "hello@mail.harbourlane.example"))
    same(f"{name}: Reply-To", mailbox(raw, "Reply-To"), ("The people at the till", "care@harbourlane.example"))
    same(f"{name}: To", mailbox(raw, "To"), (row["full_name"], wire(row["email"])))
    first = row.get("first_name")
    subject = (f"{first}, welcome" if first else "Welcome") + " to Harbour Lane" + (" ★" if row["premium"] else "")
    same(f"{name}: Subject", str(headers["Subject"]), subject)
    date = email.utils.parsedate_to_datetime(headers["Date"])
    date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)  # -0000: the time in UTC, the place not told
    holds(started <= date <= datetime.now(timezone.utc) + timedelta(seconds=1), f"{name}: Date {date}")
    same(f"{name}: X-Member", str(headers["X-Member"]), row["customer_id"])
    same(f"{name}: Organization", str(headers["Organization"]), "Harbour Lane Books")
    same(f"{name}: Feedback-ID", str(headers["Feedback-ID"]), FEEDBACK_ID)
    holds(str(headers["List-Id"]).endswith("<members.harbourlane.example>"), f"{name}: List-Id {headers['List-Id']}")
    same(f"{name}: List-Unsubscribe-Post", str(headers["List-Unsubscribe-Post"]), "List-Unsubscribe=One-Click")
    uris = re.findall(r"<([^>]+)>", str(headers["List-Unsubscribe"]))
    link = uris[0] if uris else ""
    holds(len(uris) == 2 and link.startswith(UNSUBSCRIBE) and uris[1].startswith("mailto:unsubscribe@mail.harbourlane.example"),
          f"{name}: List-Unsubscribe {headers['List-Unsubscribe']}")
    token = link.removeprefix(UNSUBSCRIBE)
    holds(len(token) >= 16 and row["email"].split("@")[0] not in token, f"{name}: token {token}")
    tokens.add(token)

    text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    page = message.get_body(("html",)).get_content()
    check_words(name, row, text, page, link)
    check_parts(name, message, row, page)


def mailbox(raw, header):
    """Display name and address of a header with one mailbox.

    Through the older API: the newer one leaves a space between two encoded words of a phrase (RFC 2047 §6.2).
    """
    value = email.message_from_string(raw.partition(b"\r\n\r\n")[0].decode())[header]
    name, address = email.utils.parseaddr(value)
    return str(email.header.make_header(email.header.decode_header(name))), wire(address)


def check_words(name, row, text, page, link):
    day = row["member_since"]
    words = [f"Hello {row.get('first_name') or 'there'},", f"{day.day} {day:%B %Y}", row.get("city") or "wherever you read"]
    if row["points"]:
        words.append(f"{row['points']:,}")
        words += [money(row["balance"])] if row.get("balance") else []
    for pick in row.get("picks") or []:
        words += [pick["title"], pick["author"], pick["shelf"], money(pick["price"])]
    words += [row["note"].replace("\r\n", "\n")] if row.get("note") else []
    seen = html.unescape(page).replace("\r\n", "\n")
    for word in words + [link, f"https://www.harbourlane.example/first?member={row['customer_id']}"]:
        holds(word in text, f"{name}: {word!r} is not in the text part:\n{text}")
        holds(word in seen, f"{name}: {word!r} is not in the HTML part")
    for condition, word in ((row["points"], "points"), (row["premium"], "members’ evening"), (row.get("picks"), "Put aside"),
                            (row.get("note"), "wrote this down")):
        for part in (text.replace("'", "’"), seen.split("</head>")[1].split("points are yours")[-1]):
            shown = re.search(word, part, re.IGNORECASE) is not None
            same(f"{name}: {word!r} shown", shown, bool(condition))
    holds("Fils <" not in page and "& Fils" not in page, f"{name}: HTML holds a name that is not escaped")
    holds("{{" not in text + page, f"{name}: a template tag is left")
    holds("&amp;" not in text, f"{name}: the text part is escaped as HTML")


def check_parts(name, message, row, page):
    attached = {part.get_filename(): part.get_content() for part in message.iter_attachments() if part.get_filename()
                and not part.get_content_type().startswith("image/")}
    as_bytes = lambda content: content.encode() if isinstance(content, str) else content
    wanted = ["autumn-reading-list.pdf"] + (["members-evening.ics"] if row.get("invitation") else [])
    same(f"{name}: attachments", sorted(attached), wanted)
    for file in wanted:
        content = (common.WELCOME / "attachments" / file).read_bytes()
        # Text may change its line ends on the way through Python's reader, bytes may not.
        plain = (lambda b: b.replace(b"\r\n", b"\n")) if file.endswith(".ics") else (lambda b: b)
        same(f"{name}: bytes of {file}", plain(as_bytes(attached[file])), plain(content))
    images = {str(part["Content-ID"]).strip("<> "): part.get_content() for part in message.walk() if part["Content-ID"]}
    named = re.findall(r'src="cid:([^"]+)"', page)
    same(f"{name}: images that the HTML names", sorted(named), sorted(images))
    files = sorted((common.WELCOME / "images" / file).read_bytes() for file in ("logo.png", "harbour.png"))
    same(f"{name}: bytes of the images", sorted(images.values()) == files, True)
