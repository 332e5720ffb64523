"""Reads exported files of traffic with DuckDB, Polars and pyarrow; prints segments, times as microseconds, and cars.

Argument: the folder with `traffic.csv`, `.parquet`, `.ndjson` and `.arrow`. Also printed is what the files say of rights.
"""
import json
import sys
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.compute
import pyarrow.csv
import pyarrow.ipc
import pyarrow.json
import pyarrow.parquet

FOLDER = Path(sys.argv[1])


def file(ending):
    return str(FOLDER / f"traffic.{ending}")


def stream():
    return pyarrow.ipc.open_stream(pyarrow.memory_map(file("arrow"))).read_all()


def with_duckdb(read):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    time = "epoch_us(CAST(CAST(time AS TIMESTAMPTZ) AS TIMESTAMP))"
    rows = connection.execute(f"SELECT segment_id, {time}, CAST(car AS DOUBLE) FROM {read} ORDER BY 1, 2").fetchall()
    return [list(row) for row in rows]


def with_polars(frame):
    if frame["time"].dtype == polars.String:
        frame = frame.with_columns(polars.col("time").str.to_datetime(time_unit="us", time_zone="UTC"))
    frame = frame.select("segment_id", polars.col("time").dt.epoch("us"), polars.col("car").cast(polars.Float64))
    return [list(row) for row in frame.sort("segment_id", "time").rows()]


def with_pyarrow(table):
    time = table["time"]
    if pyarrow.types.is_string(time.type):
        time = pyarrow.array([text.as_py().removesuffix("Z") for text in time])
        time = pyarrow.compute.cast(time, pyarrow.timestamp("us"))
    time = pyarrow.compute.cast(pyarrow.compute.cast(time, pyarrow.timestamp("us", "UTC")), pyarrow.int64())
    car = pyarrow.compute.cast(table["car"], pyarrow.float64())
    rows = pyarrow.table({"segment": table["segment_id"], "time": time, "car": car})
    rows = rows.sort_by([("segment", "ascending"), ("time", "ascending")])
    return [list(row.values()) for row in rows.to_pylist()]


found = {
    "duckdb csv": with_duckdb(f"read_csv('{file('csv')}')"),
    "duckdb parquet": with_duckdb(f"'{file('parquet')}'"),
    "duckdb ndjson": with_duckdb(f"read_json('{file('ndjson')}')"),
    "polars csv": with_polars(polars.read_csv(file("csv"))),
    "polars parquet": with_polars(polars.read_parquet(file("parquet"))),
    "polars ndjson": with_polars(polars.read_ndjson(file("ndjson"), infer_schema_length=None)),
    "polars arrow": with_polars(polars.read_ipc_stream(file("arrow"))),
    "pyarrow csv": with_pyarrow(pyarrow.csv.read_csv(file("csv"))),
    "pyarrow parquet": with_pyarrow(pyarrow.parquet.read_table(file("parquet"))),
    "pyarrow ndjson": with_pyarrow(pyarrow.json.read_json(file("ndjson"))),
    "pyarrow arrow": with_pyarrow(stream()),
}
licences = {
    "parquet": pyarrow.parquet.read_metadata(file("parquet")).metadata[b"licence"].decode(),
    "arrow": stream().schema.metadata[b"licence"].decode(),
}
for ending in ("csv", "ndjson"):
    beside = json.loads(Path(file(f"{ending}.meta.json")).read_text("utf-8"))
    licences[ending] = ", ".join(licence["id"] for licence in beside["licences"])
json.dump({"rows": found, "licences": licences}, sys.stdout)
