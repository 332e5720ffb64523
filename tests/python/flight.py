"""Asks a meetnet daemon by Arrow Flight SQL, with the driver of ADBC; prints what it got as JSON.

Argument: a file with the address and the name of the user, "-" for nobody. The password is in MEETNET_TEST_PASSWORD, the
file with the certificate to believe in MEETNET_TEST_ROOT, where there are such.
"""
import datetime
import decimal
import json
import os
import sys
import threading
import time

import adbc_driver_flightsql.dbapi as flight
import pyarrow

LONG = (
    "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b "
    "WHERE a.value + b.value = 3"
)

with open(sys.argv[1], encoding="utf-8") as file:
    address, user = file.read().split()
options = {}
if user != "-":
    options = {"username": user, "password": os.environ["MEETNET_TEST_PASSWORD"]}
if "MEETNET_TEST_ROOT" in os.environ:
    with open(os.environ["MEETNET_TEST_ROOT"], encoding="utf-8") as file:
        options["adbc.flight.sql.client_option.tls_root_certs"] = file.read()
found = {}


def wrong(work):
    """Returns what the service says is wrong."""
    try:
        work()
    except Exception as error:  # of the driver, or of pyarrow where a stream breaks off
        return str(error)
    return "it worked"


with flight.connect(address, db_kwargs=options, autocommit=True) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT count(*) AS rows, max(car) AS most FROM traffic")
    found["plain"] = cursor.fetchall()
    after = datetime.datetime(2026, 3, 1, 22, tzinfo=datetime.timezone.utc)
    question = "SELECT segment_id, time, car FROM traffic WHERE time >= ? AND segment_id = ? ORDER BY time"
    for _ in range(2):
        cursor.execute(question, (after, 2))
        rows = cursor.fetchall()
    found["prepared"] = [[row[0], row[1].isoformat(), row[2]] for row in rows]

    values = (after, decimal.Decimal("1.50"), None, True, "x", 7)
    cursor.execute("SELECT ? AS a, ? AS b, ? AS c, ? AS d, ? AS e, ? AS f", values)
    table = cursor.fetch_arrow_table()
    found["same"] = tuple(table.to_pylist()[0].values()) == values
    found["types"] = [str(field.type) for field in table.schema]
    word = pyarrow.array(["word"]).dictionary_encode()
    cursor.execute("SELECT ? AS word", pyarrow.record_batch([word], names=["0"]))
    table = cursor.fetch_arrow_table()
    found["dictionary"] = [str(table.schema.field("word").type), table["word"].to_pylist()]
    cursor.execute("SELECT value FROM noise WHERE property = 'laeqq'")
    hint = cursor.fetch_arrow_table().schema.metadata.get(b"meetnet.hints", b"").decode()
    found["hint"] = hint.startswith("`noise` knows no property `laeqq`; did you mean `laeq`?")
    cursor.execute("SELECT value FROM generate_series(1, 300000)")
    found["many"] = cursor.fetch_arrow_table().num_rows

    objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
    found["catalogs"] = [catalog["catalog_name"] for catalog in objects]
    schemas = {schema["db_schema_name"]: schema["db_schema_tables"] for schema in objects[0]["catalog_db_schemas"]}
    tables = {table["table_name"]: table for table in schemas["public"]}
    known = ("traffic", "traffic_history", "rejects")
    found["tables"] = {name: tables[name]["table_type"] for name in known if name in tables}
    found["columns"] = [column["column_name"] for column in tables["traffic"]["table_columns"]][:3]
    found["table types"] = sorted(connection.adbc_get_table_types())
    schema = connection.adbc_get_table_schema("traffic")
    found["schema"] = {name: str(schema.field(name).type) for name in ("segment_id", "time", "car")}
    found["vendor"] = connection.adbc_get_info()["vendor_name"]

    found["no table"] = "there is no table `nothing`" in wrong(lambda: cursor.execute("SELECT * FROM nothing"))
    found["private"] = "there is no table `rejects`" in wrong(lambda: cursor.execute("SELECT * FROM rejects"))
    found["write"] = "this service only reads" in wrong(lambda: cursor.execute("DELETE FROM traffic"))

    # What takes minutes ends when it is cancelled.
    ends = {}

    def run():
        def work():
            cursor.execute(LONG)
            cursor.fetchall()

        ends["said"] = wrong(work)

    running = threading.Thread(target=run, daemon=True)
    running.start()
    time.sleep(1)
    cursor.adbc_cancel()
    running.join(15)
    found["cancelled"] = "cancel" in ends.get("said", "it runs").lower()

# And the connection is as good as before.
with flight.connect(address, db_kwargs=options, autocommit=True) as connection, connection.cursor() as cursor:
    cursor.execute("SELECT 1 AS one")
    found["after"] = cursor.fetchall()

json.dump(found, sys.stdout)
