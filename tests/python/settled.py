"""A lake and the tests of its properties -> which rows the settle pass flags otherwise than numpy does.

The second argument is a JSON file: {"dataset", "properties": {name: {"reach_s", "spike", "neighbour"}}} with the declared
limits, null where there is none. Prints {"rows": tested rows, "found": {test: {flag: rows}}, "wrong": [[row, test, stored,
computed], …]}. The neighbour test here looks at every sensor of a dataset, with distances along great circles.
"""
import json
import sys

import numpy as np
import pandas as pd

from derived import answer, read

SPIKE, NEIGHBOUR = 256, 512
DAY = pd.Timedelta(days=1)
LOOK_AHEAD = pd.Timedelta(hours=6)
NEAREST = 32
with open(sys.argv[2], encoding="utf-8") as file:
    ASKED = json.load(file)


def beyond(measure, limits):
    if limits.get("fail") is not None and measure > limits["fail"]:
        return 4
    return 3 if measure > limits["suspect"] else 1


def spikes(series, limits, reach_s):
    """A flag for each row of a series: 2 where it says nothing."""
    times, values = list(series["time"]), series["value"].to_numpy()
    flags = []
    for at, time in enumerate(times):
        day = time.floor("D")
        has_before = at > 0 and times[at - 1] >= day - pd.Timedelta(seconds=reach_s)
        has_after = at + 1 < len(times) and times[at + 1] < day + DAY + LOOK_AHEAD
        if not has_before or not has_after:
            flags.append(2)
            continue
        flags.append(beyond(abs(values[at] - (values[at - 1] + values[at + 1]) / 2), limits))
    return flags


def distance_m(one, other):
    lon1, lat1, lon2, lat2 = map(np.radians, (*one, *other))
    a = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6_371_008.8 * np.arcsin(np.sqrt(a))


def place_at(periods, time):
    for since, until, place in periods:
        if since <= time and (pd.isna(until) or time < until):
            return place
    return None


def neighbours(rows, limits, places):
    """A flag for each row of a property."""
    rows = rows.sort_values("time")
    slots = rows["time"].dt.floor("10min")
    last = {}
    for sensor, slot, value in zip(rows["sensor_id"], slots, rows["value"]):
        last.setdefault(slot, {})[sensor] = float(np.float32(value))
    flags = {}
    for index, sensor, time, slot, value in zip(
        rows.index, rows["sensor_id"], rows["time"], slots, rows["value"]
    ):
        place = place_at(places.get(sensor, []), time)
        flags[index] = 2
        if place is None:
            continue
        near = []
        for other, theirs in last[slot].items():
            there = place_at(places.get(other, []), time)
            if other != sensor and there is not None:
                distance = distance_m(place, there)
                # Ours is on a plane: where that could matter, the places of the test are not good.
                assert abs(distance - limits["radius_m"]) > 5, (sensor, other, distance)
                if distance <= limits["radius_m"]:
                    near.append((distance, theirs))
        near = [theirs for _, theirs in sorted(near)[:NEAREST]]
        if len(near) < limits["neighbours_min"]:
            continue
        centre = np.median(near)
        spread = 1.4826 * np.median(np.abs(np.array(near) - centre))
        flags[index] = beyond(abs(value - centre) / max(spread, limits["deviation_min"]), limits)
    return pd.Series(flags)


def main():
    dataset = ASKED["dataset"]
    rows = read(dataset).reset_index(drop=True)
    places = {}
    stations = read("stations")
    for row in [] if stations is None else stations.to_dict("records"):
        period = (row["valid_from"], row["valid_to"], (row["lon"], row["lat"]))
        places.setdefault(row["id"], []).append(period)
    found, wrong, tested = {"spike": {}, "neighbour": {}}, [], 0
    for name, limits in ASKED["properties"].items():
        of_property = rows[rows["property"] == name]
        assert of_property["value"].notna().all()
        flags = pd.DataFrame(2, index=of_property.index, columns=["spike", "neighbour"])
        if limits["spike"] is not None:
            for _, series in of_property.groupby("sensor_id"):
                series = series.sort_values("time")
                flags.loc[series.index, "spike"] = spikes(series, limits["spike"], limits["reach_s"])
        if limits["neighbour"] is not None:
            of_places = neighbours(of_property, limits["neighbour"], places)
            flags.loc[of_places.index, "neighbour"] = of_places
        tested += len(of_property)
        for index, row in of_property.iterrows():
            for test, bit in (("spike", SPIKE), ("neighbour", NEIGHBOUR)):
                flag = int(flags.at[index, test])
                found[test][flag] = found[test].get(flag, 0) + 1
                has_bit = bool(int(row["quality_tests"]) & bit)
                # Where nothing else found fault, the flag of the row is that of the test.
                is_alone = int(row["quality_tests"]) == bit
                if has_bit != (flag >= 3) or (is_alone and int(row["quality"]) != flag):
                    at = f"{row['sensor_id']} {name} {row['time']}"
                    wrong.append([at, test, [int(row["quality"]), int(row["quality_tests"])], flag])
    answer({"rows": tested, "found": found, "wrong": wrong[:20]})


main()
