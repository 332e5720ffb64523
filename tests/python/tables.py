"""Reads tables with Python deltalake, Polars and pyarrow; prints their current rows and all versions, times as microseconds.

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
# Partition columns beside `licence`: they say where a row lies, not what it is.
PARTITIONS = {"superseded", "month"}
OPTIONS = json.loads(os.environ.get("STORAGE_OPTIONS", "null"))


def open_table(path):
    return deltalake.DeltaTable(path, storage_options=OPTIONS)


def with_deltalake(path):
    engine = deltalake.QueryBuilder().register("rows", open_table(path))
    return pyarrow.table(engine.execute("SELECT * FROM rows").read_all())


def with_polars(path):
    return polars.read_delta(path, storage_options=OPTIONS).to_arrow()


def with_pyarrow(path):
    return open_table(path).to_pyarrow_table()


READERS = {"deltalake": with_deltalake, "polars": with_polars, "pyarrow": with_pyarrow}


def plain(table):
    """Texts as pyarrow can filter and sort them."""
    for index, field in enumerate(table.schema):
        if pyarrow.types.is_string_view(field.type):
            table = table.set_column(index, field.name, table[field.name].cast(pyarrow.string()))
    return table


def rows(table, columns):
    arrays = []
    for name in columns:
        array = table[name]
        if pyarrow.types.is_timestamp(array.type):
            array = pyarrow.compute.cast(array, pyarrow.int64())
        arrays.append(array.to_pylist())
    return [list(row) for row in zip(*arrays)]


def versions(whole, key, columns):
    # A row that was recorded when it was received says so once.
    recorded = pyarrow.compute.coalesce(whole["recorded_at"], whole["received_at"])
    whole = whole.set_column(whole.column_names.index("recorded_at"), "recorded_at", recorded)
    order = [(name, "ascending") for name in [*key, "recorded_at"]]
    return rows(whole.sort_by(order), [*columns, "superseded_at"])


def main(lake):
    answer = {}
    for dataset, key in KEYS.items():
        path = os.path.join(lake, dataset)
        order = [(name, "ascending") for name in key]
        current, every = {}, {}
        for reader, read in READERS.items():
            whole = plain(read(path))
            columns = [name for name in sorted(whole.column_names) if name not in PARTITIONS | {"superseded_at"}]
            is_current = pyarrow.compute.field("superseded") == False  # noqa: E712
            current[reader] = rows(whole.filter(is_current).sort_by(order), columns)
            every[reader] = versions(whole, key, columns)
        answer[dataset] = {
            "columns": columns,
            "current": current,
            "every": every,
            "superseded": whole.num_rows - len(current[reader]),
            "files": len(open_table(path).file_uris()),
            "licences": sorted(set(whole["licence"].to_pylist())),
        }
    print(json.dumps(answer))


main(sys.argv[1])
