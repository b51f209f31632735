"""Autoencoders and variational autoencoders, trained natively on CPU and GPU.

    import elbo
    model = elbo.train(x, latent=10, epochs=20)     # the words of `elbo train`
    z = model.encode(x)                             # float32 [N, D]

Data are arrays [N, C] of float32, float64, uint8, bool, int32 or int64 (images also [N, H, W]; bytes
are grey levels then, taken to 0 .. 1), scipy.sparse matrices, AnnData, or whatever has DLPack in the
memory of the CPU; NaN is missing.  Losses and scores are in nats per datum, summed over columns.

The package calls what the executable `elbo` calls; the same data, words and seed give the same bits.
"""
from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple, Union

import numpy as np

from . import _elbo
from ._elbo import Error, __version__

__all__ = ["Error", "Model", "__version__", "load", "train"]

PathLike = Union[str, "os.PathLike[str]"]


def train(data: Any, *, out: Optional[PathLike] = None, layer: Optional[str] = None,
          verbose: bool = False, **options: Any) -> Model:
    """Trains a model.

    data     as the module says, or what `elbo train` takes: a path, "builtin:digits"
    out      the run's folder; without it a temporary one, which goes with the model
    layer    of AnnData, in place of X
    verbose  shows progress, as the executable does
    options  what `elbo train --help` lists, with _ for -: latent=10, likelihood="zinb", hidden=[128],
             epochs=20, preset="scvi", beta=0.5, seed=1, device="cpu", best=True, ...
             valid and with_ may be data too, as first argument is, or what the executable takes.
             condition="batch" names columns of AnnData's obs.

    Ctrl-C raises KeyboardInterrupt; a run that has a folder goes on with resume=True.
    Errors: elbo.Error, a line that says what was found and what was expected.
    """
    memory = {}

    def word(name: str, value: Any) -> str:
        if isinstance(value, (str, os.PathLike, int, float)):
            return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
        memory["array:" + name] = _dataset(value, layer)
        return "array:" + name

    words = ["--data=" + word("data", data)]
    temporary = None if out is not None else tempfile.TemporaryDirectory(prefix="elbo-")
    folder = Path(out) if temporary is None else Path(temporary.name) / "run"
    words.append(f"--out={folder}")
    for name, value in options.items():
        name = name.rstrip("_").replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            words.append("--" + name)
        elif name in ("valid", "with", "with-valid"):
            words.append(f"--{name}={word(name, value)}")
        elif isinstance(value, (list, tuple)):
            words.append(f"--{name}=" + (",".join(map(str, value)) or "none"))
        else:
            words.append(f"--{name}={value}")
    _elbo.train(words, memory, not verbose)
    return Model(folder, str(options.get("device") or "auto"), temporary)


def load(run: PathLike, device: str = "auto") -> Model:
    """The model of a run's folder, on cpu, cuda or cuda:K; auto takes a GPU where there is one."""
    return Model(Path(run), device)


