"""A lake -> what its neighbourhoods hold and pandas gathers otherwise from the counts, values and places that lie in it.

Hours of air and heat are computed here, too, from single observations. A second argument, `permission`, says that rows which
forbid commercial use count. Prints {"rows": {…}, "wrong": [[dataset, key, column, stored, computed], …]}.
"""
import sys

import pandas as pd

from derived import answer, compare, hourly, read

AIR = ("pm2_5", "pm10", "no2", "o3")
COUNTS = ("car", "heavy", "bike", "pedestrian")
# What asks for more comes later. Licences of the tests only; no two of them are alike.
ORDER = ["CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0"]


def periods_of(dataset):
    """Id -> its periods in order: since when, until when, and the cell."""
    periods = {}
    rows = read(dataset)
    for row in [] if rows is None else rows.sort_values("valid_from").to_dict("records"):
        periods.setdefault(row["id"], []).append((row["valid_from"], row["valid_to"], row["h3_r9"]))
    return periods


def cell_at(periods, time):
    begun = [period for period in periods if period[0] <= time]
    if not begun:
        return None
    _, until, cell = begun[-1]
    is_over = not pd.isna(until) and time >= until
    return None if is_over or pd.isna(cell) else int(cell)


def sum_of(values):
    values = [value for value in values if not pd.isna(value)]
    return sum(values) if values else None


def mean_of(values):
    values = [value for value in values if not pd.isna(value)]
    return sum(values) / len(values) if values else None


class Cells:
    """Cell and hour -> the rows of each kind in it, and their licences."""

    def __init__(self, has_permission):
        self.has_permission = has_permission
        self.cells, self.licences, self.left_out = {}, {}, 0

    def add(self, kind, periods, time, licence, row):
        cell = cell_at(periods, time)
        if cell is None:
            return
        if "-NC-" in licence and not self.has_permission:
            self.left_out += 1
            return
        at = (cell, time.floor("h"))
        self.cells.setdefault(at, {}).setdefault(kind, []).append(row)
        self.licences.setdefault(at, set()).add(licence)

    def figures(self):
        return {at: self.of(kinds) for at, kinds in self.cells.items()}

    @staticmethod
    def of(kinds):
        traffic, heat = kinds.get("traffic", []), kinds.get("heat", [])
        figures = {"segments": len(traffic), "uptime": mean_of([row["uptime"] for row in traffic])}
        for mode in COUNTS:
            figures[mode] = sum_of([row[mode] for row in traffic])
        for name in AIR:
            rows = kinds.get(name, [])
            figures[name] = mean_of([row["mean"] for row in rows])
            figures[f"{name}_sensors"] = len(rows)
            figures[f"{name}_coverage"] = mean_of([row["coverage"] for row in rows])
        figures["air_temperature"] = mean_of([row["mean"] for row in heat])
        figures["temperature_sensors"] = len(heat)
        figures["temperature_coverage"] = mean_of([row["coverage"] for row in heat])
        return figures


def add_traffic(cells):
    rows, periods = read("traffic"), periods_of("segments")
    if rows is None:
        return
    rows = rows[(rows["interval_s"] == 3600) & (rows["quality"] <= 2) & (rows["uptime"] >= 0.5)]
    for row in rows.to_dict("records"):
        cells.add("traffic", periods.get(row["segment_id"], []), row["time"], row["licence"], row)


def add_hours(cells, rows, kind, coverage_min, periods):
    """Adds the hours of one property; a sensor here has rows of one licence."""
    licences = rows.groupby("sensor_id")["licence"].unique()
    assert all(len(licence) == 1 for licence in licences), licences
    for (sensor, hour), figures in hourly(rows, ["sensor_id"]).items():
        if figures["coverage"] >= coverage_min and figures["mean"] is not None:
            cells.add(kind, periods.get(sensor, []), hour, licences[sensor][0], figures)


def main():
    cells = Cells("permission" in sys.argv[2:])
    add_traffic(cells)
    stations = periods_of("stations")
    air, heat = read("air"), read("heat")
    for name in AIR:
        if air is not None and (air["property"] == name).any():
            add_hours(cells, air[air["property"] == name], name, 0.75, stations)
    if heat is not None:
        add_hours(cells, heat[heat["property"] == "air_temperature"], "heat", 0.6, stations)
    wrong = []
    figures = cells.figures()
    count = compare("neighbourhood_hourly", ["h3_r9"], figures, wrong)
    stored = read("neighbourhood_hourly")
    for row in [] if stored is None else stored.to_dict("records"):
        of_cell = cells.licences.get((row["h3_r9"], row["time"].tz_convert("UTC")))
        licence = of_cell and max(of_cell, key=ORDER.index)
        if licence != row["licence"]:
            wrong.append(["neighbourhood_hourly", str(row["time"]), "licence", row["licence"], str(licence)])
    kinds = [set(kinds) for kinds in cells.cells.values()]
    rows = {
        "neighbourhood_hourly": count,
        "cells": len({cell for cell, _ in figures}),
        # What no single input would show: hours in which several came together, and sensors side by side.
        "of several kinds": sum(len(of_cell) > 1 for of_cell in kinds),
        "of several sensors": sum(row["temperature_sensors"] > 1 for row in figures.values()),
        "under another licence than some input": sum(len(licences) > 1 for licences in cells.licences.values()),
        "left out": cells.left_out,
        "traffic": sum("traffic" in of_cell for of_cell in kinds),
        "pm10": sum("pm10" in of_cell for of_cell in kinds),
    }
    answer({"rows": rows, "wrong": wrong[:20]})


main()
