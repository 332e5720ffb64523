"""The same job as a Bytewax dataflow: source, map, sink, in one worker. It has no connector for MQTT, so the source is a
paho-mqtt client whose thread fills a queue.

    python bytewax_flow.py PORT FOLDER
"""

import queue
import sys

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

import job

# Messages handed to the dataflow at once.
BATCH = 1_000

decoded = 0


class Subscription(StatelessSourcePartition):
    def __init__(self, port):
        self.messages = queue.SimpleQueue()
        self.client = job.subscribe(port, self.messages.put)

    def next_batch(self):
        if job.stopped.is_set() and self.client is not None:
            self.client.disconnect()
            self.client.loop_stop()
            self.client = None
        batch = []
        try:
            while len(batch) < BATCH:
                # Waits only where nothing is there.
                batch.append(self.messages.get(block=not batch, timeout=0.05))
        except queue.Empty:
            if self.client is None and not batch:
                raise StopIteration from None
        return batch


class Subscriptions(DynamicSource):
    def __init__(self, port):
        self.port = port

    def build(self, _step_id, _worker_index, _worker_count):
        return Subscription(self.port)


class Writer(StatelessSinkPartition):
    def __init__(self, folder):
        self.files = job.Files(folder)

    def write_batch(self, items):
        global decoded
        for item in items:
            self.files.add(*item)
        decoded += len(items)

    def close(self):
        self.files.write()


class Writers(DynamicSink):
    def __init__(self, folder):
        self.folder = folder

    def build(self, _step_id, _worker_index, _worker_count):
        return Writer(self.folder)


def main(port, folder):
    flow = Dataflow("bench")
    messages = op.input("mqtt", flow, Subscriptions(port))
    rows = op.map("decode", messages, lambda message: job.decode(message.topic, message.payload))
    op.output("parquet", rows, Writers(folder))
    job.say(lambda: decoded)
    run_main(flow)
    print("messages", decoded, flush=True)
    job.finish(folder)


main(int(sys.argv[1]), sys.argv[2])
