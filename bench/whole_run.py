#!/usr/bin/env python3
"""Times `elbo train` on MNIST beside PyTorch, from the start of the process to the saved model.

    whole_run.py ELBO IMAGES [--epochs 1,10] [--repeats 5] [--json FILE]

Both train the VAE 784-400-20 (Bernoulli, Adam, batch 128, every epoch in another order) on the CPU with
as many threads as there are cores. IMAGES is train-images-idx3-ubyte.gz. PyTorch is a program that does
no more than it must: reads the file, trains, eager or compiled (torch.compile, its cache empty), saves
the weights; Elbo also writes its checkpoint, reconstructions, samples and report. They run in turn; a
figure is the median. A run whose last ELBO is not within 5 % of Elbo's is not compared.
"""
import argparse
import datetime
import gzip
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

CASE = dict(model="vae", observed=784, hidden=[400], latent=20, activation="relu",
            likelihood="bernoulli")
BATCH = 128


def pytorch(images, epochs, flavour, folder):
    """The program that Elbo is beside; prints the mean ELBO of its last epoch."""
    import torch
    from compare_pytorch import make_model
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    with gzip.open(images) as file:
        pixels = torch.frombuffer(bytearray(file.read()[16:]), dtype=torch.uint8).view(-1, 784)
    model = make_model(torch, CASE, pixels)
    function = torch.compile(model) if flavour == "compiled" else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for _ in range(epochs):
        total = torch.zeros(())
        for rows in torch.randperm(len(pixels)).split(BATCH):
            optimizer.zero_grad(set_to_none=True)
            loss = function(rows)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(rows)
    torch.save(model.state_dict(), folder / "model.pt")
    print(-float(total) / len(pixels), torch.__version__)


def timed(command, folder):
    """Seconds, peak memory in MB, and what was said."""
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(folder / "cache")}
    with open(folder / "said", "w+") as said:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=said, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        if status:
            sys.exit(f"whole_run: {' '.join(command)}: status {status}")
        said.seek(0)
        return seconds, usage.ru_maxrss / 1000, said.read()


def run(elbo, images, epochs, flavour):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if flavour != "elbo":
            seconds, memory, said = timed([sys.executable, __file__, "--pytorch", flavour, str(folder),
                                           elbo, images, "--epochs", str(epochs)], folder)
            bound, version = said.split()
            return seconds, memory, float(bound), version
        seconds, memory, _ = timed(
            [elbo, "train", images, "--out", str(folder / "run"), "--device", "cpu", "--hidden", "400",
             "--latent", "20", "--batch", str(BATCH), "--epochs", str(epochs)], folder)
        last = json.loads((folder / "run/metrics.jsonl").read_text().splitlines()[-1])
        return seconds, memory, last["elbo"], None


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("elbo", help="the executable")
    options.add_argument("images")
    options.add_argument("--epochs", default="1,10", help="numbers with commas between them [1,10]")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--json", help="a file to write the figures to")
    options.add_argument("--note", default="", help="what else there is to say of the machine")
    options.add_argument("--pytorch", nargs=2, metavar=("FLAVOUR", "FOLDER"), help=argparse.SUPPRESS)
    told = options.parse_args()
    if told.pytorch:
        return pytorch(told.images, int(told.epochs), told.pytorch[0], pathlib.Path(told.pytorch[1]))
    flavours = ["elbo", "eager", "compiled"]
    result = {"whole_runs": [], "batch": BATCH, "cores": len(os.sched_getaffinity(0)),
              "date": str(datetime.date.today()), "note": told.note}
    for epochs in map(int, told.epochs.split(",")):
        runs = {name: [] for name in flavours}
        for _ in range(told.repeats):
            for name in flavours:
                runs[name].append(run(told.elbo, told.images, epochs, name))
        reached = runs["elbo"][0][2]
        for name, seen in runs.items():
            if abs(seen[0][2] - reached) > 0.05 * abs(reached):
                sys.exit(f"whole_run: another training: {name} ends with {seen[0][2]}, Elbo with {reached}")
            result["torch"] = seen[0][3] or result.get("torch")
            result["whole_runs"].append({
                "epochs": epochs, "program": name, "seconds": [s for s, *_ in seen],
                "median": statistics.median(s for s, *_ in seen),
                "memory_mb": max(m for _, m, *_ in seen), "elbo": seen[0][2]})
    text = json.dumps(result, indent=1) + "\n"
    if told.json:
        pathlib.Path(told.json).write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
