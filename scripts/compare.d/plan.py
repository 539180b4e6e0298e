"""The plan: mailrun, DuckDB and Polars read a list, find duplicates, leave out who is suppressed, and write the rest.

All as whole processes, with the list of the suppressed already in each one's own store. What a process costs that does nothing is
measured beside them (`empty`).
"""

import json
import os
import sys

import duckdb

import process
import workload as work
from process import Failed

DUPLICATES = "2%"
SUPPRESSED = 0.1  # for each row: so many entries of the suppression list; half of them are of the list
SCRIPTS = {name: work.ROOT / "scripts" / "compare.d" / f"plan_{name}.py" for name in ("duckdb", "polars")}
PEERS = list(SCRIPTS)
PLANNERS = ["mailrun", *PEERS]


class Plans:
    def __init__(self, home, rows):
        self.rows, self.folder = rows, home / "plan"
        self.folder.mkdir()
        work.write_templates(work.SHORT, self.folder)
        self.lists = {kind: work.make_list(self.folder / f"list.{kind}", rows, DUPLICATES) for kind in ("csv", "parquet")}
        self.suppress()

    def suppress(self):
        """The same suppressed addresses for all: spread over the list, and as many that are not on it."""
        entries = int(self.rows * SUPPRESSED)
        store, file = self.folder / "suppressed.duckdb", self.folder / "suppressed.parquet"
        with duckdb.connect(str(store)) as database:
            database.execute(f"""
                create table suppressed as
                select email from (select distinct lower(email) as email from '{self.lists['parquet']}'
                                   order by hash(email) limit {entries // 2})
                union all select 'gone.' || n || '@d' || n % 1000 || '.example' from range({entries - entries // 2}) as gone(n)""")
            database.execute(f"copy suppressed to '{file}' (format parquet)")
        process.run([*work.mailrun("suppress", self.folder, "import"), file], self.folder / "import.log")

    def measure(self, tool, kind):
        """One plan of one list by one program, as a dictionary for the raw data."""
        if tool == "mailrun":
            campaign = work.write_campaign(work.SHORT, self.folder, self.lists[kind], 25)
            command = work.mailrun("plan", self.folder, campaign, "--json")
        else:
            suppressed = self.folder / ("suppressed.duckdb" if tool == "duckdb" else "suppressed.parquet")
            command = [sys.executable, SCRIPTS[tool], self.lists[kind], suppressed, self.folder / "plan.parquet"]
        usage = process.run(command, self.folder / f"{tool}.log", memory=True)
        found = json.loads(usage.output)
        planned = found["screening"]["accepted"] if tool == "mailrun" else found["planned"]
        return {"rows": self.rows, "planned": planned, "wall": usage.wall, "user": usage.user, "system": usage.system, "cpu": usage.cpu,
                "peak": usage.peak, "peak_own": usage.peak_own}

    def agree(self, counts):
        """All must plan the same rows."""
        if len(set(counts)) != 1:
            raise Failed(f"the plans differ: {counts} rows")

    def empty(self, tool):
        """What a process of that program costs that does nothing."""
        command = [os.environ["MAILRUN"], "--version"] if tool == "mailrun" else [sys.executable, SCRIPTS[tool]]
        usage = process.run(command, self.folder / "empty.log")
        return {"rows": 0, "wall": usage.wall, "user": usage.user, "system": usage.system, "cpu": usage.cpu}
