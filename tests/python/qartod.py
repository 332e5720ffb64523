"""Series and parameters -> the flags that `ioos_qc`, the reference implementation, sets on them.

Reads a JSON list of {"test", "times" (µs since 1970), "values" (null: missing), "parameters"}; prints one list of flags
for each.
"""
import json
import sys
import warnings

import numpy as np
from ioos_qc import qartod


def climatology(values, times, months):
    config = qartod.ClimatologyConfig()
    for month, suspect, fail in months:
        config.add(tspan=[month, month], vspan=suspect, fspan=fail, period="month")
    return qartod.climatology_test(config, values, times, np.full(len(values), np.nan))


TESTS = {
    "gross_range": lambda values, times, of: qartod.gross_range_test(values, **of),
    "climatology": lambda values, times, of: climatology(values, times, **of),
    "rate_of_change": lambda values, times, of: qartod.rate_of_change_test(values, times, **of),
    "flat_line": lambda values, times, of: qartod.flat_line_test(values, times, **of),
    "attenuated_signal": lambda values, times, of: qartod.attenuated_signal_test(values, times, **of),
    "spike": lambda values, times, of: qartod.spike_test(values, **of),
}


def main(path):
    # Missing values are part of the cases.
    warnings.simplefilter("ignore")
    answer = []
    with open(path, encoding="utf-8") as file:
        for case in json.load(file):
            values = np.array([np.nan if value is None else value for value in case["values"]], dtype=float)
            times = np.array(case["times"], dtype="datetime64[us]").astype("datetime64[ns]")
            flags = TESTS[case["test"]](values, times, case["parameters"])
            answer.append([int(flag) for flag in np.ma.getdata(flags)])
    print(json.dumps(answer))


main(sys.argv[1])
