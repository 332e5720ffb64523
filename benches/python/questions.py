"""Answers questions about files of a lake with one engine, DuckDB or ClickHouse (chDB), for the bench `queries`.

One request a line on stdin, one reply a line on stdout, both JSON:

    {"engine": "duckdb", "threads": 2, "tables": {"air": {"current": [PATH…], "all": [PATH…]}}}    once
    {"sql": …, "answer": FILE}     {"difference": null} or how the answer differs from an Arrow stream in a file
    {"sql": …, "csv": null}        {"seconds": S}: to an Arrow table in memory
    {"sql": …, "csv": FILE}        {"seconds": S}: to a CSV file

A table `air` is a view of the files with current rows, `air_all` of those with replaced rows, too.
"""

import json
import math
import sys
import time

import pyarrow as pa
import pyarrow.ipc


class DuckDb:
    def __init__(self, threads, tables):
        import duckdb

        self.connection = duckdb.connect()
        self.connection.execute(f"SET threads = {threads}")
        self.connection.execute("SET TimeZone = 'UTC'")
        # Ours keeps footers too.
        self.connection.execute("SET parquet_metadata_cache = true")
        for name, files in tables:
            self.connection.execute(
                f"CREATE VIEW {name} AS SELECT * FROM read_parquet({files!r}, hive_partitioning = false)"
            )

    def table(self, sql):
        return self.connection.sql(sql).to_arrow_table()

    def csv(self, sql, path):
        self.connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT csv, HEADER)")


class ChDb:
    def __init__(self, threads, tables):
        from chdb import session

        self.session = session.Session()
        self.session.query(f"SET max_threads = {threads}")
        for name, files in tables:
            # Only what begins with a slash is no path below a folder of ClickHouse's own.
            listed = "/{" + ",".join(file.lstrip("/") for file in files) + "}"
            self.session.query(
                f"CREATE VIEW {name} AS SELECT * FROM file('{listed}', Parquet)"
                " SETTINGS use_hive_partitioning = 0"
            )

    def table(self, sql):
        return self.session.query(sql, "ArrowTable")

    def csv(self, sql, path):
        self.session.query(
            f"{sql} INTO OUTFILE '{path}' TRUNCATE FORMAT CSVWithNames", "CSV"
        )


def start(request):
    tables = []
    for name, files in request["tables"].items():
        if files["current"]:
            tables += [(name, files["current"]), (f"{name}_all", files["all"])]
    engines = {"duckdb": DuckDb, "chdb": ChDb}
    return engines[request["engine"]](request["threads"], tables)


def column(values):
    """Returns a column as numbers and texts; times as microseconds since 1970."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if pa.types.is_date(kind):
        values = values.cast(pa.timestamp("s"))
        kind = values.type
    if pa.types.is_timestamp(kind):
        values = values.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
    if pa.types.is_decimal(kind):
        values = values.cast(pa.float64())
    return values.to_pylist()


def rows(table):
    """Returns rows in an order that does not depend on the last digits of floats."""
    columns = [column(values) for values in table.columns]

    def order(row):
        texts = [(value is None, str(value)) for value in row if not isinstance(value, float)]
        return texts, [value for value in row if isinstance(value, float)]

    return sorted(zip(*columns), key=order)


def equal(ours, theirs):
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)):
        # Percentiles of DuckDB come with a few digits less where there are many rows.
        return math.isclose(ours, theirs, rel_tol=1e-8, abs_tol=1e-8)
    return ours == theirs


def difference(path, theirs):
    with pa.OSFile(path) as file:
        ours = pa.ipc.open_stream(file).read_all()
    if ours.num_columns != theirs.num_columns or ours.num_rows != theirs.num_rows:
        return f"{ours.num_rows} x {ours.num_columns}, not {theirs.num_rows} x {theirs.num_columns}"
    for our_row, their_row in zip(rows(ours), rows(theirs)):
        if not all(map(equal, our_row, their_row)):
            return f"{our_row}, not {their_row}"
    return None


def answer(engine, request):
    if request.get("answer"):
        return {"difference": difference(request["answer"], engine.table(request["sql"]))}
    began = time.perf_counter()
    if request.get("csv"):
        engine.csv(request["sql"], request["csv"])
    else:
        engine.table(request["sql"])
    return {"seconds": time.perf_counter() - began}


def main():
    engine = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if engine is None:
                engine = start(request)
                reply = {}
            else:
                reply = answer(engine, request)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


main()
