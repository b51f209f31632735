"""What the claims of this folder share: they train by `elbo`, and say what holds.

Each is called as  NAME.py ELBO DATA  with the executable and the folder of the data.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np


class Claims:
    """The figures of one script, and the folder in which its models are trained."""

    def __init__(self):
        if len(sys.argv) != 3:
            sys.exit(f'usage: {sys.argv[0]} ELBO DATA')
        self.executable = str(pathlib.Path(sys.argv[1]).resolve())
        self.data = pathlib.Path(sys.argv[2])
        self.held = True
        self.temporary = tempfile.TemporaryDirectory(prefix='elbo-claims-')
        self.folder = pathlib.Path(self.temporary.name)

    def elbo(self, *words):
        """Runs a command; its output, or the end of the script."""
        done = subprocess.run([self.executable, *map(str, words)], cwd=self.folder,
                              capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f'elbo {words[0]}: {done.stderr.strip()}')
        return done.stdout

    def save(self, name, rows):
        """Numbers as a file that elbo reads; its path."""
        rows = np.ascontiguousarray(rows)
        path = self.folder / f'{name}.npy'
        np.save(path, rows if rows.dtype == np.uint8 else rows.astype(np.float32, order='C'))
        return path

    def train(self, run, data, **options):
        """elbo train DATA --out RUN; an option a_b is the flag --a-b, True a flag without value."""
        words = ['train', data, '--out', run]
        for name, value in options.items():
            words += [f'--{name.replace("_", "-")}'] + ([] if value is True else [value])
        self.elbo(*words)

    def evaluate(self, run, data, samples=0):
        words = ['evaluate', run, '--data', data, '--json']
        return json.loads(self.elbo(*words, *(['--importance-samples', samples] if samples else [])))

    def encode(self, run, data):
        self.elbo('encode', run, data, '--out', 'z.npy')
        return np.load(self.folder / 'z.npy')

    def decode(self, run, z):
        self.elbo('decode', run, self.save('latents', z), '--out', 'x.npy')
        return np.load(self.folder / 'x.npy')

    def sample(self, run, count, mode='sample', seed=0):
        self.elbo('sample', run, '-n', count, '--mode', mode, '--seed', seed, '--out', 'x.npy')
        return np.load(self.folder / 'x.npy')

    def say(self, what, figure, asked, holds):
        """A line of the result; `holds` None is a figure that nothing is asked of."""
        verdict = '' if holds is None else ' holds' if holds else ' fails'
        note = f' (asked: {asked})' if asked else ''
        print(f'{what}: {figure}{note}{verdict}', flush=True)
        self.held = self.held and holds is not False

    def end(self):
        sys.exit(0 if self.held else 1)


def ranks(values):
    """From 1, ties at their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def spearman(a, b):
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])
