"""A plan by Polars' streaming engine: read, distinct, anti-join, write.

    plan_polars.py LIST SUPPRESSED.parquet PLAN.parquet      without arguments: nothing else than the import
"""

import json
import sys

import polars

if len(sys.argv) == 1:
    sys.exit()
_, rows, suppressed, plan = sys.argv
# Columns as text, as mailrun reads a CSV file: nothing is spent on finding types.
source = polars.scan_csv(rows, infer_schema=False) if rows.endswith(".csv") else polars.scan_parquet(rows)
key = polars.col("email").str.to_lowercase().alias("key")
source.with_columns(key).unique("key").join(polars.scan_parquet(suppressed), left_on="key", right_on="email", how="anti").drop("key").sink_parquet(
    plan, engine="streaming")
print(json.dumps({"planned": polars.scan_parquet(plan).select(polars.len()).collect().item()}))
