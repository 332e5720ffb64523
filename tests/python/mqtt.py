"""Recorded MQTT messages (`topic = payload`) -> the messages, and what SQL must answer, with the standard library only.

Tasmota writes local time without an offset, and a bare `nan` where a sensor gave nothing. Of several sensors of one
message the first that has a value counts, in the order of SENSORS.
"""
import glob
import json
import math
import os
import re
import sys
from datetime import datetime, timedelta

SENSORS = ["SI7021-02", "SI7021-00", "AM2301", "LYWSD02-a2fd09", "LYWSD03-52680f", "MPU6050", "SCD40", "DS18B20"]
PROPERTIES = [("Temperature", "air_temperature"), ("Humidity", "relative_humidity")]


def utc(text):
    """Reads a time by the clocks of Brussels."""
    local = datetime.fromisoformat(text)

    def last_sunday(month):
        day = datetime(local.year, month, 31)
        return day - timedelta(days=(day.weekday() + 1) % 7)

    is_summer = last_sunday(3) + timedelta(hours=2) <= local < last_sunday(10) + timedelta(hours=3)
    return (local - timedelta(hours=2 if is_summer else 1)).isoformat() + "Z"


def read(payload):
    try:
        return json.loads(re.sub(r"\bnan\b", "NaN", payload))
    except ValueError:
        return None


def number(value):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and not math.isnan(value) else None


def tasmota(topic, body):
    """The rows of a message: sensor, property, time -> value."""
    device, rows = topic.split("/")[1], {}
    for member, name in PROPERTIES:
        of = (number(body[sensor].get(member)) for sensor in SENSORS if isinstance(body.get(sensor), dict))
        value = next((value for value in of if value is not None), None)
        if value is not None:
            rows["tasmota-" + device, name, utc(body["Time"])] = value
    return rows


def main(folder):
    messages, rows, others, without = [], {}, [], 0
    for path in sorted(glob.glob(os.path.join(folder, "*.txt"))):
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        for line in lines:
            topic, found, payload = line.partition(" = ")
            if not found or line.startswith("#"):
                continue
            topic, payload = topic.strip(), payload.split("   #")[0].strip()
            messages.append([topic, payload])
            body = read(payload)
            if topic.startswith("tele/"):
                of = tasmota(topic, body) if isinstance(body, dict) else {}
                rows.update(of)
                without += not of
            elif topic.startswith("zigbee2mqtt/"):
                others += [["z2m", "air_temperature", body["temperature"]], ["z2m", "relative_humidity", body["humidity"]]]
            elif topic.endswith("/sensor/temperature/state"):
                others.append(["esphome", "air_temperature", body])
            else:
                raise SystemExit(f"no source reads {topic}")
    tasmota_rows = [[*key, value] for key, value in sorted(rows.items())]
    print(json.dumps({"messages": messages, "tasmota": tasmota_rows, "others": sorted(others), "rejected": without}))


main(sys.argv[1])
