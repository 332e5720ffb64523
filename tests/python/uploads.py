"""Recorded uploads to Weather Underground -> the requests, and what SQL must answer, with the standard library only.

A file has one request a line, or is a dump of a network in which a request goes over several. Consoles of HP1001 send metric
values under names of their own, and no index in `UV`; a console that has lost its sensor outdoors sends no rain.
"""
import datetime
import glob
import json
import os
import sys
from urllib.parse import parse_qsl

from imperial import celsius, hectopascal, metres_per_second, millimetres, same


def of_kilometres(kilometres_per_hour):
    return kilometres_per_hour / 3.6


FIELDS = {
    "tempf": ("air_temperature", celsius),
    "outtemp": ("air_temperature", same),
    "humidity": ("relative_humidity", same),
    "outhumi": ("relative_humidity", same),
    "dewptf": ("dew_point", celsius),
    "dewpoint": ("dew_point", same),
    "absbaromin": ("air_pressure", hectopascal),
    "absbaro": ("air_pressure", same),
    "baromin": ("sea_level_pressure", hectopascal),
    "relbaro": ("sea_level_pressure", same),
    "windspeedmph": ("wind_speed", metres_per_second),
    "windspeed": ("wind_speed", of_kilometres),
    "windgustmph": ("wind_gust", metres_per_second),
    "windgust": ("wind_gust", of_kilometres),
    "winddir": ("wind_direction", same),
    "rainin": ("rain_rate", millimetres),
    "rainrate": ("rain_rate", same),
    "solarradiation": ("solar_irradiance", same),
    "UV": ("uv_index", same),
    "AqPM2.5": ("pm2_5", same),
}


def requests(text):
    if "HTTP/1.1" in text:
        text = text.replace("\r", "").replace("\n", "")
    for request in text.split("GET /")[1:]:
        yield "/" + request.split(" ")[0].split("\n")[0]


def instant(text):
    day, clock = text.split(" ")
    parts = [int(part) for part in day.split("-") + clock.split(":")]
    return datetime.datetime(*parts).strftime("%Y-%m-%dT%H:%M:%SZ")


def main(folder):
    sent, timed, untimed = [], {}, []
    for path in sorted(glob.glob(os.path.join(folder, "*.txt"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for request in requests(text):
            sent.append(request)
            fields = dict(parse_qsl(request.split("?", 1)[1]))
            is_lost = fields.get("tempf") == "-9999"
            for name, value in fields.items():
                if name not in FIELDS or value == "-9999":
                    continue
                if (name == "UV" and "outtemp" in fields) or (is_lost and "rain" in name):
                    continue
                prop, convert = FIELDS[name]
                value = convert(float(value))
                if fields["dateutc"] == "now":
                    untimed.append([prop, value])
                else:
                    timed[prop, instant(fields["dateutc"])] = value
    rows = [[*key, value] for key, value in sorted(timed.items())]
    print(json.dumps({"requests": sent, "timed": rows, "untimed": sorted(untimed)}))


main(sys.argv[1])
