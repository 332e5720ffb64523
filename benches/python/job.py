"""What both MQTT references do with a message: decode, collect, write Parquet.

A message becomes two rows of (sensor_id, property, time, value), as its source in `meetnet` maps it. Rows are written in
the order of arrival, compressed with zstd; nothing is sorted, looked up, or synced, and a message is acknowledged when it
has been decoded.

On stdout: `subscribed TOPICS`; `messages N` ten times a second, how many have been decoded; at the end `rows N`, counted
in the files.
"""

import json
import os
import signal
import threading

import paho.mqtt.client as mqtt
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

FILTER = "bench/+"
# Messages that the broker may send before an acknowledgement: what meetnet announces.
INFLIGHT_MAX = 2_000
# Rows of one file.
FILE_ROWS = 200_000
SCHEMA = pyarrow.schema(
    [
        ("sensor_id", pyarrow.string()),
        ("property", pyarrow.string()),
        ("time", pyarrow.timestamp("us", tz="UTC")),
        ("value", pyarrow.float64()),
    ]
)

stopped = threading.Event()


def decode(topic, payload):
    """Returns sensor, time (ms), temperature and humidity of one message."""
    body = json.loads(payload)
    return topic.rpartition("/")[2], body["ts"], body["temperature"], body["humidity"]


def subscribe(port, on_message):
    """Returns a client whose thread calls `on_message` for each message, and acknowledges it when that returns."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="subscriber", protocol=mqtt.MQTTv5)
    client.on_connect = lambda client, *_: client.subscribe(FILTER, qos=1)
    client.on_subscribe = lambda *_: print("subscribed", FILTER, flush=True)
    client.on_message = lambda _client, _userdata, message: on_message(message)
    properties = mqtt.Properties(mqtt.PacketTypes.CONNECT)
    properties.ReceiveMaximum = INFLIGHT_MAX
    client.connect("127.0.0.1", port, properties=properties)
    client.loop_start()
    return client


class Files:
    """Collects messages and writes a file whenever there are enough."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0
        self.clear()

    def clear(self):
        self.sensors, self.times, self.temperatures, self.humidities = [], [], [], []

    def add(self, sensor, time_ms, temperature, humidity):
        self.sensors.append(sensor)
        self.times.append(time_ms)
        self.temperatures.append(temperature)
        self.humidities.append(humidity)
        if 2 * len(self.sensors) >= FILE_ROWS:
            self.write()

    def write(self):
        if not self.sensors:
            return
        count = len(self.sensors)
        times = pyarrow.array(self.times, pyarrow.timestamp("ms", tz="UTC")).cast(SCHEMA.field("time").type)
        sensors = pyarrow.array(self.sensors, pyarrow.string())
        rows = pyarrow.table(
            [
                pyarrow.concat_arrays([sensors, sensors]),
                pyarrow.array(["air_temperature"] * count + ["relative_humidity"] * count),
                pyarrow.concat_arrays([times, times]),
                pyarrow.array(self.temperatures + self.humidities, pyarrow.float64()),
            ],
            schema=SCHEMA,
        )
        path = os.path.join(self.folder, f"{self.count:06}.parquet")
        pyarrow.parquet.write_table(rows, path, compression="zstd")
        self.count += 1
        self.clear()


def say(counter):
    """Says ten times a second how many messages `counter` has counted, until the process is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())

    def saying():
        while not stopped.wait(0.1):
            print("messages", counter(), flush=True)

    threading.Thread(target=saying, daemon=True).start()


def finish(folder):
    """Says how many rows the files hold."""
    rows = pyarrow.dataset.dataset(folder, format="parquet", schema=SCHEMA).count_rows()
    print("rows", rows, flush=True)
