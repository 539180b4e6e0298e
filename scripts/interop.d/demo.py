"""Holds a run of the welcome campaign that somebody else started against the rows of its list: `demo.py RUNS`."""

import sys
from pathlib import Path

import pyarrow.parquet as pq

import common


def main():
    parts = sorted(Path(sys.argv[1]).glob("welcome/*/results/*.parquet"))
    found = {common.key_of(row): row for part in parts for row in pq.read_table(part).to_pylist()}
    rows = common.welcome_rows()
    try:
        common.same("rows that have no result, or results that have no row", set(found) ^ set(rows), set())
        for key, row in rows.items():
            common.same(f"{key[0]} row {key[1]}: disposition", found[key]["disposition"], row["wanted"])
    except common.Failed as failed:
        sys.exit(f"FAILED {failed}")
    common.ok(f"{len(rows)} rows, {len(rows)} results, each as its row wants: {common.count(found.values())}")


main()
