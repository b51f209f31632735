"""The package against the executable, against NumPy, and at its edges.

ELBO_PROGRAM names the executable; scripts/python-test builds and installs both.
"""
import gc
import json
import os
import pathlib
import re
import runpy
import signal
import struct
import subprocess
import threading
import time
import tracemalloc

import numpy as np
import pytest
import scipy.sparse
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import elbo

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
QUICK = {"device": "cpu", "hidden": [32], "latent": 3, "epochs": 3}


def program(*words):
    subprocess.run([os.environ["ELBO_PROGRAM"], *map(str, words)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def flags(options):
    for name, value in options.items():
        yield f"--{name.replace('_', '-')}"
        if value is not True:
            yield ",".join(map(str, value)) if isinstance(value, list) else str(value)


def numbers(rows=300, columns=12, seed=0):
    random = np.random.default_rng(seed)
    return (random.normal(size=(rows, 3)) @ random.normal(size=(3, columns))).astype(np.float32)


def counts(rows=200, columns=40):
    random = np.random.default_rng(1)
    return random.poisson(random.gamma(0.3, 2, size=(rows, columns))).astype(np.float32)


def weights(run):
    return (run / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def gaussian():
    x = numbers()
    return x, elbo.train(x, likelihood="gaussian", sigma="datum", **QUICK)


@pytest.fixture(scope="module")
def run(gaussian, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gaussian")
    gaussian[1].save(folder / "run")
    np.save(folder / "x.npy", gaussian[0])
    return folder


def written(run, *words):
    program(*words, "--out", run / "out.npy")
    return np.load(run / "out.npy")


IMAGES = np.random.default_rng(2).integers(0, 256, size=(120, 6, 5), dtype=np.uint8)


@pytest.mark.parametrize("x, options", [
    (numbers(), {"likelihood": "gaussian", "standardise": "columns", "valid": 0.2, "best": True}),
    (numbers().astype(np.float64), {"likelihood": "gaussian", "optimizer": "adamw", "objective": "iwae", "samples": 4}),
    (IMAGES, {"beta": 0.5, "beta_warmup": 2, "lr_schedule": "cosine"}),
    (IMAGES > 127, {"model": "ae", "norm": "batch", "activation": "gelu"}),
    (counts(), {"preset": "scvi"}),
    (counts().astype(np.int64), {"likelihood": "negative_binomial", "rate_budget": 5}),
    (np.where(np.random.default_rng(3).random((300, 12)) < 0.1, np.nan, numbers()), {"likelihood": "gaussian"}),
])
def test_training_gives_the_bits_of_the_executable(tmp_path, x, options):
    options = {**QUICK, "seed": 7, **options}
    np.save(tmp_path / "x.npy", x)
    program("train", tmp_path / "x.npy", "--out", tmp_path / "run", *flags(options))
    model = elbo.train(x, **options)
    assert weights(model.folder) == weights(tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    timed = ("seconds", "data_per_second")
    untimed = [[{k: v for k, v in line.items() if k not in timed} for line in lines]
               for lines in (map(json.loads, lines), model.history)]
    assert untimed[0] == untimed[1] and len(untimed[0]) == 3


def test_validation_data_and_a_second_domain_may_be_arrays_too(tmp_path):
    x, y = numbers(), numbers(columns=7, seed=5)
    for name, array in {"x": x, "y": y, "xv": x[:50], "yv": y[:50]}.items():
        np.save(tmp_path / f"{name}.npy", array)
    program("train", tmp_path / "x.npy", "--valid", tmp_path / "xv.npy", "--with", tmp_path / "y.npy", "--with-valid",
            tmp_path / "yv.npy", "--out", tmp_path / "run", "--likelihood", "gaussian", *flags(QUICK))
    model = elbo.train(x, valid=x[:50], with_=y, with_valid=y[:50], likelihood="gaussian", **QUICK)
    assert weights(model.folder) == weights(tmp_path / "run")


def test_tensorboard_reads_the_metrics_of_a_run_that_went_on(tmp_path):
    options = {"likelihood": "gaussian", "valid": 0.2, "out": tmp_path / "run", **QUICK}
    elbo.train(numbers(), tensorboard=True, **options)
    elbo.train(numbers(), resume=True, **{**options, "epochs": 5})
    log = EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    for tag, key in (("train/elbo", "elbo"), ("valid/kl", "valid_kl"), ("schedule/beta", "beta")):
        events = log.Scalars(tag)
        assert [e.step for e in events] == [1, 2, 3, 4, 5]
        assert [e.value for e in events] == [np.float32(line[key]) for line in lines]


def test_a_file_trains_as_it_does_on_the_command_line(tmp_path):
    program("train", "builtin:digits?n=200", "--out", tmp_path / "run", *flags(QUICK))
    model = elbo.train("builtin:digits?n=200", out=tmp_path / "own", **QUICK)
    assert weights(tmp_path / "own") == weights(tmp_path / "run") and model.folder == tmp_path / "own"


def test_asked_a_model_answers_what_the_executable_writes(gaussian, run):
    x, model = gaussian
    for what in ("mean", "logvar", "sample"):
        z = written(run, "encode", run / "run", run / "x.npy", "--what", what, "--seed", 3, "--device", "cpu")
        assert np.array_equal(model.encode(x, what, seed=3), z)
    np.save(run / "z.npy", model.encode(x))
    x_of_z = written(run, "decode", run / "run", run / "z.npy", "--device", "cpu")
    assert np.array_equal(model.decode(model.encode(x)), x_of_z)
    pairs = written(run, "reconstruct", run / "run", run / "x.npy", "--device", "cpu")
    assert np.array_equal(model.reconstruct(x), pairs)
    table = written(run, "score", run / "run", run / "x.npy", "--importance-samples", 9, "--seed", 4, "--device", "cpu")
    score = model.score(x, importance_samples=9, seed=4)
    assert score.dtype == np.float64 and np.array_equal(score.astype(np.float32), table[:, 0])
    for mode in ("mean", "sample", "params"):
        drawn = written(run, "sample", run / "run", "-n", 5, "--mode", mode, "--seed", 2, "--temperature", 0.7,
                        "--device", "cpu")
        assert np.array_equal(model.sample(5, mode, seed=2, temperature=0.7).reshape(5, -1), drawn)
    assert model.sample(5, "params").shape == (5, 12, 2) and model.parameter_names == ["mean", "log_variance"]


def test_the_safetensors_package_reads_the_weights_and_writes_what_elbo_reads(gaussian, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    x, model = gaussian
    model.save(tmp_path / "run")
    arrays = safetensors.load_file(tmp_path / "run" / "model.safetensors")
    assert {name: array.shape for name, array in arrays.items()} == {
        "encoder.layers.0.weight": (32, 12), "encoder.layers.0.bias": (32,),
        "encoder.layers.1.weight": (6, 32), "encoder.layers.1.bias": (6,),
        "decoder.layers.0.weight": (32, 3), "decoder.layers.0.bias": (32,),
        "decoder.layers.1.weight": (24, 32), "decoder.layers.1.bias": (24,)}
    safetensors.save_file(arrays, tmp_path / "run" / "model.safetensors")
    assert np.array_equal(elbo.load(tmp_path / "run", device="cpu").encode(x), model.encode(x))
    arrays["encoder.layers.1.bias"][:3] += 1  # the means' bias comes first
    safetensors.save_file(arrays, tmp_path / "run" / "model.safetensors")
    moved = elbo.load(tmp_path / "run", device="cpu").encode(x) - model.encode(x)
    assert np.all(np.abs(moved - 1) <= np.finfo(np.float32).eps * (1 + np.abs(model.encode(x))))


def test_a_loaded_model_is_the_one_that_was_saved(gaussian, run):
    x, model = gaussian
    again = elbo.load(run / "run", device="cpu")
    assert np.array_equal(again.encode(x), model.encode(x))
    assert again.history == model.history and again.config == model.config


def test_the_encoder_is_the_network_whose_weights_the_file_holds(gaussian):
    """A forward pass in double, and how far float sums of that length can be from it."""
    x, model = gaussian
    content = weights(model.folder)
    length, = struct.unpack("<Q", content[:8])
    arrays = {name: np.frombuffer(content[8 + length:][slice(*of["data_offsets"])], np.float32)
              .reshape(of["shape"]).astype(np.float64)
              for name, of in json.loads(content[8:8 + length]).items() if name != "__metadata__"}
    values, off = x.astype(np.float64), np.zeros(x.shape)
    for layer in (0, 1):
        w, b = (arrays[f"encoder.layers.{layer}.{part}"] for part in ("weight", "bias"))
        size = (np.abs(values) + off) @ np.abs(w.T) + np.abs(b)
        off = off @ np.abs(w.T) + (w.shape[1] + 2) * np.finfo(np.float32).eps * size
        values = values @ w.T + b
        if layer == 0:
            values = np.maximum(values, 0)
    mean, logvar = np.split(values, 2, axis=1)
    off_mean, off_logvar = np.split(off, 2, axis=1)
    assert np.all(np.abs(model.encode(x) - mean) <= off_mean)
    assert np.all(np.abs(model.encode(x, "logvar") - logvar) <= off_logvar)
    assert np.array_equal(model.encode(x, "scale"), np.exp(model.encode(x, "logvar") / 2))
    assert np.abs(mean).max() > 100 * off_mean.max()


@pytest.mark.parametrize("give, what", [
    (lambda x: x[:, :3], "3 columns"),
    (lambda x: np.where(x > 2, np.nan, x), "missing"),
    (lambda x: np.where(x > 2, np.inf, x), "inf"),
    (lambda x: x.astype(np.float16), "<f2"),
    (lambda x: x.astype(complex), "<c16"),
    (lambda x: x.astype(str), "expected an array of numbers"),
    (lambda x: x[0], "1-D"),
    (lambda x: x[:0], "is 0"),
    (lambda x: "x.npy", "expected an array of numbers"),
])
def test_data_that_do_not_fit_are_told_in_a_line(gaussian, give, what):
    x, model = gaussian
    with pytest.raises(elbo.Error, match=what) as error:
        model.encode(give(x))
    assert "\n" not in str(error.value) and isinstance(error.value, ValueError)


@pytest.mark.parametrize("ask, what", [
    (lambda x: elbo.train(x, latents=3), "latents"),
    (lambda x: elbo.train(x, latent=0), "--latent: '0' is not a whole number >= 1"),
    (lambda x: elbo.train(x, likelihood="normal"), "'normal' is"),
    (lambda x: elbo.train(-x, likelihood="zinb"), "row 0, column"),
    (lambda x: elbo.train(x, likelihood="gaussian", layer="raw"), "layer"),
    (lambda x: elbo.train(x, likelihood="gaussian", device="abacus"), "abacus"),
    (lambda x: elbo.load("nowhere"), "there is no such run"),
])
def test_words_that_mean_nothing_are_told_in_a_line(ask, what):
    with pytest.raises(elbo.Error, match=what) as error:
        ask(np.abs(numbers()) + 0.5)
    assert "\n" not in str(error.value)


def test_latents_and_modes_that_do_not_fit_are_told(gaussian):
    x, model = gaussian
    for ask, what in [(lambda: model.decode(x), "3 latent units"), (lambda: model.decode(x[:, :3] * np.nan), "NaN"),
                      (lambda: model.sample(0), "at least 1"), (lambda: model.sample(1, "draw"), "expected mean, sample"),
                      (lambda: model.encode(x, "median"), "median"), (lambda: model.score(x, importance_samples=0), "0")]:
        with pytest.raises(elbo.Error, match=what):
            ask()


def test_an_autoencoder_has_no_posterior():
    model = elbo.train(numbers(), model="ae", likelihood="gaussian", **QUICK)
    assert model.encode(numbers()).shape == (300, 3)
    for ask in (lambda: model.encode(numbers(), "scale"), lambda: model.sample(3)):
        with pytest.raises(elbo.Error, match="autoencoder"):
            ask()


def test_an_array_in_c_order_is_not_copied_on_its_way_in(gaussian):
    _, model = gaussian
    x = np.ascontiguousarray(np.tile(numbers(), (200, 1)))

    def copied(array):
        tracemalloc.start()  # NumPy's memory; not the library's
        model.encode(array)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert copied(x) < x.nbytes / 10
    assert copied(np.asfortranarray(x)) >= x.nbytes


def test_what_comes_out_owns_its_memory(gaussian):
    x = gaussian[0]
    model = elbo.train(x, likelihood="gaussian", **QUICK)
    z = model.encode(x)
    assert z.dtype == np.float32 and not z.flags.owndata and z.base is not None and z.flags.writeable
    before = z.copy()
    del model
    gc.collect()
    np.ones(z.shape, np.float32)
    assert np.array_equal(z, before)


class Foreign:
    """An array of another library: DLPack and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack_goes_in_and_out(gaussian):
    x, model = gaussian
    z = model.encode(Foreign(x))
    assert np.array_equal(z, model.encode(x))
    out = np.from_dlpack(z)
    assert out.__array_interface__["data"][0] == z.__array_interface__["data"][0]
    assert np.array_equal(model.decode(Foreign(out)), model.decode(z))


def test_strides_and_read_only_arrays_give_the_same(gaussian):
    x, model = gaussian
    locked = x.copy()
    locked.flags.writeable = False
    for other in (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], locked, x.tolist()):
        assert np.array_equal(model.encode(other), model.encode(x))


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_sparse_data_give_the_bits_of_dense_ones(kind):
    x = counts()
    sparse = scipy.sparse.csr_matrix(x).asformat(kind)
    dense_model = elbo.train(x, preset="scvi", device="cpu", epochs=2)
    model = elbo.train(sparse, preset="scvi", device="cpu", epochs=2)
    assert weights(model.folder) == weights(dense_model.folder)
    assert np.array_equal(model.encode(sparse), model.encode(x))
    assert np.array_equal(model.score(sparse, importance_samples=3), model.score(x, importance_samples=3))


def test_broken_lists_are_told():
    broken = scipy.sparse.csr_matrix(counts())
    broken.indices[5] = 4000
    with pytest.raises(elbo.Error, match="lists column 4000, expected columns from 0 to 39"):
        elbo.train(broken, preset="scvi", device="cpu", epochs=1)


@pytest.fixture
def cells():
    anndata = pytest.importorskip("anndata", reason="anndata is not installed")
    import pandas

    x = counts()
    batch = pandas.Categorical(np.where(np.arange(len(x)) % 3 == 0, "late", "early"))
    obs = pandas.DataFrame({"batch": batch, "age": np.arange(len(x)) / 7}, index=[f"c{i}" for i in range(len(x))])
    made = anndata.AnnData(scipy.sparse.csr_matrix(x), obs=obs)
    made.layers["twice"] = 2 * x
    return made


def test_cells_take_three_lines_and_give_the_bits_of_their_file(cells, tmp_path):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    options = {"preset": "scvi", "condition": "batch,age", "device": "cpu", "epochs": 2}
    program("train", tmp_path / "cells.h5ad", "--out", tmp_path / "run", *flags(options))

    model = elbo.train(cells, **options)
    cells.obsm["X_elbo"] = model.encode(cells)

    assert weights(model.folder) == weights(tmp_path / "run")
    program("encode", tmp_path / "run", tmp_path / "cells.h5ad", "--out", tmp_path / "z.npy", "--device", "cpu")
    assert np.array_equal(cells.obsm["X_elbo"], np.load(tmp_path / "z.npy"))
    assert model.sample(4, condition="batch=late").shape == (4, cells.n_vars)
    with pytest.raises(elbo.Error, match="batch"):
        model.encode(cells.X)


def test_what_readme_shows_runs_as_it_stands(cells, tmp_path, monkeypatch):
    shown = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert shown
    cells.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.chdir(tmp_path)
    for number, text in enumerate(shown):
        pathlib.Path(f"shown{number}.py").write_text(text)
        left = runpy.run_path(f"shown{number}.py")
        z = left["adata"].obsm["X_elbo"]
        assert z.shape[0] == cells.n_obs and np.isfinite(z).all() and z.std() > 0
        left["model"].save(f"run{number}")
        program("encode", f"run{number}", "cells.h5ad", "--out", "z.npy")
        assert np.array_equal(z, np.load("z.npy"))


def test_a_layer_takes_the_place_of_x(cells):
    model = elbo.train(cells, layer="twice", preset="scvi", device="cpu", epochs=1)
    assert np.array_equal(model.encode(cells, layer="twice"), model.encode(cells.layers["twice"]))
    assert not np.array_equal(model.encode(cells), model.encode(cells, layer="twice"))
    with pytest.raises(elbo.Error, match="'raw': there is none, expected one of twice"):
        model.encode(cells, layer="raw")


def test_other_threads_of_python_run_meanwhile():
    done, beats = threading.Event(), []

    def beat():
        while not done.wait(0.001):
            beats.append(time.monotonic())

    thread = threading.Thread(target=beat)
    thread.start()
    begun = time.monotonic()
    elbo.train("builtin:digits?n=2000", device="cpu", epochs=5)
    ended = time.monotonic()
    done.set()
    thread.join()
    within = [t for t in [begun, *(t for t in beats if begun < t < ended), ended]]
    # Were the lock held, one pause would be the whole time.
    assert max(np.diff(within)) < (ended - begun) / 2


def test_threads_share_a_model(gaussian):
    x, model = gaussian
    expected, seen = model.encode(x), []
    threads = [threading.Thread(target=lambda: seen.extend(model.encode(x) for _ in range(20))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 60 and all(np.array_equal(z, expected) for z in seen)


def test_ctrl_c_stops_a_training_that_goes_on_to_the_same_bits(tmp_path):
    options = {"likelihood": "gaussian", **QUICK, "epochs": 10**6}
    x = numbers(20000)
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        elbo.train(x, out=tmp_path / "run", **options)
    timer.join()
    signal.signal(signal.SIGINT, before)
    options["epochs"] = len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) + 1
    elbo.train(x, out=tmp_path / "run", resume=True, **options)
    assert weights(tmp_path / "run") == weights(elbo.train(x, **options).folder)


def test_it_is_silent_unless_asked(capfd):
    elbo.train(numbers(), likelihood="gaussian", **QUICK)
    assert capfd.readouterr() == ("", "")
    elbo.train(numbers(), likelihood="gaussian", verbose=True, **QUICK)
    out, error = capfd.readouterr()
    assert "3 epochs" in out and "epoch 3/3" in error


def test_a_temporary_run_goes_with_its_model():
    model = elbo.train(numbers(), likelihood="gaussian", **QUICK)
    folder = model.folder
    assert folder.is_dir()
    del model
    gc.collect()
    assert not folder.exists()
