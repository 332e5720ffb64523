"""Recorded forms of Ecowitt stations -> the forms, and what SQL must answer, with the standard library only.

Stations send what they measure in imperial units, in UTC. One row per property and time: the later form counts.
"""
import glob
import json
import math
import os
import sys
from urllib.parse import urlencode

from imperial import celsius, hectopascal, metres_per_second, millimetres, same


FIELDS = [
    ("tempf", "air_temperature", celsius),
    ("humidity", "relative_humidity", same),
    ("bgt", "globe_temperature", celsius),
    ("wbgt", "wbgt", celsius),
    ("baromabsin", "air_pressure", hectopascal),
    ("baromrelin", "sea_level_pressure", hectopascal),
    ("windspeedmph", "wind_speed", metres_per_second),
    ("windgustmph", "wind_gust", metres_per_second),
    ("winddir", "wind_direction", same),
    # Where a station has both, the tipping bucket counts.
    ("rrain_piezo", "rain_rate", millimetres),
    ("rainratein", "rain_rate", millimetres),
    ("solarradiation", "solar_irradiance", same),
    ("uv", "uv_index", same),
]


def main(folder):
    forms, values = [], {}
    for path in sorted(glob.glob(os.path.join(folder, "payload_*.json"))):
        # One is another service's, the other of a station whose units were switched.
        if "wunderground" in path or "metric" in path:
            continue
        with open(path, encoding="utf-8") as file:
            form = json.load(file)
        forms.append(urlencode(form))
        for field, name, convert in FIELDS:
            if form.get(field) not in (None, ""):
                values[name, form["dateutc"].replace(" ", "T") + "Z"] = convert(float(form[field]))
    rows = [[name, time, value] for (name, time), value in sorted(values.items())]
    print(json.dumps({"forms": forms, "rows": rows, "total": math.fsum(values.values())}))


main(sys.argv[1])
