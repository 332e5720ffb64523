"""Published examples of standards -> what is sent, and what SQL must answer, with the standard library only.

FIWARE: entities as brokers notify of them, in the order of their files; a later value of the same key counts. SenML: packs,
resolved as RFC 8428 says. SensorThings: one observation, and one whose time is misspelled.
"""
import datetime
import glob
import json
import os
import re
import sys

# A clock before this was never set.
CLOCKS_ARE_SET_FROM = datetime.datetime(2015, 1, 1, tzinfo=datetime.timezone.utc).timestamp()
# Times below this are relative to the time of reception.
RELATIVE_BELOW = 2**28

AIR_QUALITY = [("pm4", "pm4", 1), ("no", "no", 1), ("no2", "no2", 1), ("so2", "so2", 1), ("co", "co", 1), ("co2", "co2", 1)]
ANY = [
    ("temperature", "air_temperature", 1),
    ("relativeHumidity", "relative_humidity", 100),
    ("windSpeed", "wind_speed", 1),
    ("windDirection", "wind_direction", 1),
]
WEATHER = [("atmosphericPressure", "air_pressure", 1), ("precipitation", "rainfall", 1)]
MODELS = {"AirQualityObserved": AIR_QUALITY + ANY, "WeatherObserved": WEATHER + ANY}
REJECTED = {"TrafficFlowObserved": "unknown_place", "WasteContainer": "no_mapped_value"}


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def plain(attribute):
    """The value of an attribute, however it is written."""
    while isinstance(attribute, dict):
        attribute = attribute.get("@value", attribute.get("value"))
    return attribute


def utc(text):
    """The example's time, which is UTC also where it does not say so, to the second."""
    return text[:19] + "Z"


def fiware(folder):
    notifications, values, rejects = [], {}, {}
    for path in sorted(glob.glob(os.path.join(folder, "*.json*"))):
        entity = load(path)
        if path.endswith(".jsonld"):
            sent = {
                "id": "urn:ngsi-ld:Notification:1",
                "type": "Notification",
                "subscriptionId": "urn:ngsi-ld:Subscription:1",
                "notifiedAt": "2026-06-01T12:00:00Z",
                "data": [entity],
            }
            form = None
        else:
            sent = {"subscriptionId": "57458eb60962ef754e7c0998", "data": [entity]}
            form = "normalized" if "normalized" in path else "keyValues"
        reason = REJECTED.get(entity["type"])
        notifications.append([form, json.dumps(sent), reason is not None])
        if reason:
            rejects[reason] = rejects.get(reason, 0) + 1
            continue
        name = entity["id"].removeprefix(f"urn:ngsi-ld:{entity['type']}:")
        sensor = "orion-" + re.sub(r"[-:._]*\d{4}-\d\d-\d\dT.*$", "", name)
        time = utc(plain(entity["dateObserved"]))
        for attribute, prop, factor in MODELS[entity["type"]]:
            value = plain(entity.get(attribute))
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                values[sensor, prop, time] = value * factor
    rows = [[*key, value] for key, value in sorted(values.items())]
    return {"notifications": notifications, "rows": rows, "rejects": sorted(map(list, rejects.items()))}


def senml(folder):
    packs, timed, untimed, early = [], {}, [], 0
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        base, rejected = {}, 0
        for record in json.loads(text):
            base.update({name: value for name, value in record.items() if name.startswith("b")})
            time = base.get("bt", 0) + record.get("t", 0)
            value = base.get("bv", 0) + record["v"]
            name = base.get("bn", "") + record.get("n", "")
            if time < RELATIVE_BELOW:
                assert time == 0, "no example is relative"
                untimed.append(value)
            elif time < CLOCKS_ARE_SET_FROM:
                rejected += 1
            else:
                at = datetime.datetime.fromtimestamp(time, datetime.timezone.utc)
                timed[name, at.strftime("%Y-%m-%dT%H:%M:%SZ")] = value
        packs.append([text, rejected])
        early += rejected
    rows = [[time, value] for (_, time), value in sorted(timed.items())]
    return {"packs": packs, "timed": rows, "untimed": [[value] for value in sorted(untimed)], "early": early}


def sensorthings(folder):
    observation = load(os.path.join(folder, "create_observation_http.json"))
    with open(os.path.join(folder, "hexoskin-observation-creation-via-mqtt.txt"), encoding="utf-8") as file:
        recorded = file.read()
    misspelled = re.search(r"\{\n.*\}", recorded, re.DOTALL)[0]
    row = [
        f"sta-{observation['Datastream']['@iot.id']}",
        utc(observation["phenomenonTime"]),
        observation["result"],
    ]
    return {"observation": json.dumps(observation), "rows": [row], "misspelled": misspelled}


def main(samples):
    print(
        json.dumps(
            {
                "fiware": fiware(os.path.join(samples, "fiware")),
                "senml": senml(os.path.join(samples, "senml")),
                "sensorthings": sensorthings(os.path.join(samples, "sensorthings")),
            }
        )
    )


main(sys.argv[1])
