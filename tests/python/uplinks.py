"""Recorded LoRaWAN uplinks -> what SQL must answer, with the standard library only.

A network server decodes what a device sends by its codec; without one there is nothing to make a row of. Time is when the
network server had the uplink.
"""
import glob
import json
import os
import sys

FIELDS = [
    ("temperature_1", "air_temperature"),
    ("barometric_pressure_1", "air_pressure"),
    ("relative_humidity_1", "relative_humidity"),
]


def main(folder):
    uplinks, rows, undecoded = [], [], 0
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path, encoding="utf-8") as file:
            uplink = json.load(file)
        of_stack = uplink.get("uplink_message")
        decoded = of_stack.get("decoded_payload") if of_stack else uplink.get("object")
        uplinks.append(["tts" if of_stack else "chirpstack", json.dumps(uplink), decoded is not None])
        if decoded is None:
            undecoded += 1
            continue
        # To the microsecond.
        time = of_stack["received_at"][:26] + "Z"
        rows += [[prop, time, decoded[name]] for name, prop in FIELDS]
    print(json.dumps({"uplinks": uplinks, "rows": sorted(rows), "undecoded": undecoded}))


main(sys.argv[1])
