"""sensor.community archive files -> what SQL must answer, with the standard library only.

One message per line, in file order; a later value of the same sensor, property and time replaces the earlier one.
"""
import csv
import glob
import json
import math
import os
import sys


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def main(folder):
    values, rejects = {}, {}
    for path in sorted(glob.glob(os.path.join(folder, "*.csv"))):
        with open(path, encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file, delimiter=";"):
                if not line.get("timestamp"):
                    rejects["missing_field"] = rejects.get("missing_field", 0) + 1
                    continue
                for column, name in (("P1", "pm10"), ("P2", "pm2_5")):
                    value = number(line.get(column))
                    if value is not None:
                        values["sc-" + line["sensor_id"], name, line["timestamp"]] = value
    sensors = {}
    for (sensor, name, time), value in values.items():
        sensors.setdefault((sensor, name), []).append((time, value))
    answer = []
    for (sensor, name), members in sorted(sensors.items()):
        of = [value for _, value in members]
        times = [time for time, _ in members]
        answer.append(
            [sensor, name, len(of), math.fsum(of), min(of), max(of), min(times) + "Z", max(times) + "Z", 1]
        )
    print(json.dumps({"rows": len(values), "sensors": answer, "rejects": sorted(map(list, rejects.items()))}))


main(sys.argv[1])
