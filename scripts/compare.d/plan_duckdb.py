"""A plan by DuckDB: read, distinct, anti-join, write.

    plan_duckdb.py LIST SUPPRESSED.duckdb PLAN.parquet      without arguments: open and close, nothing else
"""

import json
import os
import sys

import duckdb

database = duckdb.connect()
database.execute(f"set threads = {os.cpu_count()}")
if len(sys.argv) == 1:
    sys.exit()
_, rows, suppressed, plan = sys.argv
# Columns as text, as mailrun reads a CSV file: nothing is spent on finding types.
source = f"read_csv('{rows}', all_varchar = true)" if rows.endswith(".csv") else f"'{rows}'"
database.execute(f"attach '{suppressed}' as store (read_only)")
database.execute(f"""
    copy (select distinct on (lower(email)) * from {source} as list
          where not exists (select 1 from store.suppressed where suppressed.email = lower(list.email)))
    to '{plan}' (format parquet)""")
print(json.dumps({"planned": database.execute(f"select count(*) from '{plan}'").fetchone()[0]}))
