"""A lake -> what `data_quality` says and pandas counts otherwise in the tables of observations that lie in it.

Prints {"rows": {…}, "wrong": [[dataset, key, column, stored, computed], …]}. Days are those of UTC; days that are not over
for six hours are not there yet.
"""

import numpy as np
import pandas as pd

from derived import answer, compare, read

# Key of each observed dataset but for the time; the first column is the sensor.
SERIES = {
    "traffic": ["segment_id", "interval_s"],
    "air": ["sensor_id", "property"],
    "heat": ["sensor_id", "property"],
    "noise": ["sensor_id", "property"],
}
FLAGS = {"passed": 1, "not_evaluated": 2, "suspect": 3, "failed": 4, "missing": 9}
DAY_US, HOUR_US, SECOND_US = 86_400_000_000, 3_600_000_000, 1_000_000
GRACE_US, ACTIVE_DAYS, CLASSES = 6 * HOUR_US, 7, 98
BOUNDS = np.array([2 ** (k / 4) for k in range(CLASSES - 1)])


def micros(times):
    return times.dt.as_unit("us").astype("int64").to_numpy()


def is_there(days, day):
    """Whether something that has rows on these days is expected on that one."""
    return any(day - back in days for back in range(ACTIVE_DAYS + 1))


def days_of(rows, key, now):
    """Day (number since 1970) -> its figures."""
    rows = rows.copy()
    rows["us"] = micros(rows["time"])
    rows["day"] = rows["us"] // DAY_US
    rows["interval_us"] = (rows["interval_s"].fillna(0).clip(lower=0) * SECOND_US).astype("int64")
    rows["late_s"] = (micros(rows["received_at"]) - rows["us"] - rows["interval_us"]) / SECOND_US
    rows["is_timed"] = micros(rows["received_at"]) != rows["us"]
    slots, of_series, of_sensor = {}, {}, {}
    for series, group in rows.groupby(key):
        of_series[series] = set(group["day"])
        of_sensor.setdefault(series[0], set()).update(group["day"])
        seen = group[group["quality"] != 9]
        for day, us, length in zip(seen["day"], seen["us"] - seen["day"] * DAY_US, seen["interval_us"]):
            last = min(us + max(length, 1), DAY_US) - 1
            slots.setdefault((series, day), set()).update(range(us // HOUR_US, last // HOUR_US + 1))
    by_day = dict(list(rows.groupby("day")))
    answer = {}
    for day in range(min(by_day), max(by_day) + ACTIVE_DAYS + 1):
        if (day + 1) * DAY_US + GRACE_US > now:
            break
        expected = [series for series, days in of_series.items() if is_there(days, day)]
        group = by_day.get(day, rows[:0])
        with_rows = sum(day in days for days in of_sensor.values())
        silent = sum(day not in days and is_there(days, day) for days in of_sensor.values())
        if not len(group) and not silent:
            continue
        timed = group[group["is_timed"]]
        classes = np.bincount(np.searchsorted(BOUNDS, timed["late_s"], side="left"), minlength=CLASSES)
        answer[day] = {
            **{name: int((group["quality"] == flag).sum()) for name, flag in FLAGS.items()},
            "revisions": int(group["revision"].sum()),
            "slots": sum(len(slots.get((series, day), ())) for series in expected),
            "slots_expected": 24 * len(expected),
            "classes": classes,
            "sensors": with_rows,
            "silent": silent,
            "days": 1,
        }
    return answer


def joined(days):
    """The figures of days together, in their order."""
    sums = [*FLAGS, "revisions", "slots", "slots_expected", "classes", "days"]
    return {
        **{name: sum(day[name] for day in days) for name in sums},
        "sensors": max(day["sensors"] for day in days),
        "silent": days[-1]["silent"],
    }


def percentile(classes, percent):
    wanted = -(-int(classes.sum()) * percent // 100)
    below = 0
    for number, count in enumerate(classes):
        below += count
        if count and below >= wanted:
            return None if number == CLASSES - 1 else BOUNDS[number]
    return None


def row_of(figures):
    classes = figures["classes"]
    row = {name: value for name, value in figures.items() if name != "classes"}
    expected = figures["slots_expected"]
    return {
        **row,
        "rows": sum(figures[name] for name in FLAGS),
        "completeness": figures["slots"] / expected if expected else None,
        "timed": int(classes.sum()),
        "lateness_p50_s": percentile(classes, 50),
        "lateness_p90_s": percentile(classes, 90),
        "lateness_p99_s": percentile(classes, 99),
    }


def main():
    now = pd.Timestamp.now(tz="UTC").value // 1000
    computed, classes, counts = {}, {}, {}
    for dataset, key in SERIES.items():
        rows = read(dataset)
        if rows is None:
            continue
        days = days_of(rows, key, now)
        periods = {("day", pd.Timestamp(day * 86_400, unit="s", tz="UTC")): [day] for day in days}
        for day in days:
            month = pd.Timestamp(day * 86_400, unit="s", tz="UTC").replace(day=1)
            periods.setdefault(("month", month), []).append(day)
        periods["all", pd.Timestamp(0, unit="s", tz="UTC")] = list(days)
        for (period, time), of_period in periods.items():
            figures = joined([days[day] for day in of_period])
            computed[dataset, period, time] = row_of(figures)
            classes[dataset, period, time] = np.trim_zeros(figures["classes"], "b").tolist()
        counts[dataset] = len(days)
    wrong = []
    rows = {"data_quality": compare("data_quality", ["dataset", "period"], computed, wrong), "days": counts}
    stored = read("data_quality")
    for row in [] if stored is None else stored.to_dict("records"):
        at = (row["dataset"], row["period"], row["time"].tz_convert("UTC"))
        said = [] if row["lateness_classes"] is None else list(row["lateness_classes"])
        if at in classes and said != classes[at]:
            wrong.append(["data_quality", str(at), "lateness_classes", str(said), str(classes[at])])
    for name in ("suspect", "failed", "missing", "revisions", "silent"):
        rows[name] = sum(row[name] for (_, period, _), row in computed.items() if period == "day")
    answer({"rows": rows, "wrong": wrong[:20]})


main()
