"""Files of sensor.community's archive into one sorted Parquet file with DuckDB, as `meetnet import` makes rows of them.

    python duckdb_archive.py FOLDER OUTPUT

The schema is declared, so nothing is sniffed; lines that are cut short are skipped. A value of PM10 or PM2.5 is a row of
(sensor_id, property, time, value), sorted by the first three, compressed with zstd. Keys are not checked, so a row that
comes twice is there twice. Prints `rows N` and `seconds S`: reading, sorting and writing, without the start of Python.
"""

import sys
import time

import duckdb

COLUMNS = {
    "sensor_id": "VARCHAR",
    "sensor_type": "VARCHAR",
    "location": "INTEGER",
    "lat": "DOUBLE",
    "lon": "DOUBLE",
    "timestamp": "TIMESTAMP",
    "P1": "DOUBLE",
    "durP1": "DOUBLE",
    "ratioP1": "DOUBLE",
    "P2": "DOUBLE",
    "durP2": "DOUBLE",
    "ratioP2": "DOUBLE",
}
STATEMENT = """
COPY (
    SELECT 'sc-' || sensor_id AS sensor_id, property, timestamp AS time, value
    FROM (
        UNPIVOT (SELECT sensor_id, timestamp, P1 AS pm10, P2 AS pm2_5 FROM read_csv(
            $files, delim = ';', header = true, auto_detect = false, columns = {columns}, quote = '',
            ignore_errors = true
        ) WHERE timestamp IS NOT NULL)
        ON pm10, pm2_5 INTO NAME property VALUE value
    )
    ORDER BY sensor_id, property, time
) TO '{output}' (FORMAT parquet, COMPRESSION zstd)
"""


def main(folder, output):
    connection = duckdb.connect()
    statement = STATEMENT.format(columns=COLUMNS, output=output.replace("'", "''"))
    began = time.perf_counter()
    (rows,) = connection.execute(statement, {"files": f"{folder}/**/*.csv"}).fetchone()
    took = time.perf_counter() - began
    print("rows", rows)
    print("seconds", took)


main(sys.argv[1], sys.argv[2])