class Model:
    """A trained model: made by train() or load().  N data of C columns, D latent units."""

    def __init__(self, folder: Path, device: str = "auto", temporary: Any = None) -> None:
        self.folder = folder
        self._temporary = temporary  # goes when nobody has it any more
        self._model = _elbo.Trained(str(folder), device)

    def encode(self, data: Any, what: str = "mean", *, layer: Optional[str] = None,
               seed: int = 0) -> np.ndarray:
        """Latents, float32 [N, D].

        what  of the posterior q(z | x): mean, scale (its standard deviation), logvar, or sample, a
              draw with the noise of `seed`.  An autoencoder has the mean alone, its code.
        """
        mean, logvar, sample = self._model.encode(_dataset(data, layer), seed)
        if what == "mean":
            return mean
        if what not in ("scale", "logvar", "sample"):
            raise Error(f"encode: what is {what!r}, expected mean, scale, logvar or sample")
        if logvar is None:
            raise Error(f"encode: an autoencoder has no posterior, what={what!r} is not to be had")
        return sample if what == "sample" else logvar if what == "logvar" else np.exp(logvar / 2)

    def decode(self, latents: Any, *, condition: str = "") -> np.ndarray:
        """E[x | z] of latents [N, D], float32 [N, C].  condition: "NAME=VALUE,..." of a model that
        is told something."""
        return self._model.decode(_dataset(latents), condition)

    def sample(self, n: int, mode: str = "mean", *, seed: int = 0, temperature: float = 1.0,
               condition: str = "") -> np.ndarray:
        """New data, from latents of the prior, float32 [n, C].

        mode         mean: E[x | z]; sample: draws of p(x | z); params: the raw numbers of the
                     decoder, [n, C, K], as parameter_names calls them
        temperature  what the latents' deviation is multiplied by
        """
        return self._model.sample(n, mode, seed, temperature, condition)

    def reconstruct(self, data: Any, *, layer: Optional[str] = None) -> np.ndarray:
        """E[x | z] at the posterior's mean, float32 [N, C]."""
        return self._model.reconstruct(_dataset(data, layer))

    def score(self, data: Any, *, importance_samples: int = 50, seed: int = 0,
              layer: Optional[str] = None) -> np.ndarray:
        """log p(x) of each datum by importance sampling, float64 [N], in nats; the lower, the more
        unusual.  It is a lower bound in expectation.  An autoencoder's is log p(x | code)."""
        return self._model.score(_dataset(data, layer), importance_samples, seed)

    def save(self, folder: PathLike) -> None:
        """Copies the run, which load() and the executable read, to a folder that is not there yet."""
        shutil.copytree(self.folder, folder)

    @property
    def history(self) -> List[dict]:
        """What is known after each epoch: metrics.jsonl."""
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]

    @property
    def config(self) -> dict:
        """What the model is made of, in the words of train()."""
        return json.loads(self._model.config())

    @property
    def parameter_names(self) -> List[str]:
        """Of the law of a column: logit; mean, log_variance; ..."""
        return self._model.parameters()

    def __repr__(self) -> str:
        config = self.config
        return (f"<elbo.Model {config['model']}, {config['likelihood']}, "
                f"{config['observed']} columns, {config['latent']} latent units>")


def _dataset(data: Any, layer: Optional[str] = None) -> Any:
    cells = hasattr(data, "obs") and hasattr(data, "layers")
    if layer is not None and not cells:
        raise Error(f"layer {layer!r}: {type(data).__name__} has none, expected AnnData")
    if cells and layer is not None and layer not in data.layers:
        raise Error(f"layer {layer!r}: there is none, expected one of {', '.join(data.layers) or 'none'}")
    values = data if not cells else data.X if layer is None else data.layers[layer]
    if hasattr(values, "tocsr"):
        lists = values.tocsr()
        made = _elbo.of_lists(lists.indptr.astype(np.int64, copy=False),
                              lists.indices.astype(np.int64, copy=False),
                              lists.data.astype(np.float32, copy=False), *lists.shape)
    else:
        if not hasattr(values, "__dlpack__"):
            values = np.asarray(values)
        try:
            made = _elbo.of_array(values)
        except TypeError:
            what = getattr(values, "dtype", type(data).__name__)
            raise Error(f"array: {what} is not supported, expected an array of numbers") from None
    if cells:
        for name, levels, numbers in _annotations(data.obs):
            made.annotate(name, levels, numbers)
    return made


def _annotations(obs: Any) -> Iterator[Tuple[str, List[str], np.ndarray]]:
    """Columns of numbers, and others as levels; NaN where unknown."""
    for name, column in obs.items():
        if column.dtype.kind in "iuf":
            yield str(name), [], column.to_numpy(dtype=np.float32, na_value=np.nan)
        else:
            of = column.astype("category").cat
            codes = of.codes.to_numpy(dtype=np.float32)
            yield str(name), [str(c) for c in of.categories], np.where(codes < 0, np.float32("nan"), codes)
