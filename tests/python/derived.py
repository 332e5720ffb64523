"""A lake -> what its derived datasets hold and pandas computes otherwise from the inputs that lie in it.

Prints {"rows": {dataset: rows}, "wrong": [[dataset, key, column, stored, computed], …]}; only tables that are there and
not empty are compared. Days are those of Europe/Brussels. The second argument is the sensor that others are compared with.
"""
import json
import math
import os
import sys

import deltalake
import numpy as np
import pandas as pd

ZONE = "Europe/Brussels"
HOUR = pd.Timedelta(hours=1)
LAKE = sys.argv[1]
# The sensor that hours and days of heat are compared with, where there is one.
REFERENCE = sys.argv[2] if len(sys.argv) > 2 else None
# Upper limits of the classes, ug/m3: of the European index those of 2024, of BelAQI those of the hour since November 2022.
EAQI = {
    "pm2_5": (5, 15, 50, 90, 140),
    "pm10": (15, 45, 120, 195, 270),
    "no2": (10, 25, 60, 100, 150),
    "o3": (60, 100, 120, 160, 180),
    "so2": (20, 40, 125, 190, 275),
}
BELAQI = {
    "pm2_5": (3.5, 7.5, 10, 15, 20, 35, 50, 60, 75),
    "pm10": (10, 20, 35, 45, 60, 80, 95, 110, 140),
    "no2": (10, 15, 20, 30, 40, 45, 50, 60, 75),
    "o3": (30, 65, 75, 90, 110, 150, 180, 210, 240),
}


def answer(found):
    """Prints what was found, and ends: on a busy machine threads of the table reader outlive the interpreter and abort it."""
    print(json.dumps(found), flush=True)
    os._exit(0)


def read(dataset):
    """Current rows of a table, or None where it has none."""
    path = os.path.join(LAKE, dataset)
    if not deltalake.DeltaTable.is_deltatable(path):
        return None
    rows = deltalake.DeltaTable(path).to_pyarrow_table().to_pandas()
    rows = rows[~rows["superseded"].astype(str).str.lower().eq("true")]
    return rows if len(rows) else None


def local_day(times):
    return times.dt.tz_convert(ZONE).dt.normalize()


def hours_of(day):
    """How many hours a local day has."""
    return int(((day + pd.DateOffset(days=1)) - day) / HOUR)


