"""Our files of one table against DuckDB's and Polars' of the same rows: bytes per row, and how fast DuckDB reads them.

    python compare.py LAKE/TABLE

Ours are the live files. The others are written per partition, from the same columns: sorted by the key as ours are, and
in the order of arrival (`received_at`), with the settings that each program has by default.
"""

import os
import statistics
import sys
import tempfile
import time

import deltalake
import duckdb
import polars

KEYS = {
    "traffic": ["segment_id", "interval_s", "time"],
    "air": ["sensor_id", "property", "time"],
    "heat": ["sensor_id", "property", "time"],
}
READS = 5


def partitions(table):
    """The live files, by partition folder."""
    found = {}
    for path in deltalake.DeltaTable(table).file_uris():
        path = path.removeprefix("file://")
        if "superseded=false" in path:
            found.setdefault(os.path.dirname(path), []).append(path)
    return found


def written(folder, write):
    """Calls `write` with a file for each partition; returns the sum of their sizes."""
    total = 0
    for number, (_, rows) in enumerate(sorted(folder.items())):
        with tempfile.TemporaryDirectory() as temporary:
            path = os.path.join(temporary, f"{number}.parquet")
            write(rows, path)
            total += os.path.getsize(path)
    return total


def read_seconds(connection, files):
    """Median time in which DuckDB reads every column of files."""
    columns = [row[0] for row in connection.execute("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)", [files]).fetchall()]
    every = ", ".join(f'count("{name}"), min("{name}")' for name in columns)
    times = []
    for _ in range(READS):
        began = time.perf_counter()
        # As Arrow: Python's times would need a module of zones.
        connection.sql(f"SELECT {every} FROM read_parquet({files!r}, hive_partitioning = false)").to_arrow_table()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main():
    table = sys.argv[1].rstrip("/")
    key = ", ".join(KEYS[os.path.basename(table)])
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    ours_by_partition = partitions(table)
    files = [path for paths in ours_by_partition.values() for path in paths]
    rows = connection.execute("SELECT count(*) FROM read_parquet(?, hive_partitioning = false)", [files]).fetchone()[0]
    ours = sum(os.path.getsize(path) for path in files)

    def from_files(paths, order):
        return f"SELECT * FROM read_parquet({paths!r}, hive_partitioning = false) ORDER BY {order}"

    def duck(order, options):
        def write(paths, path):
            connection.execute(f"COPY ({from_files(paths, order)}) TO '{path}' (FORMAT parquet{options})")

        return write

    def polar(order, **options):
        def write(paths, path):
            connection.sql(from_files(paths, order)).pl().write_parquet(path, **options)

        return write

    versions = f"DuckDB {duckdb.__version__}, Polars {polars.__version__}"
    print(f"   {rows} rows against {versions}: bytes per row")
    print(f"   {'ours':<46} {ours / rows:8.3f}")
    trials = [
        ("DuckDB, zstd, sorted by key", duck(key, ", COMPRESSION zstd"), 1.0),
        ("DuckDB, zstd, format version 2, sorted by key", duck(key, ", COMPRESSION zstd, PARQUET_VERSION v2"), None),
        ("DuckDB, defaults, sorted by key", duck(key, ""), None),
        ("DuckDB, defaults, in order of arrival", duck("received_at", ""), 0.85),
        ("Polars, defaults, sorted by key", polar(key), None),
        ("Polars, defaults, in order of arrival", polar("received_at"), 0.85),
    ]
    for name, write, aim in trials:
        theirs = written(ours_by_partition, write)
        ratio = ours / theirs
        verdict = "" if aim is None else f" (aim <= {aim}: {'reached' if ratio <= aim else 'MISSED'})"
        print(f"   {name:<46} {theirs / rows:8.3f}   ours to theirs {ratio:.3f}{verdict}")

    with tempfile.TemporaryDirectory() as temporary:
        theirs = []
        for number, paths in enumerate(ours_by_partition.values()):
            theirs.append(os.path.join(temporary, f"{number}.parquet"))
            duck(key, ", COMPRESSION zstd")(paths, theirs[-1])
        read_ours, read_theirs = read_seconds(connection, files), read_seconds(connection, theirs)
    print(f"   read by DuckDB: ours {read_ours:.3f} s, its own (zstd, sorted) {read_theirs:.3f} s, ratio {read_ours / read_theirs:.2f}")


if __name__ == "__main__":
    main()
