"""pyarrow, DuckDB and Polars read the result files as they are, and agree; the queries of the documentation run."""

import email
import json
import os
import re

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

import common
import feedback
import welcome
from common import count, holds, ok, same, without_zeros

# DESIGN of the result columns: name to the types that fit.
TEXT = (pa.string(), pa.large_string(), pa.string_view())
TIME = (pa.timestamp("us", tz="UTC"),)
COLUMNS = {
    "row": (pa.uint64(),), "source_file": TEXT, "recipient_id": TEXT, "email": TEXT, "domain": TEXT, "message_id": TEXT,
    "disposition": TEXT, "class": TEXT, "smtp_code": (pa.int16(),), "enhanced_status": TEXT, "reply": TEXT,
    "remote_host": TEXT, "remote_ip": TEXT, "local_ip": TEXT, "tls": TEXT, "attempts": (pa.uint16(),),
    "first_attempt_at": TIME, "last_attempt_at": TIME, "latency_us": (pa.uint64(), pa.int64()), "bytes": (pa.uint32(),),
    "slot": TIME, "detail": TEXT, "attempts_at": TIME, "archive": TEXT,
    "is_test": (pa.bool_(),), "delivered_to": TEXT, "is_seed": (pa.bool_(),), "variant": TEXT, "archive_attempts_at": TIME,
    "password_disposition": TEXT, "password_reply": TEXT, "password_attempts_at": TIME, "password_bytes": (pa.uint32(),),
    "email_folded": TEXT,
}


def check(folder):
    result, messages = welcome.run(folder)
    files = sorted((result.folder / "results").glob("*.parquet"))
    counts = count(result.rows)
    check_types(files)
    check_values(result, messages)
    pattern = str(result.folder / "results" / "*.parquet")
    by_duckdb = dict(duckdb.sql(f"select disposition, count(*) from '{pattern}' group by 1").fetchall())
    same("counts by DuckDB", by_duckdb, counts)
    by_polars = dict(polars.scan_parquet(pattern).group_by("disposition").len().collect().iter_rows())
    same("counts by Polars", by_polars, counts)
    keys = duckdb.sql(f'select count(*), count(distinct (source_file, "row")) from \'{pattern}\'').fetchall()[0]
    same("rows, and distinct places, by DuckDB", keys, (len(common.welcome_rows()),) * 2)
    frame = polars.read_parquet(pattern)
    same("rows by Polars", frame.height, len(result.rows))
    same("columns by Polars", frame.columns, list(COLUMNS))
    manifest = json.loads((result.folder / "manifest.json").read_text())
    same("counts of the manifest", without_zeros(manifest["outcomes"]), counts)
    ok(f"pyarrow, DuckDB and Polars read {len(files)} result file(s): same counts, one row for each input row")
    feedback.check(folder, result, messages)
    check_shown_queries(folder)


def check_types(files):
    for file in files:
        schema = pq.read_schema(file)
        same(f"columns of {file.name}", schema.names, list(COLUMNS))
        for field in schema:
            inside = pa.types.is_dictionary(field.type) or field.name in ("attempts_at", "archive_attempts_at", "password_attempts_at")
            kind = field.type.value_type if inside else field.type
            holds(kind in COLUMNS[field.name], f"column `{field.name}` is {field.type}, not {COLUMNS[field.name][0]}")
        same(f"schema version in the metadata of {file.name}", pq.read_metadata(file).metadata.get(b"mailrun.schema") in (b"1", b"2"), True)
    ok(f"{len(COLUMNS)} result columns of the stated types, with the schema's version beside them")


def check_values(result, messages):
    for row in result.rows:
        same(f"attempts, and when, of {row}", len(row["attempts_at"] or []), row["attempts"] or 0)
    sizes = {email.message_from_bytes(kept.raw)["Message-ID"].strip("<> "): len(kept.raw) for kept in messages}
    for row in result.rows:
        if row["disposition"] == "accepted":
            holds(row["smtp_code"] // 100 == 2, f"accepted without a 2xx: {row}")
            holds(row["first_attempt_at"] <= row["last_attempt_at"], f"attempts out of order: {row}")
            holds(row["latency_us"] > 0 and row["remote_ip"] == "127.0.0.1" and row["remote_host"], f"who took it, and how fast: {row}")
            same(f"`bytes` of {row}", row["bytes"], sizes[row["message_id"].strip("<>")])
            slot = row["slot"].timestamp()
            holds(slot % 300 == 0 and slot <= row["last_attempt_at"].timestamp() < slot + 300, f"not the slot of its attempt: {row}")
    ok("accepted rows carry their reply, host, latency, size and slot")


def check_shown_queries(folder):
    """Every SQL block of README.md and docs/ runs on the run as it was left. There its `runs` and `state` are in another folder."""
    pages = [common.ROOT / "README.md", *sorted((common.ROOT / "docs").glob("*.md"))]
    queries = [(page.name, query) for page in pages for query in re.findall(r"^```sql\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)]
    holds(len(queries) >= 5, f"only {len(queries)} queries are shown")
    here = os.getcwd()
    os.chdir(folder)
    try:
        for page, query in queries:
            places = set(re.findall(r"'([^']*)\.parquet'", query))
            known = ("fixtures/welcome/runs/", "fixtures/welcome/state/")
            holds(places and all(place.startswith(known) for place in places), f"a query of {page} reads other runs:\n{query}")
            rows = duckdb.sql(query.replace("'fixtures/welcome/", "'")).fetchall()
            holds(rows, f"a query of {page} finds nothing:\n{query}")
    finally:
        os.chdir(here)
    ok(f"the {len(queries)} queries of README.md and docs/ run in DuckDB")
