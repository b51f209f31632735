#!/usr/bin/env python3
"""Measures what several processes make of a machine: `mpirun -np N elbo train` beside one process.

Usage: bench/processes.py ELBO [--epochs N] [--repeats N] [--json FILE]

Every arrangement has as many threads in all as there are processes times threads of each; they are
run in turn, so that what the machine does meanwhile meets all of them. A figure is the median over
the repeats of the median over a run's epochs but the first, in data a second.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

DATA, BATCH = "builtin:digits?n=20000", "512"


def arrangements(cores):
    """Processes and threads of each."""
    count = 1
    while count <= cores:
        yield count, 1
        if count > 1:
            yield 1, count
        count *= 2


def speed(elbo, folder, processes, threads, epochs):
    mpirun = ["mpirun", "--allow-run-as-root", "--bind-to", "none", "-np", str(processes)]
    command = [elbo, "train", DATA, "--out", str(folder), "--force", "--device", "cpu", "--batch", BATCH,
               "--epochs", str(epochs)]
    done = subprocess.run((mpirun if processes > 1 else []) + command, capture_output=True, text=True,
                          env={**os.environ, "ELBO_THREADS": str(threads)})
    if done.returncode:
        sys.exit(f"processes: {' '.join(command)}: {done.stderr}")
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(line["data_per_second"] for line in lines[1:]), lines[-1]["elbo"]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("elbo", help="the executable, built with MPI")
    options.add_argument("--epochs", type=int, default=6)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--json", help="a file to write the figures to")
    options.add_argument("--note", default="", help="what else there is to say of the machine")
    told = options.parse_args()
    cores = len(os.sched_getaffinity(0))
    runs = {arrangement: [] for arrangement in arrangements(cores)}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(told.repeats):
            for processes, threads in runs:
                runs[processes, threads].append(
                    speed(told.elbo, pathlib.Path(folder) / "run", processes, threads, told.epochs))
    result = {"processes": [], "data": DATA, "batch": int(BATCH), "epochs": told.epochs, "cores": cores,
              "date": str(datetime.date.today()), "note": told.note}
    alone = statistics.median(s for s, _ in runs[1, 1])
    for (processes, threads), seen in runs.items():
        speeds = [s for s, _ in seen]
        result["processes"].append({
            "processes": processes, "threads_each": threads, "data_per_second": statistics.median(speeds),
            "minimum": min(speeds), "maximum": max(speeds),
            "efficiency": statistics.median(speeds) / (alone * processes * threads), "elbo": seen[0][1]})
    text = json.dumps(result, indent=1) + "\n"
    if told.json:
        pathlib.Path(told.json).write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
