"""Asks a meetnet daemon by the PostgreSQL protocol, with psycopg and SQLAlchemy; prints what they got as JSON.

Argument: a file with the port and the name of the user; the password is in PGPASSWORD, where there is one.
"""
import datetime
import json
import sys

import psycopg
import sqlalchemy

with open(sys.argv[1], encoding="utf-8") as file:
    port, user = file.read().split()
found = {}

with psycopg.connect(host="127.0.0.1", port=port, user=user, dbname="meetnet") as connection:
    found["encrypted"] = connection.pgconn.ssl_in_use
    after = datetime.datetime(2026, 3, 1, 22, tzinfo=datetime.timezone.utc)
    question = "SELECT segment_id, time, car FROM traffic WHERE time >= %s AND segment_id = %s ORDER BY time"
    for binary in (False, True):
        rows = connection.cursor(binary=binary).execute(question, (after, 2)).fetchall()
        found["binary" if binary else "text"] = [[row[0], row[1].isoformat(), row[2]] for row in rows]
    found["list"] = connection.execute("SELECT count(*) FROM traffic WHERE segment_id = ANY(%s)", ([1, 3],)).fetchone()[0]
    # A server-side cursor takes its rows in parts.
    with connection.cursor(name="part") as cursor:
        cursor.itersize = 10
        cursor.execute("SELECT segment_id FROM traffic ORDER BY time, segment_id")
        found["cursor"] = len(list(cursor))
    try:
        connection.execute("DELETE FROM traffic")
    except psycopg.errors.ReadOnlySqlTransaction as error:
        found["refused"] = error.sqlstate

engine = sqlalchemy.create_engine(f"postgresql+psycopg://{user}@127.0.0.1:{port}/meetnet")
inspector = sqlalchemy.inspect(engine)
found["tables"] = [name for name in sorted(inspector.get_table_names()) if name in ("traffic", "noise", "rejects")]
columns = {column["name"]: column for column in inspector.get_columns("traffic")}
found["columns"] = {name: str(columns[name]["type"]) for name in ("segment_id", "time", "car")}
table = sqlalchemy.Table("traffic", sqlalchemy.MetaData(), autoload_with=engine)
with engine.connect() as connection:
    question = sqlalchemy.select(table.c.segment_id, sqlalchemy.func.sum(table.c.car).label("cars"))
    question = question.where(table.c.segment_id < 3).group_by(table.c.segment_id).order_by(table.c.segment_id)
    found["sums"] = [list(row) for row in connection.execute(question)]

json.dump(found, sys.stdout)