def hourly(rows, key):
    """Hours of single observations, or of intervals that they state."""
    rows = rows.copy()
    rows["hour"] = rows["time"].dt.floor("h")
    rows["counts"] = rows["quality"] <= 3
    answer = {}
    for at, group in rows.groupby([*key, "hour"]):
        counting = group[group["counts"]]
        thirds = set()
        for time, interval in zip(counting["time"], counting["interval_s"]):
            second = (time - at[-1]).total_seconds()
            length = interval if not pd.isna(interval) and interval > 0 else 1
            last = min(second + length, 3600) - 1e-6
            thirds.update(range(int(second // 1200), int(last // 1200) + 1))
        values = counting["value"].dropna().to_numpy()
        answer[at] = {
            "observations": len(counting),
            "coverage": len(thirds) / 3,
            "mean": values.mean() if len(values) else None,
            "min": values.min() if len(values) else None,
            "max": values.max() if len(values) else None,
        }
    return answer


def by_day(hours, coverage_min):
    """Local days: series and day -> [(hour, its figures)] of the hours that count; days of hours that do not are there, too."""
    days = {}
    for (*series, hour), figures in hours.items():
        day = hour.tz_convert(ZONE).normalize()
        of_day = days.setdefault((*series, day), [])
        if figures["coverage"] >= coverage_min:
            of_day.append((hour, figures))
    return days


def heat_daily(hours):
    answer = {}
    for (sensor, day), counting in by_day(hours, 0.6).items():
        figures = [figures for _, figures in counting]
        least = min((f["min"] for f in figures), default=None)
        greatest = max((f["max"] for f in figures), default=None)
        answer[sensor, day] = {
            "hours": len(figures),
            "coverage": len(figures) / hours_of(day),
            "min": least,
            "mean": np.mean([f["mean"] for f in figures]) if figures else None,
            "max": greatest,
            "summer_day": None if greatest is None else greatest >= 25,
            "heat_day": None if greatest is None else greatest >= 30,
            "tropical_night": None if least is None else least >= 20,
        }
    return answer


def with_differences(rows, columns):
    """How much warmer it was than at the reference in the same hour or on the same day: each column by what it is of."""
    answer = {}
    for (sensor, at), figures in rows.items():
        answer[sensor, at] = dict(figures)
        for column, of in columns.items():
            own, theirs = figures[of], rows.get((REFERENCE, at), {}).get(of)
            answer[sensor, at][column] = None if own is None or theirs is None else own - theirs
    return answer


def heat_waves(days):
    """KMI's rule, run by run: no run here is longer than 62 days."""
    answer, runs = {}, {}
    for (sensor, day), figures in sorted(days.items()):
        greatest = figures["max"]
        answer[sensor, day] = {
            "coverage": None if greatest is None else figures["coverage"],
            "max": greatest,
            "heat_wave": None if greatest is None else False,
        }
        run = runs.setdefault(sensor, [])
        if run and (greatest is None or greatest < 25 or run[-1][0] + pd.DateOffset(days=1) != day):
            close(answer, sensor, run)
            run.clear()
        if greatest is not None and greatest >= 25:
            run.append((day, greatest))
    for sensor, run in runs.items():
        close(answer, sensor, run)
    return answer


def close(answer, sensor, run):
    if len(run) >= 5 and sum(greatest >= 30 for _, greatest in run) >= 3:
        for day, _ in run:
            answer[sensor, day]["heat_wave"] = True


def class_of(limits, prop):
    """The class of a row's mean. Of the stored one, which is compared itself: where two that differ by a rounding error are on
    either side of a limit, both classes are right."""
    if prop not in limits:
        return None

    def of(row):
        mean = row["mean"]
        return None if pd.isna(mean) else next(
            (number for number, limit in enumerate(limits[prop], 1) if mean <= limit), len(limits[prop]) + 1
        )

    return of


def above(value, limit):
    return None if value is None or limit is None else bool(value > limit)


def air_hourly(hours):
    return {
        (sensor, prop, hour): {
            **figures,
            "eaqi": class_of(EAQI, prop),
            "belaqi": class_of(BELAQI, prop),
            "eu_exceeded": above(figures["mean"], {"no2": 200, "so2": 350}.get(prop)),
        }
        for (sensor, prop, hour), figures in hours.items()
    }


def air_yearly(days):
    """Local years that are over."""
    years = {}
    for (sensor, prop, day), figures in days.items():
        of_year = years.setdefault((sensor, prop, pd.Timestamp(year=day.year, month=1, day=1, tz=ZONE)), [])
        if figures["coverage"] >= 0.75 and figures["mean"] is not None:
            of_year.append(figures["mean"])
    answer = {}
    limits = {"pm2_5": (5, 10), "pm10": (15, 20), "no2": (10, 20), "so2": (None, 20)}
    for (sensor, prop, year), means in years.items():
        if year + pd.DateOffset(years=1, days=1) > pd.Timestamp.now(tz=ZONE):
            continue
        mean = np.mean(means) if means else None
        who, eu = limits.get(prop, (None, None))
        answer[sensor, prop, year] = {
            "days": len(means),
            "mean": mean,
            "day_max": max(means, default=None),
            "who_exceeded": above(mean, who),
            "eu_exceeded": above(mean, eu),
        }
    return answer


def air_daily(hours):
    answer = {}
    means = {at: figures["mean"] for at, figures in hours.items() if figures["coverage"] >= 0.75}
    # Of carbon monoxide mg/m3, of all others ug/m3.
    limits = {"pm2_5": (15, 25), "pm10": (45, 45), "no2": (25, 50), "so2": (40, 50), "co": (4, 4)}
    for (sensor, prop, day), counting in by_day(hours, 0.75).items():
        values = [figures["mean"] for _, figures in counting]
        running = []
        for number in range(hours_of(day)):
            last = (day + number * HOUR).tz_convert("UTC")
            of_eight = [means.get((sensor, prop, last - back * HOUR)) for back in range(8)]
            of_eight = [value for value in of_eight if value is not None]
            if len(of_eight) >= 6:
                running.append(np.mean(of_eight))
        mean = np.mean(values) if values else None
        eight = max(running, default=None)
        who, eu = limits.get(prop, (None, None))
        answer[sensor, prop, day] = {
            "hours": len(values),
            "coverage": len(values) / hours_of(day),
            "mean": mean,
            "hour_max": max(values, default=None),
            "mean_8h_max": eight,
            "who_exceeded": above(mean, who),
            "eu_exceeded": above(mean, eu),
            "who_8h_exceeded": above(eight, 100 if prop == "o3" else None),
            "eu_8h_exceeded": above(eight, {"o3": 120, "co": 10}.get(prop)),
        }
    return answer


def air_exceedances(hours, days):
    """Local years so far: how often a limit was exceeded, and how often it may be. Hours are counted by themselves, whatever
    their day is worth."""
    start = lambda time: pd.Timestamp(year=time.tz_convert(ZONE).year, month=1, day=1, tz=ZONE)
    years, above_hour = {}, {}
    for (sensor, prop, day), figures in days.items():
        years.setdefault((sensor, prop, start(day)), []).append((day, figures))
    for (sensor, prop, hour), figures in hours.items():
        limit = {"no2": 200, "so2": 350}.get(prop)
        if limit is not None and figures["coverage"] >= 0.75 and figures["mean"] is not None:
            above_hour.setdefault((sensor, prop, start(hour)), []).append(figures["mean"] > limit)

    def number(at, column, limit):
        """Days of a year above a limit, and of how many; None where nobody knows."""
        if limit is None or at not in years:
            return None
        values = [f[column] for _, f in years[at] if f["coverage"] >= 0.75 and f[column] is not None]
        return (sum(value > limit for value in values), len(values)) if values else None

    first = lambda pair: None if pair is None else pair[0]
    more = lambda count, allowed: None if count is None or allowed is None else bool(count > allowed)
    eu_day = {"pm2_5": 25, "pm10": 45, "no2": 50, "so2": 50, "co": 4}
    who_day = {"pm2_5": 15, "pm10": 45, "no2": 25, "so2": 40, "co": 4}
    answer = {}
    for (sensor, prop, year), of_year in years.items():
        at = (sensor, prop, year)
        counting = sum(figures["coverage"] >= 0.75 for _, figures in of_year)
        last = max(day for day, _ in of_year)
        whole = round((year + pd.DateOffset(years=1) - year) / pd.Timedelta(days=1))
        until = round((last - year) / pd.Timedelta(days=1)) + 1
        eu_hours = sum(above_hour[at]) if at in above_hour else None
        eu_days = first(number(at, "mean", eu_day.get(prop)))
        eight = number(at, "mean_8h_max", {"o3": 120, "co": 10}.get(prop))
        mean = first(eight)
        if prop == "o3" and eight is not None:
            before = [number((sensor, prop, year - pd.DateOffset(years=back)), "mean_8h_max", 120) for back in (1, 2)]
            mean = np.mean([eight[0]] + [pair[0] for pair in before if pair is not None and pair[1] >= 310])
        who_days = first(number(at, "mean", who_day.get(prop)))
        who_eight = first(number(at, "mean_8h_max", 100 if prop == "o3" else None))
        allowed = {
            "eu_hours": 3 if prop in ("no2", "so2") else None,
            "eu_days": 18 if prop in eu_day else None,
            "eu_8h_days": {"o3": 18, "co": 0}.get(prop),
            "who_days": 3 if prop in who_day else None,
            "who_8h_days": 3 if prop == "o3" else None,
        }
        says_nothing = all(count is None for count in (eu_hours, eu_days, eight, who_days, who_eight))
        answer[at] = {
            "quality": 9 if says_nothing else 3 if counting / until < 0.85 else 1,
            "days": counting,
            "coverage": counting / whole,
            "coverage_so_far": counting / until,
            "eu_hours": eu_hours,
            "eu_days": eu_days,
            "eu_8h_days": first(eight),
            "eu_8h_days_mean": mean,
            "who_days": who_days,
            "who_8h_days": who_eight,
            **{f"{name}_allowed": number for name, number in allowed.items()},
            "eu_hours_exceeded": more(eu_hours, allowed["eu_hours"]),
            "eu_days_exceeded": more(eu_days, allowed["eu_days"]),
            "eu_8h_exceeded": more(mean, allowed["eu_8h_days"]),
            "who_days_exceeded": more(who_days, allowed["who_days"]),
            "who_8h_exceeded": more(who_eight, allowed["who_8h_days"]),
        }
    return answer


def v85(rows):
    classes = np.zeros(0)
    for histogram, cars in zip(rows["speed_hist"], rows["car"]):
        if histogram is None or pd.isna(cars):
            continue
        shares = np.array([0.0 if share is None or pd.isna(share) else share for share in histogram])
        size = max(len(classes), len(shares))
        classes = np.pad(classes, (0, size - len(classes))) + np.pad(shares, (0, size - len(shares))) * cars
    if not classes.sum() > 0:
        return None
    wanted, below = classes.sum() * 0.85, 0.0
    for number, count in enumerate(classes[:-1]):
        if count > 0 and below + count >= wanted:
            return (number + (wanted - below) / count) * 10
        below += count
    return None


def traffic_daily(rows):
    rows = rows[rows["interval_s"] == 3600].copy()
    rows["day"] = local_day(rows["time"])
    modes = ["car", "heavy", "bike", "pedestrian"]
    answer = {}
    for (segment, day), group in rows.groupby(["segment_id", "day"]):
        counting = group[(group["quality"] <= 2) & (group["uptime"] >= 0.5)]
        whole = counting.dropna(subset=modes)
        total = whole[modes].to_numpy().sum()
        figures = {
            "hours": len(counting),
            "coverage": counting["time"].nunique() / hours_of(day),
            "v85": v85(counting),
        }
        for mode in modes:
            values = counting[mode].dropna()
            figures[mode] = values.sum() if len(values) else None
            figures[f"{mode}_share"] = whole[mode].sum() / total if total > 0 else None
        answer[int(segment), day] = figures
    return answer


def same(stored, computed):
    if stored is None or (isinstance(stored, float) and math.isnan(stored)) or stored is pd.NA:
        return computed is None
    if computed is None:
        return False
    if isinstance(computed, (bool, np.bool_)):
        return bool(stored) == bool(computed)
    return math.isclose(float(stored), float(computed), rel_tol=1e-9, abs_tol=1e-9)


def compare(dataset, key, computed, wrong):
    stored = read(dataset)
    found = {}
    for row in [] if stored is None else stored.to_dict("records"):
        at = tuple(row[name] for name in key)
        found[(*at, row["time"].tz_convert("UTC"))] = row
    expected = {(*at, time.tz_convert("UTC")): figures for (*at, time), figures in computed.items()}
    for at in sorted(set(found) ^ set(expected), key=str):
        wrong.append([dataset, str(at), "", at in found, at in expected])
    for at in sorted(set(found) & set(expected), key=str):
        for column, value in expected[at].items():
            if callable(value):
                value = value(found[at])
            if not same(found[at][column], value):
                wrong.append([dataset, str(at), column, str(found[at][column]), str(value)])
    return len(found)


def main():
    rows, wrong = {}, []
    heat, air, traffic = read("heat"), read("air"), read("traffic")
    if heat is not None:
        heat = heat[heat["property"] == "air_temperature"]
        hours = hourly(heat, ["sensor_id"])
        days = heat_daily(hours)
        compared = with_differences(hours, {"difference": "mean"})
        compared_days = with_differences(days, {"min_difference": "min", "mean_difference": "mean"})
        rows["heat_hourly"] = compare("heat_hourly", ["sensor_id"], compared, wrong)
        rows["heat_daily"] = compare("heat_daily", ["sensor_id"], compared_days, wrong)
        rows["differences"] = sum(1 for figures in compared.values() if figures["difference"])
        waves = heat_waves(days)
        rows["heat_waves"] = compare("heat_waves", ["sensor_id"], waves, wrong)
        rows["days in a wave"] = sum(figures["heat_wave"] is True for figures in waves.values())
    if air is not None:
        hours = hourly(air, ["sensor_id", "property"])
        days = air_daily(hours)
        rows["air_hourly"] = compare("air_hourly", ["sensor_id", "property"], air_hourly(hours), wrong)
        rows["air_daily"] = compare("air_daily", ["sensor_id", "property"], days, wrong)
        rows["air_yearly"] = compare("air_yearly", ["sensor_id", "property"], air_yearly(days), wrong)
        counted = air_exceedances(air_hourly(hours), days)
        rows["air_exceedances"] = compare("air_exceedances", ["sensor_id", "property"], counted, wrong)
        means = [(figures["eu_8h_days"], figures["eu_8h_days_mean"]) for figures in counted.values()]
        rows["averaged over years"] = sum(1 for count, mean in means if mean is not None and mean != count)
        # Which limits were exceeded more often than allowed, and which were not.
        for said in (True, False):
            rows[f"too often {said}".lower()] = sorted(
                {
                    f"{prop} {column}"
                    for (_, prop, _), figures in counted.items()
                    for column, value in figures.items()
                    if column.endswith("_exceeded") and value is said
                }
            )
        stored = read("air_hourly")
        rows["classes"] = 0 if stored is None else int(stored["belaqi"].nunique())
        # Limits that were exceeded and those that were not, by property: what only ever says one of them shows little.
        eu = {}
        for (_, prop, *_), figures in [*air_hourly(hours).items(), *days.items()]:
            for column in ("eu_exceeded", "eu_8h_exceeded"):
                if figures.get(column) is not None:
                    eu.setdefault(f"{prop} {column}", set()).add(figures[column])
        rows["judged both ways"] = sorted(name for name, said in eu.items() if len(said) == 2)
    if traffic is not None:
        rows["traffic_daily"] = compare("traffic_daily", ["segment_id"], traffic_daily(traffic), wrong)
    answer({"rows": rows, "wrong": wrong[:20]})


if __name__ == "__main__":
    main()
