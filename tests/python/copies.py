"""Reads a meetnet daemon as those do who ask PostgreSQL for the rows of a query by COPY: Polars, with ADBC's driver and with
connectorx. Prints what they got as JSON.

Argument: a file with the port.
"""
import json
import sys

import polars

with open(sys.argv[1], encoding="utf-8") as file:
    address = f"postgresql://public@127.0.0.1:{file.read().strip()}/meetnet"
QUESTION = "SELECT segment_id, time, car, NULL AS nothing, segment_id > 1 AS big FROM traffic WHERE segment_id = 2 ORDER BY time LIMIT 2"
found = {}
for engine in ("adbc", "connectorx"):
    table = polars.read_database_uri(QUESTION, address, engine=engine)
    found[engine] = [[row[0], row[1].isoformat(), *row[2:]] for row in table.iter_rows()]
    table = polars.read_database_uri("SELECT segment_id, time FROM traffic", address, engine=engine)
    found[f"{engine} rows"] = table.height

lists = polars.read_database_uri("SELECT ARRAY[1.5, NULL, 2.5] AS list, CAST('2026-03-01' AS date) AS day", address, engine="adbc")
found["list"] = lists["list"].to_list()
found["day"] = str(lists["day"][0])

json.dump(found, sys.stdout)
