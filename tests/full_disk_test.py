#!/usr/bin/env python3
"""What Elbo does on a full disk and in a folder that cannot be written: says so in one line, and
leaves what was there.  Argument: the program `elbo`.

The disks are small tmpfs mounts in a namespace of mounts of our own (unshare -rm).  Where there are
no such namespaces the test says so and is skipped (77).
"""
import errno
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ELBO = pathlib.Path(sys.argv.pop(1)).resolve()
GOLDEN = pathlib.Path(__file__).resolve().parent / "golden/formats"
TRAINING = ("train builtin:digits?n=120 --hidden 8 --latent 2 --batch 32 --lr 0.003 --device cpu --valid 0.25 "
            "--best --checkpoint-every 1 --keep 4 --epochs 6").split()
FULL, READ_ONLY = "No space left on device", "Read-only file system"


def mount(*words):
    subprocess.run(["mount", *map(str, words)], check=True)


def elbo(*words, folder):
    return subprocess.run([ELBO, *map(str, words)], cwd=folder, capture_output=True, text=True)


def content(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def untimed(run):
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for epoch in metrics:
        del epoch["seconds"], epoch["data_per_second"]
    return metrics


class Disks(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.roomy, self.disk = pathlib.Path(holder.name, "roomy"), pathlib.Path(holder.name, "disk")
        self.roomy.mkdir(), self.disk.mkdir()

    def small_disk(self, kilobytes):
        mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", self.disk)
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)

    def fill(self):
        with open(self.disk / "filler", "wb", buffering=0) as filler:
            for size in (1 << 16, 1):
                try:
                    while True:
                        filler.write(b"\0" * size)
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)

    def assert_refused(self, done, *says):
        """In one line, the last: those before it are of progress."""
        self.assertEqual(done.returncode, 1, done.stderr)
        line = done.stderr.splitlines()[-1]
        self.assertEqual([other for other in done.stderr.splitlines() if other.startswith("elbo: ")], [line])
        for words in says:
            self.assertIn(words, line)
        return line

    def done(self, *words, folder):
        done = elbo(*words, folder=folder)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_training_that_fills_its_disk_goes_on_when_there_is_room(self):
        self.done(*TRAINING, "--out", "run", folder=self.roomy)
        whole, refused = self.roomy / "run", []
        size = 4  # kilobytes
        while True:
            mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", self.disk)
            try:
                run = self.disk / "run"
                done = elbo(*TRAINING, "--out", "run", folder=self.disk)
                if done.returncode == 0:
                    break
                line = self.assert_refused(done, ": cannot be written: " + FULL)
                refused.append(line.split("run/")[1].split(":")[0])
                self.assertEqual([name for name in content(self.disk) if ".tmp-" in name], [])
                words = [*TRAINING, "--force"]
                if (run / "checkpoint/state.safetensors").exists():
                    told = elbo("info", "run", folder=self.disk)
                    self.assertEqual(told.returncode, 0, told.stderr)
                    self.assertIn("(not finished)", told.stdout)
                    words = ["train", "--resume"]
                mount("-o", "remount,size=64m", self.disk)
                self.done(*words, "--out", "run", folder=self.disk)
                self.assertEqual((run / "model.safetensors").read_bytes(),
                                 (whole / "model.safetensors").read_bytes())
                self.assertEqual(untimed(run), untimed(whole))
                self.assertEqual(set(content(run)), set(content(whole)))
            finally:
                subprocess.run(["umount", self.disk], check=True)
            size += 36
        print(f"{len(refused)} disks were too small, of {size} kilobytes at last; there was no room for "
              f"{', '.join(sorted(set(refused)))}", file=sys.stderr)
        for name in ("checkpoint/state.safetensors", "report.html"):
            self.assertIn(name, refused)

    def test_what_other_commands_write_is_whole_or_as_it_was(self):
        self.done(*TRAINING, "--out", "run", folder=self.roomy)
        (self.roomy / "x.csv").write_text("".join(f"{i % 7},{i % 3}.5,{i}\n" for i in range(90)))
        (self.roomy / "cells.h5ad").write_bytes((GOLDEN / "csr.h5ad").read_bytes())
        self.done("train", "x.csv", "--likelihood", "gaussian", "--hidden", "4", "--latent", "1",
                  "--epochs", "1", "--out", "table", folder=self.roomy)
        self.done("train", "cells.h5ad", "--likelihood", "poisson", "--hidden", "4", "--latent", "1",
                  "--epochs", "1", "--out", "cells", folder=self.roomy)
        self.small_disk(2048)
        digits = "builtin:digits?n=50"
        commands = {
            "z.npy": ["encode", "run", digits], "z.csv": ["encode", "run", digits],
            "z.h5ad": ["encode", "cells", "cells.h5ad"],
            "x.png": ["sample", "run", "-n", 9], "x.npy": ["sample", "run", "-n", 9],
            "pairs.png": ["reconstruct", "run", digits], "pairs.npy": ["reconstruct", "run", digits],
            "units.png": ["traverse", "run"], "map.png": ["map", "run"],
            "full.csv": ["impute", "table", "x.csv"], "scores.csv": ["score", "table", "x.csv"],
        }
        out = {name: ["--out", self.disk / name] for name in commands}
        commands["onnx"], out["onnx"] = ["export", "run"], ["--onnx", self.disk / "onnx"]
        for name, words in commands.items():
            self.done(*words, *out[name], folder=self.roomy)
        self.fill()
        before = content(self.disk)
        for name, words in commands.items():
            with self.subTest(name):
                again = ["--force"] if name.endswith(".h5ad") else []
                self.assert_refused(elbo(*words, *out[name], *again, folder=self.roomy), f"{self.disk}/{name}",
                                    ": cannot be written: " + FULL)
                self.assertEqual(content(self.disk), before)

    def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(self):
        self.small_disk(65536)
        self.done(*TRAINING, "--out", "finished", folder=self.disk)
        self.done(*TRAINING, "--out", "run", folder=self.disk)
        (self.disk / "run/report.html").unlink()
        before = content(self.disk)
        mount("-o", "remount,ro", self.disk)
        more = ["--epochs", "9"]
        for words, file in [([*TRAINING, "--out", "new"], "new"), ([*TRAINING, "--force", "--out", "run"], "run"),
                            (["train", "--resume", "--out", "run", *more], "run/"),
                            (["train", "--resume", "--out", "finished", *more], "finished/report.html")]:
            with self.subTest(" ".join(words)):
                done = elbo(*words, folder=self.disk)
                self.assert_refused(done, f"elbo: train: {file}", READ_ONLY)
                self.assertNotIn("epoch", done.stderr, "nothing was trained")
        self.assertEqual(content(self.disk), before)
        mount("-o", "remount,rw", self.disk)
        self.done("train", "--resume", "--out", "run", *more, folder=self.disk)


if __name__ == "__main__":
    if os.environ.get("ELBO_OWN_MOUNTS") != "yes":
        tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                               capture_output=True, text=True)
        if tried.returncode:
            print(f"skipped: no mounts of our own here: {tried.stderr.strip()}")
            sys.exit(77)
        os.execvpe("unshare", ["unshare", "-rm", sys.executable, __file__, ELBO, *sys.argv[1:]],
                   {**os.environ, "ELBO_OWN_MOUNTS": "yes"})
    unittest.main()
