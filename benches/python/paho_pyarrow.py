"""MQTT into Parquet by hand, with paho-mqtt and pyarrow: the script that a data team writes first.

    python paho_pyarrow.py PORT FOLDER
"""

import sys

import job


def main(port, folder):
    files = job.Files(folder)
    decoded = 0

    def on_message(message):
        nonlocal decoded
        files.add(*job.decode(message.topic, message.payload))
        decoded += 1

    job.say(lambda: decoded)
    client = job.subscribe(port, on_message)
    job.stopped.wait()
    client.disconnect()
    client.loop_stop()
    files.write()
    print("messages", decoded, flush=True)
    job.finish(folder)


main(int(sys.argv[1]), sys.argv[2])
