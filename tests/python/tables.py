"""Reads tables with Python deltalake and with Polars; prints their current rows, times as microseconds.

For a lake in a bucket STORAGE_OPTIONS holds the readers' options, as JSON.
"""
import json
import os
import sys

import deltalake
import polars
import pyarrow
import pyarrow.compute

KEYS = {"traffic": ["segment_id", "interval_s", "time"], "noise": ["sensor_id", "property", "time"]}
LEFT_OUT = {"superseded", "superseded_at", "month"}


def rows(table, columns):
    arrays = []
    for name in columns:
        array = table[name]
        if pyarrow.types.is_timestamp(array.type):
            array = pyarrow.compute.cast(array, pyarrow.int64())
        arrays.append(array.to_pylist())
    return [list(row) for row in zip(*arrays)]


def main(lake):
    options = json.loads(os.environ.get("STORAGE_OPTIONS", "null"))
    answer = {}
    for dataset, key in KEYS.items():
        path = os.path.join(lake, dataset)
        whole = pyarrow.table(deltalake.DeltaTable(path, storage_options=options).to_pyarrow_table())
        order = [(name, "ascending") for name in key]
        current = whole.filter(pyarrow.compute.field("superseded") == False).sort_by(order)  # noqa: E712
        columns = [name for name in current.column_names if name not in LEFT_OUT]
        with_polars = polars.read_delta(path, storage_options=options)
        with_polars = with_polars.filter(~polars.col("superseded")).sort(key).to_arrow()
        answer[dataset] = {
            "columns": columns,
            "deltalake": rows(current, columns),
            "polars": rows(with_polars, columns),
            "superseded": whole.num_rows - current.num_rows,
            "licences": sorted(set(whole["licence"].to_pylist())),
        }
    print(json.dumps(answer))


main(sys.argv[1])
