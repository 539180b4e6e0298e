"""What came back as tables: pyarrow, DuckDB, pandas and Polars read them, and agree with what was read."""

import json
import os
import subprocess

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq

from common import holds, ok, same

BOUNCE = """From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example>
To: {path}
Subject: failure notice

I'm afraid I wasn't able to deliver your message to the following addresses.

<{address}>:
Remote host said: {reply}
"""
TIME = pa.timestamp("us", tz="UTC")
COLUMNS = {
    "campaign": pa.string(), "run": pa.string(), "plan_row": pa.uint32(), "source_file": pa.string(), "row": pa.uint64(),
    "recipient": pa.string(), "address": pa.string(), "kind": pa.string(), "machine": pa.string(), "class": pa.string(), "status": pa.string(),
    "hard": pa.bool_(), "text": pa.string(), "at": TIME, "read_at": TIME, "found_by": pa.string(), "trusted": pa.bool_(),
    "effect": pa.string(), "list_id": pa.string(), "undone_at": TIME, "hash": pa.string(), "message_id": pa.string(), "import": pa.uint64(),
    "source": pa.string(),
}


def mailrun(folder, *arguments):
    command = [os.environ["MAILRUN"], *arguments, "--runs", str(folder / "runs"), "--state", str(folder / "state")]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=60).stdout


def check(folder, result, messages):
    """Bounces of two messages and one with an address that nobody was sent to."""
    bounces = folder / "bounces"
    bounces.mkdir()
    made = [(messages[0], "550 5.1.1 User unknown"), (messages[1], "452 4.2.2 Mailbox full")]
    for number, (kept, reply) in enumerate(made):
        (bounces / f"{number}.eml").write_text(BOUNCE.format(path=kept.return_path, address=kept.recipients[0], reply=reply))
    stranger = BOUNCE.format(path="bounces@mail.harbourlane.example", address="nobody@else.example", reply="550 5.1.1 User unknown")
    (bounces / "stranger.eml").write_text(stranger)
    mailrun(folder, "feedback", "read", str(bounces))
    tables = json.loads(mailrun(folder, "feedback", "tables", "--json"))
    same("rows of the tables", (tables["days"], tables["rows"]), (1, 3))
    before = {part: part.read_bytes() for part in (result.folder / "results").glob("*.parquet")}
    joined = json.loads(mailrun(folder, "results", result.folder.name, "--with-feedback", "--json"))["with_feedback"]
    same("bounced later", joined["bounced_later"], 2)
    for part, content in before.items():
        holds(pq.read_table(part).equals(pq.read_table(pa.BufferReader(content))), f"{part} differs after --with-feedback")

    pattern = str(folder / "state" / "feedback" / "*" / "*.parquet")
    parts = list((folder / "state" / "feedback").glob("*/*.parquet"))
    # Without the day, which is in the folder's name.
    schema = pq.ParquetFile(parts[0]).schema_arrow
    same("columns of the tables", {field.name: field.type for field in schema}, COLUMNS)
    wanted = [("bounce", "bad_mailbox", "not_ours"), ("bounce", "bad_mailbox", "suppressed"), ("bounce", "mailbox_full", "counted")]
    same("events by DuckDB", duckdb.sql(f"select kind, class, effect from '{pattern}' order by all").fetchall(), wanted)
    frame = polars.read_parquet(pattern, hive_partitioning=True)
    same("events by Polars", sorted(frame.select("kind", "class", "effect").iter_rows()), wanted)
    holds("day" in frame.columns, "Polars finds no day in the folders' names")

    by_pandas = pandas.read_parquet(folder / "state" / "feedback")
    same("events by pandas", sorted(by_pandas[["kind", "class", "effect"]].itertuples(index=False, name=None)), wanted)
    holds("day" in by_pandas.columns, "pandas finds no day in the folders' names")
    same("outcomes by pandas", pandas.read_parquet(joined["file"])["outcome"].value_counts()["bounced_later"], 2)

    joined = pq.read_table(joined["file"]).to_pylist()
    same("rows with feedback", len(joined), len(result.rows))
    later = {row["email"]: row["bounced_later_class"] for row in joined if row["outcome"] == "bounced_later"}
    same("rows that bounced later", sorted(later.values()), ["bad_mailbox", "mailbox_full"])
    places = {(row["source_file"], row["row"]) for row in joined if row["bounced_later_at"]}
    same("places in the tables", {(row["source_file"], row["row"]) for row in frame.iter_rows(named=True) if row["run"]}, places)
    ok("pyarrow, DuckDB, pandas and Polars read the tables of what came back, and the results joined with it")
