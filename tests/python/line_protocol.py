"""Recorded lines of line protocol -> bodies for two databases, and what SQL must answer, with the standard library only.

One line is an airRohr box's. The others are of one measurement; those that are no number, or no line, make no row. InfluxDB's
answers are recorded as comments: what it said of a line that it could not parse is said here, too.
"""
import datetime
import json
import os
import re
import sys

BOX = {
    "SDS_P1": ("pm10", 1),
    "SDS_P2": ("pm2_5", 1),
    "BME280_temperature": ("air_temperature", 1),
    "BME280_humidity": ("relative_humidity", 1),
    # Pa.
    "BME280_pressure": ("air_pressure", 0.01),
}


def main(folder):
    with open(os.path.join(folder, "lines.txt"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    boxes = [line for line in lines if line.startswith("feinstaub,")]
    box_rows = []
    for line in boxes:
        for pair in line.split(" ")[1].split(","):
            name, value = pair.split("=")
            if name in BOX:
                prop, factor = BOX[name]
                box_rows.append([prop, float(value) * factor])
    answers = [json.loads(line[2:])["error"] for line in lines if line.startswith("# {")]
    unparsed = [match.groups() for answer in answers if (match := re.match(r"unable to parse '(.*)': (.*)$", answer))]
    others = [line for line in lines if line.startswith("mymeas ")] + [line for line, _ in unparsed]
    timed, untimed, rejected = [], [], 0
    for line in others:
        match = re.fullmatch(r"mymeas value=([-+0-9.e]+)i?(?: (\d+))?", line)
        if not match:
            rejected += 1
        elif match[2]:
            at = datetime.datetime.fromtimestamp(int(match[2]) // 10**9, datetime.timezone.utc)
            timed.append([at.strftime("%Y-%m-%dT%H:%M:%SZ"), float(match[1])])
        else:
            untimed.append([float(match[1])])
    print(
        json.dumps(
            {
                "boxes": "\n".join(boxes),
                "box_rows": sorted(box_rows),
                "others": "\n".join(others),
                "timed": timed,
                "untimed": untimed,
                "rejected": rejected,
                "reasons": [reason for _, reason in unparsed],
            }
        )
    )


main(sys.argv[1])
