"""A download of openSenseMap measurements (CSV, gzip) -> what SQL must answer, with the standard library only.

One row per sensor and time; times have nanoseconds, of which microseconds are kept. A later line replaces an earlier one.
"""
import csv
import gzip
import json
import math
import sys


def microseconds(text):
    """Cuts a time to microseconds and writes it as SQL does: with as many groups of three digits as it needs."""
    seconds, _, fraction = text.partition(".")
    fraction = fraction[:6].ljust(6, "0")
    for digits in ("000000", "000"):
        if fraction.endswith(digits):
            fraction = fraction[: len(fraction) - len(digits)]
            break
    return seconds.replace(" ", "T") + ("." + fraction if fraction else "") + "Z"


def main(path):
    values, lines = {}, 0
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            lines += 1
            values["berlin-" + line["sensorId"], microseconds(line["createdAt"])] = float(line["value"])
    sensors = {}
    for (sensor, time), value in values.items():
        sensors.setdefault(sensor, []).append((time, value))
    answer = []
    for sensor, members in sorted(sensors.items()):
        of = [value for _, value in members]
        times = [time for time, _ in members]
        answer.append([sensor, len(of), math.fsum(of), min(of), max(of), min(times), max(times)])
    print(json.dumps({"lines": lines, "rows": len(values), "sensors": answer}))


main(sys.argv[1])
