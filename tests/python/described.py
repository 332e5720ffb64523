"""Has schemathesis ask a running service as its OpenAPI description says, and as it does not; prints the tally as JSON.

Each answer is held against the description: status, content type, headers, schema of the body. Requests that break the
description must be refused, methods that are not described are answered with 405 and Allow, and nothing ends in 5xx.

Argument: a folder for the settings and the report. MEETNET_URL is the service; MEETNET_SEED repeats a run.
"""
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

# Random requests of each address, beside those that its description gives reason for: limits, wrong types, other methods.
EXAMPLES = 25
# Many times what it takes on one busy core.
SECONDS_MAX = 400
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
]
# schemathesis has to be told how to write media types that are not its own: a statement is written like any text.
HOOKS = """
import schemathesis

schemathesis.serializer.alias("application/sql", "text/plain")
"""
# Names of what is there lead behind the 404. Columns, statements, licences and parameters beside each other decide which
# requests are taken: a description says only which are refused, so that acceptance is not among the checks.
SETTINGS = """
hooks = "hooks"

[dictionaries]
ids.values = {ids}
files.values = {files}
names.values = {names}
problems.values = ["bad-request", "not-found", "busy"]
statements.values = [
  "SELECT 1 AS one",
  "SELECT time, car FROM traffic WHERE segment_id = 2 ORDER BY time LIMIT 3",
  "SELECT count(*) AS n FROM traffic_history",
  "SELECT * FROM noise",
]

[[operations]]
include-path-regex = "^/api/v1/datasets/.id.(/files|/quality)?$"
parameters."path.id" = {{ dictionary = "ids", probability = 0.8 }}

[[operations]]
include-path-regex = "^/api/v1/datasets/.id./(rows|latest)$"
parameters."path.id" = {{ dictionary = "ids", probability = 0.8 }}

[[operations]]
include-path = "/api/v1/sql"
parameters."query.q" = {{ dictionary = "statements", probability = 0.7 }}
parameters."body.q" = {{ dictionary = "statements", probability = 0.7 }}

[[operations]]
include-path = "/api/v1/queries/{{name}}"
parameters."path.name" = {{ dictionary = "names", probability = 0.8 }}

[[operations]]
include-path = "/files/{{id}}/{{path}}"
parameters."path.id" = "traffic"
parameters."path.path" = {{ dictionary = "files", probability = 0.8 }}

[[operations]]
include-path = "/problems/{{name}}"
parameters."path.name" = {{ dictionary = "problems", probability = 0.8 }}
"""


def ask(path):
    with urllib.request.urlopen(os.environ["MEETNET_URL"] + path) as answer:
        return json.load(answer)


def settings():
    files = ask("/api/v1/datasets/traffic/files")["files"]
    return SETTINGS.format(
        ids=json.dumps([dataset["id"] for dataset in ask("/api/v1/datasets")["datasets"]]),
        files=json.dumps([file["url"].removeprefix("/files/traffic/") for file in files]),
        names=json.dumps([query["name"] for query in ask("/api/v1/queries")["queries"]]),
    )


def run(folder, report):
    """Runs schemathesis; returns what it said of failures, nothing where there are none."""
    options = [
        "--no-color",
        "--continue-on-failure",
        "--no-shrink",
        "--request-timeout=20",
        # The service closes a connection that was idle for long, as it is where a busy machine makes up the next request.
        "--request-retries=1",
        "--generation-database=none",
        # Few texts are paths of files; those that are come from the dictionary.
        "--suppress-health-check=filter_too_much",
        "--phases=examples,coverage,fuzzing",
        f"--checks={','.join(CHECKS)}",
        f"--max-examples={EXAMPLES}",
        f"--seed={os.environ['MEETNET_SEED']}",
        "--report=json",
        f"--report-json-path={report}",
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", f"--config-file={folder / 'settings.toml'}", "run"]
        + [os.environ["MEETNET_URL"] + "/api/v1/openapi.json", *options],
        cwd=folder,
        env=dict(os.environ, PYTHONPATH=str(folder)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS_MAX,
    )
    return ended.stdout.decode(errors="replace") if ended.returncode != 0 else None


def main(folder):
    report = folder / "report.json"
    (folder / "hooks.py").write_text(HOOKS, encoding="utf-8")
    (folder / "settings.toml").write_text(settings(), encoding="utf-8")
    failures = run(folder, report)
    if failures is not None:
        sys.exit(failures)
    tally = json.loads(report.read_text(encoding="utf-8"))
    print(json.dumps({"operations": tally["operations"], "cases": tally["test_cases"], "seconds": tally["running_time"]}))


main(pathlib.Path(sys.argv[1]))
