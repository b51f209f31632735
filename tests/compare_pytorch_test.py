#!/usr/bin/env python3
"""bench/compare_pytorch.py without PyTorch: its cases are those of `elbo bench`, and it says what it
cannot do.  Arguments: the script, the program `elbo`."""
import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

SCRIPT, ELBO = sys.argv.pop(1), sys.argv.pop(1)


def run(*words):
    # Without site-packages there is no PyTorch, whatever this machine has.
    return subprocess.run([sys.executable, "-I", "-S", SCRIPT, *words], capture_output=True, text=True)


class ComparePytorch(unittest.TestCase):
    def test_has_the_cases_of_elbo_bench(self):
        spec = importlib.util.spec_from_file_location("compare_pytorch", SCRIPT)
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        text = subprocess.run([ELBO, "bench", "--help"], capture_output=True, text=True).stdout
        listed = re.findall(r"^  (\d+)  .*, batch (\d+)(?:, (bf16))?$", text, re.M)
        self.assertEqual([(int(n), int(batch), bf16 or "tf32") for n, batch, bf16 in listed],
                         [(n, c["batch"], c["precision"]) for n, c in script.CASES.items()])

    def test_refuses_what_it_does_not_know(self):
        for words, says in [(["--case", "12"], "no case 12"), (["--case", "one"], "--case"),
                            (["--steps", "-1"], "less than 0"), (["--device", "tpu"], "tpu"),
                            ([], "--out")]:
            out = [] if not words else ["--out", "nowhere"]
            done = run(*out, *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(says, done.stderr)
        self.assertFalse(pathlib.Path("nowhere").exists())

    def test_without_pytorch_says_so_and_is_done(self):
        with tempfile.TemporaryDirectory() as folder:
            done = run("--out", folder, "--device", "cpu")
            self.assertEqual(done.returncode, 0, done.stderr)
            result = json.loads((pathlib.Path(folder) / "pytorch.json").read_text())
            self.assertIn("has no PyTorch", result["skipped"])


if __name__ == "__main__":
    unittest.main()
