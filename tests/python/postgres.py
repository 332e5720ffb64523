"""Asks a meetnet daemon by the PostgreSQL protocol, with psycopg and SQLAlchemy; prints what they got as JSON.

Argument: a file with the port and the name of the user; the password is in PGPASSWORD, where there is one.
"""
import datetime
import json
import sys
import threading

import psycopg
import sqlalchemy

with open(sys.argv[1], encoding="utf-8") as file:
    port, user = file.read().split()
found = {}
# What takes minutes.
LONG = (
    "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b "
    "WHERE a.value + b.value = 3"
)


def ended(connection):
    """Runs the long statement; returns why it ended."""
    try:
        connection.execute(LONG)
    except psycopg.Error as error:
        return error.sqlstate
    return "it worked"


with psycopg.connect(host="127.0.0.1", port=port, user=user, dbname="meetnet", autocommit=True) as connection:
    cancelling = threading.Timer(1, connection.cancel)
    cancelling.start()
    found["cancelled"] = ended(connection)
    cancelling.join()
    connection.execute("SET statement_timeout = '500ms'")
    found["too long"] = ended(connection)
    found["after"] = connection.execute("SELECT 1").fetchone()[0]
    try:
        with connection.cursor() as cursor, cursor.copy("COPY traffic FROM STDIN"):
            pass
    except psycopg.errors.ReadOnlySqlTransaction as error:
        found["copy refused"] = error.sqlstate

with psycopg.connect(host="127.0.0.1", port=port, user=user, dbname="meetnet") as connection:
    found["encrypted"] = connection.pgconn.ssl_in_use
    after = datetime.datetime(2026, 3, 1, 22, tzinfo=datetime.timezone.utc)
    question = "SELECT segment_id, time, car FROM traffic WHERE time >= %s AND segment_id = %s ORDER BY time"
    for binary in (False, True):
        rows = connection.cursor(binary=binary).execute(question, (after, 2)).fetchall()
        found["binary" if binary else "text"] = [[row[0], row[1].isoformat(), row[2]] for row in rows]
    found["list"] = connection.execute("SELECT count(*) FROM traffic WHERE segment_id = ANY(%s)", ([1, 3],)).fetchone()[0]
    # psycopg sends lists of texts as one text, and does not say what it is.
    texts = ['a, "b"', "c\\d", None, ""]
    found["texts"] = [connection.execute(f"SELECT {place}::text[]", (texts,)).fetchone()[0] == texts for place in ("%s", "%b")]
    licences = ["CC0-1.0", "CC-BY-NC-4.0"]
    found["texts"] += [
        connection.execute(f"SELECT count(*) FROM traffic WHERE {condition}", (value,)).fetchone()[0]
        for condition, value in (
            ("licence = ANY(%s)", licences),
            ("licence = ANY(%s::text[])", licences),
            ("licence <> ALL(%s)", licences),
            ("licence = ANY(%s)", []),
        )
    ]
    found["texts"].append(connection.execute("SELECT count(*) FROM unnest(%s::text[])", (licences,)).fetchone()[0])
    client_side = psycopg.ClientCursor(connection).execute("SELECT count(*) FROM traffic WHERE licence = ANY(%s)", (licences,))
    found["texts"].append(client_side.fetchone()[0])
    # A server-side cursor takes its rows in parts.
    with connection.cursor(name="part") as cursor:
        cursor.itersize = 10
        cursor.execute("SELECT segment_id FROM traffic ORDER BY time, segment_id")
        found["cursor"] = len(list(cursor))
    with connection.cursor(name="bound") as cursor:
        cursor.execute(question, (after, 2))
        found["cursor with values"] = [[row[0], row[1].isoformat(), row[2]] for row in cursor]
    with connection.cursor(name="in binary", binary=True) as cursor:
        cursor.execute(question, (after, 2))
        found["cursor in binary"] = [[row[0], row[1].isoformat(), row[2]] for row in cursor]
    # COPY: psycopg reads what it is told of the types, and takes one message for one row.
    copied = f"COPY (SELECT segment_id, time, car FROM traffic WHERE time >= '{after.isoformat()}' AND segment_id = 2 ORDER BY time) TO STDOUT"
    with connection.cursor() as cursor:
        for name, options in (("copied text", ""), ("copied binary", " (FORMAT binary)")):
            with cursor.copy(copied + options) as copy:
                copy.set_types(["int8", "timestamptz", "float8"])
                found[name] = [[row[0], row[1].isoformat(), row[2]] for row in copy.rows()]
        with cursor.copy(copied + " (FORMAT csv, HEADER, DELIMITER ';')") as copy:
            found["copied csv"] = b"".join(copy).decode()
        values = "SELECT ARRAY[1.5, NULL, 2.5], CAST(12.5 AS DECIMAL(6, 2)), true, DATE '2026-03-01', NULL"
        with cursor.copy(f"COPY ({values}) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["float8[]", "numeric", "bool", "date", "text"])
            found["copied types"] = [str(value) for value in copy.read_row()]
            assert copy.read_row() is None
        with cursor.copy("COPY traffic (segment_id) TO STDOUT") as copy:
            found["copied table"] = sum(1 for _ in copy.rows())
    try:
        connection.execute("DELETE FROM traffic")
    except psycopg.errors.ReadOnlySqlTransaction as error:
        found["refused"] = error.sqlstate

# Rows under some licences only; and drivers keep what may be done with the last answer.
place = {"host": "127.0.0.1", "port": port, "user": user, "dbname": "meetnet"}
with psycopg.connect(**place, options="-c meetnet.licence=CC0-1.0", autocommit=True) as connection:
    found["licence at start"] = connection.execute("SELECT count(*) FROM traffic").fetchone()[0]
    found["licensed"] = []
    for licence, table in (("CC0-1.0", "noise"), ("CC0-1.0", "traffic"), ("CC-BY-NC-4.0", "traffic")):
        connection.execute(f"SET meetnet.licence = '{licence}'")
        rows = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        found["licensed"].append([table, rows, connection.info.parameter_status("meetnet.answer_licence") or ""])

engine = sqlalchemy.create_engine(f"postgresql+psycopg://{user}@127.0.0.1:{port}/meetnet")
inspector = sqlalchemy.inspect(engine)
found["tables"] = [name for name in sorted(inspector.get_table_names()) if name in ("traffic", "noise", "rejects")]
columns = {column["name"]: column for column in inspector.get_columns("traffic")}
found["columns"] = {name: str(columns[name]["type"]) for name in ("segment_id", "time", "car")}
found["comments"] = [inspector.get_table_comment("traffic")["text"], columns["interval_s"]["comment"]]
table = sqlalchemy.Table("traffic", sqlalchemy.MetaData(), autoload_with=engine)
with engine.connect() as connection:
    question = sqlalchemy.select(table.c.segment_id, sqlalchemy.func.sum(table.c.car).label("cars"))
    question = question.where(table.c.segment_id < 3).group_by(table.c.segment_id).order_by(table.c.segment_id)
    found["sums"] = [list(row) for row in connection.execute(question)]
    licences = sqlalchemy.literal(["CC-BY-NC-4.0", "CC0-1.0"], sqlalchemy.ARRAY(sqlalchemy.Text))
    question = sqlalchemy.select(sqlalchemy.func.count()).where(table.c.licence == sqlalchemy.any_(licences))
    found["any of a list"] = connection.execute(question).scalar_one()

json.dump(found, sys.stdout)
