#!/usr/bin/env python3
"""Every command of README.md, run; and what it quotes or links to is there.
Arguments: the folder of the sources, the program `elbo`.

The commands of `elbo` run as they stand, in the order of the page, in a folder with small files under
the names that the page uses.  Of the others:
  git clone, cd           the sources are here
  pip install .           scripts/python-test installs the wheel and runs python/tests, README's block too
  scripts/test            runs this test
  scripts/demo            its two lines of `elbo` run, on 200 digits and for one epoch; it would build what is tested
A line that is none of these, or a file that is not made here, fails the test.
"""
import pathlib
import random
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import unittest

SOURCES, ELBO = (pathlib.Path(sys.argv.pop(1)).resolve() for _ in range(2))
README = (SOURCES / "README.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def commands():
    """The lines that are indented by four, without comments."""
    plain = re.sub(r"^```.*?^```$", "", README, flags=re.M | re.S)
    lines = re.findall(r"^    (\S.*)$", plain, re.M)
    return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


def npy(path, shape, kind, content):
    header = repr({"descr": kind, "fortran_order": False, "shape": shape})
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content)


def csv(path, rows, names):
    path.write_text("name," + ",".join(names) + "\n" +
                    "".join(f"cell{i}," + ",".join(map(str, row)) + "\n" for i, row in enumerate(rows)))


def make_files(folder):
    draw = random.Random(0)
    # As many images that datum 3 is in the twelfth step, as `elbo replay` has it.
    for name, rows in [("images.npy", 250), ("test.npy", 60), ("noisy.npy", 60)]:
        levels = [draw.choice([40, 200]) + 40 * ((i // 6 + row) % 2) - draw.randrange(30)
                  for row in range(rows) for i in range(48)]
        npy(folder / name, (rows, 8, 6), "|u1", bytes(levels))
    pixels = [f"p{i}" for i in range(48)]
    csv(folder / "new.csv", [[round(draw.random(), 3) for _ in pixels] for _ in range(40)], pixels)
    csv(folder / "gaps.csv", [[round(draw.random(), 3) if draw.random() < 0.9 else "NA" for _ in pixels]
                              for _ in range(40)], pixels)
    cells = folder / "cells"
    cells.mkdir()
    counts = [(gene, cell, draw.randrange(1, 9)) for gene in range(1, 31) for cell in range(1, 121)
              if draw.random() < 0.5]
    (cells / "matrix.mtx").write_text("%%MatrixMarket matrix coordinate integer general\n30 120 "
                                      f"{len(counts)}\n" + "".join("%d %d %d\n" % c for c in counts))
    (cells / "barcodes.tsv").write_text("".join(f"cell{i}\n" for i in range(120)))
    (cells / "features.tsv").write_text("".join(f"gene{i}\tgene{i}\tGene Expression\n" for i in range(30)))
    (folder / "rna.h5ad").write_bytes((SOURCES / "tests/golden/formats/csr.h5ad").read_bytes())


class Readme(unittest.TestCase):
    def test_commands_run(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            make_files(folder)
            told = subprocess.run([ELBO, "inspect", "rna.h5ad"], cwd=folder, capture_output=True, text=True)
            rows = int(re.search(r"(\d+) (?:rows|data|x)", told.stdout)[1])
            csv(folder / "protein.csv", [[i % 4, i % 3, (i * i) % 5] for i in range(rows)], ["CD3", "CD4", "CD8"])
            ran = set()
            for words in commands():
                with self.subTest(" ".join(words)):
                    if words[0] == "elbo":
                        done = subprocess.run([ELBO, *words[1:]], cwd=folder, capture_output=True, text=True)
                        self.assertEqual(done.returncode, 0, done.stderr)
                        ran.add(words[1])
                        if "--out" in words:
                            self.assertTrue((folder / words[words.index("--out") + 1]).exists())
                    elif words[0] in ("scripts/demo", "scripts/test"):
                        self.assertTrue((SOURCES / words[0]).exists())
                        self.assertEqual(len(words), 1)
                    else:
                        self.assertIn(words, [["git", "clone", "URL", "elbo"], ["cd", "elbo"], ["pip", "install", "."]])
            self.assertGreater(len(ran), 10, "the page has commands")

    def test_demo_runs(self):
        lines = re.findall(r"^build/release/elbo (.*)$", (SOURCES / "scripts/demo").read_text(), re.M)
        self.assertEqual(len(lines), 2)
        with tempfile.TemporaryDirectory() as folder:
            for line in lines:
                words = shlex.split(line.replace("builtin:digits", "'builtin:digits?n=200'").replace('"$@"', "--epochs 1"))
                done = subprocess.run([ELBO, *words], cwd=folder, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(pathlib.Path(folder, "runs/demo/report.html").exists())

    def test_program_is_an_example_word_for_word(self):
        programs = blocks("cpp")
        self.assertTrue(programs)
        examples = {file.name: file.read_text() for file in (SOURCES / "examples").glob("*.cpp")}
        built = (SOURCES / "examples/CMakeLists.txt").read_text()
        for program in programs:
            same = [name for name, text in examples.items() if program in text]
            self.assertTrue(same, "no example has this text")
            self.assertIn(same[0].removesuffix(".cpp"), built)

    def test_names_and_links_are_there(self):
        links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
        named = re.findall(r"`((?:scripts|examples|docs|bench|tests)/[\w./-]*)`", README)
        self.assertTrue(links and named)
        for name in links + named:
            self.assertTrue((SOURCES / name.split("#")[0]).exists(), name)
        self.assertEqual(set(re.findall(r"^```(\w+)$", README, re.M)), {"cpp", "python"},
                         "a block of another language that nothing runs")


if __name__ == "__main__":
    unittest.main()
