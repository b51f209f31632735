#!/usr/bin/env python3
"""A training that is killed at any time and resumed ends as one that nobody disturbed, bit for bit.
Argument: the program `elbo`."""
import json
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ELBO = pathlib.Path(sys.argv.pop(1)).resolve()
KILLS = 100
EPOCHS = 400
# Tiny epochs and a checkpoint that is kept of each second one: much of the time goes into writing.
TRAINING = ("train builtin:digits?n=120 --hidden 16 --latent 3 --batch 32 --lr 0.003 --device cpu "
            f"--valid 0.25 --best --checkpoint-every 2 --keep 3 --epochs {EPOCHS}").split()
STATE = "checkpoint/state.safetensors"


def arrays_of(file):
    """The arrays of a .safetensors file as bytes, and what Elbo says beside them."""
    content = file.read_bytes()
    size, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + size])
    said = json.loads(header.pop("__metadata__").get("elbo", "null") if "state" in file.name or
                      "epoch" in file.name else "null")
    body = content[8 + size:]
    assert max(entry["data_offsets"][1] for entry in header.values()) == len(body), file
    return {name: (entry["shape"], body[slice(*entry["data_offsets"])])
            for name, entry in header.items()}, said


def untimed(lines):
    metrics = [json.loads(line) for line in lines]
    for epoch in metrics:
        del epoch["seconds"], epoch["data_per_second"]
    return metrics


def left_over(run):
    return {file.name for file in run.rglob("*.tmp-*")}


class KilledRuns(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def elbo(self, *words):
        return subprocess.run([ELBO, *words], cwd=self.folder, capture_output=True, text=True)

    def killed(self, words, seconds):
        """Whether the program still ran then."""
        with subprocess.Popen([ELBO, *words], cwd=self.folder, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as program:
            try:
                _, said = program.communicate(timeout=seconds)
            except subprocess.TimeoutExpired:
                program.kill()
                program.communicate()
                return program.returncode == -signal.SIGKILL
            self.assertEqual(program.returncode, 0, said)
            return False

    def epochs_done(self, run):
        """Of a folder that was left behind, all of whose checkpoints must be whole."""
        for file in (run / "checkpoint").glob("epoch-??????.safetensors"):
            arrays_of(file)
        if (run / STATE).exists():
            told = self.elbo("info", run.name)
            self.assertEqual(told.returncode, 0, told.stderr)
            done = int(re.search(r"^epochs done +(\d+)", told.stdout, re.M)[1])
            # What is there of the metrics is in whole lines, but for one that was being added.
            lines = (run / "metrics.jsonl").read_text().split("\n")[:-1]
            self.assertEqual([json.loads(line)["epoch"] for line in lines],
                             list(range(1, len(lines) + 1)))
            return done
        refused = self.elbo("train", "--resume", "--out", run.name)
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, "has no checkpoint to resume|there is no run to resume")
        return None

    def assert_same(self, run, whole):
        self.assertEqual((run / "model.safetensors").read_bytes(),
                         (whole / "model.safetensors").read_bytes())
        self.assertEqual(untimed((run / "metrics.jsonl").read_text().splitlines()),
                         untimed((whole / "metrics.jsonl").read_text().splitlines()))
        names = sorted(str(file.relative_to(whole)) for file in whole.rglob("*"))
        self.assertEqual(sorted(str(file.relative_to(run)) for file in run.rglob("*")), names)
        for name in names:
            if not name.startswith("checkpoint/"):
                continue
            (got, got_state), (wanted, wanted_state) = arrays_of(run / name), arrays_of(whole / name)
            self.assertEqual(got, wanted, name)
            self.assertTrue(any(array.startswith("best.") for array in got), name)
            for key in ("epochs_done", "steps", "position", "totals", "data_hash", "settings"):
                self.assertEqual(got_state[key], wanted_state[key], (name, key))
            self.assertEqual(untimed(got_state["history"]), untimed(wanted_state["history"]))

    def test_end_in_the_same_bits_as_one_that_nobody_disturbed(self):
        done = self.elbo(*TRAINING, "--out", "whole")
        self.assertEqual(done.returncode, 0, done.stderr)
        start = time.monotonic()
        self.assertEqual(self.elbo("train", "--resume", "--out", "whole").returncode, 0)
        # Times are those of a machine that starts a resumption within 30 ms; slower ones get more.
        slowness = max(1, (time.monotonic() - start) / 0.03)
        moments = random.Random(0)
        kills = progress = writing = nothing_yet = runs = 0

        def enough():  # more, where few happened to come while a file was being written
            return kills >= KILLS and (writing >= KILLS // 20 or kills >= 3 * KILLS)

        while not enough():
            run, before, early = self.folder / f"run{runs}", None, 3
            runs += 1
            while not (run / "report.html").exists():
                words = [*TRAINING, *(["--force"] if run.exists() else [])]
                if before is not None:
                    words = ["train", "--resume"]
                words += ["--out", run.name]
                if enough():
                    done = self.elbo(*words)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    continue
                left = left_over(run)
                # The first checkpoint comes soon: the first kills of a run come soon too.
                latest = 0.150 if early <= 0 else 0.020
                early -= 1
                if not self.killed(words, moments.uniform(0.005, latest) * slowness):
                    continue
                kills += 1
                writing += bool(left_over(run) - left)
                after = self.epochs_done(run)
                if before is None:
                    progress += bool(after)
                else:
                    self.assertIsNotNone(after, "there was a checkpoint")
                    self.assertGreaterEqual(after, before)
                    progress += after > before
                nothing_yet += after is None
                before = after
            done = self.elbo("train", "--resume", "--out", run.name)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("This run is finished", done.stdout)
            self.assert_same(run, self.folder / "whole")
        print(f"{kills} kills in {runs} runs: {progress} after epochs were added, {writing} while a "
              f"file was being written, {nothing_yet} before there was a checkpoint", file=sys.stderr)
        self.assertGreaterEqual(progress, kills // 3)
        self.assertGreaterEqual(writing, 1)


if __name__ == "__main__":
    unittest.main()
