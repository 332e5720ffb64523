"""Telraam recordings -> what SQL must answer, with the standard library only.

Prints {"columns": [...], "segments": [[segment, interval_s, rows, first, last, missing, suspect, hists, fine hists,
count, sum, min, max per column]]}. Where the device was off (uptime 0, all counts 0) there is no count.
"""
import glob
import json
import math
import os
import sys

COUNTS = ["heavy", "car", "bike", "pedestrian", "night"]
COLUMNS = ["uptime", *COUNTS, *(f"{c}_{side}" for c in COUNTS for side in ("lft", "rgt")), "v85"]
SECONDS = {"quarterly": 900, "hourly": 3600, "daily": 86400}


def main(folder):
    rows = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path, encoding="utf-8") as file:
            for row in json.load(file)["data"]:
                rows[row["segment_id"], SECONDS[row["interval"]], row["date"]] = row
    segments = {}
    for (segment, interval, date), row in rows.items():
        segments.setdefault((segment, interval), []).append((date, row))
    answer = []
    for (segment, interval), members in sorted(segments.items()):
        off = [all(row.get(c) in (0, None) for c in COUNTS) and row["uptime"] == 0 for _, row in members]
        dates = [date.replace(".000Z", "") for date, _ in members]
        line = [segment, interval, len(members), min(dates) + "Z", max(dates) + "Z", sum(off)]
        line.append(sum(0 < row["uptime"] < 0.5 for _, row in members))
        for name in ("car_speed_hist_0to70plus", "car_speed_hist_0to120plus"):
            line.append(sum(any(row.get(name) or ()) for _, row in members))
        for column in COLUMNS:
            is_count = column not in ("uptime", "v85")
            values = [
                row.get(column) for (_, row), is_off in zip(members, off) if not (is_off and is_count)
            ]
            values = [v for v in values if v is not None and not (column == "v85" and v == 0)]
            line += [len(values)]
            line += [math.fsum(values), min(values), max(values)] if values else [None, None, None]
        answer.append(line)
    print(json.dumps({"columns": COLUMNS, "segments": answer}))


main(sys.argv[1])
