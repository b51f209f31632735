"""What the claims share: running elbo, reading what it printed, and saying whether a claim holds."""
import json
import pathlib
import subprocess
import sys
import tempfile

_held = True


class Elbo:
    """The executable, run in a folder of its own."""

    def __init__(self, executable):
        self._executable = str(pathlib.Path(executable).resolve())
        self._folder = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self._folder.name)

    def __call__(self, *words):
        """Runs `elbo WORDS...` and returns what it printed; ends the script if it fails."""
        done = subprocess.run([self._executable, *map(str, words)], cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            sys.exit(f"elbo {' '.join(map(str, words))}\n{done.stderr.splitlines()[-1]}")
        return done.stdout

    def json(self, *words):
        return json.loads(self(*words, "--json"))

    def last_metrics(self, run):
        return json.loads((self.folder / run / "metrics.jsonl").read_text().splitlines()[-1])


def start(description):
    """The executable and the folder of the data sets, as the command line gives them."""
    if len(sys.argv) != 3:
        sys.exit(f"{description}\nusage: {sys.argv[0]} ELBO DATA")
    return Elbo(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()


def claim(what, figure, asked, holds):
    """Prints a line for the claim and remembers whether it holds."""
    global _held
    _held = _held and bool(holds)
    print(f"{what}: {figure} (asked: {asked}) {'holds' if holds else 'FAILS'}", flush=True)


def end():
    sys.exit(0 if _held else 1)
