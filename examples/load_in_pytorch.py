"""A trained Elbo model as PyTorch modules:  python load_in_pytorch.py RUN DATA.npy

load(RUN) gives (encoder, decoder), two nn.Sequential.  Weights have PyTorch's names and layout, so that
nothing is transposed: encoder(x).chunk(2, dim=-1) are mean and log-variance of a VAE's posterior,
decoder(z) the likelihood's raw parameters in blocks.  x is what the network reads: data whose model
prepares, transforms or is told something (config.json) must be given so; `elbo export` does all of it.
"""
import json
import pathlib
import sys

import numpy
import torch
from safetensors.torch import load_file
from torch import nn

ACTIVATIONS = {"identity": nn.Identity, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "tanh": nn.Tanh,
               "sigmoid": nn.Sigmoid, "softplus": nn.Softplus, "silu": nn.SiLU, "gelu": nn.GELU}


def load(run):
    run = pathlib.Path(run)
    config, weights = json.loads((run / "config.json").read_text()), load_file(run / "model.safetensors")

    def mlp(name):
        modules = []
        for i in range(len(config["hidden"]) + 1):
            layer = {k.rsplit(".", 1)[1]: v for k, v in weights.items() if k.startswith(f"{name}.layers.{i}.")}
            norm = {k.rsplit(".", 1)[1]: v for k, v in weights.items() if k.startswith(f"{name}.norms.{i}.")}
            modules.append(nn.Linear(*layer["weight"].shape[::-1]))
            modules[-1].load_state_dict(layer)
            if norm:
                kind = nn.BatchNorm1d if "running_mean" in norm else nn.LayerNorm
                modules.append(kind(len(norm["bias"]), eps=config["norm-epsilon"]))
                modules[-1].load_state_dict(norm, strict=False)
            if i < len(config["hidden"]):
                modules.append(ACTIVATIONS[config["activation"]]())
        return nn.Sequential(*modules).eval()

    return mlp("encoder"), mlp("decoder")


if __name__ == "__main__":
    encoder, decoder = load(sys.argv[1])
    with torch.no_grad():
        z = encoder(torch.from_numpy(numpy.load(sys.argv[2]).astype("float32")))
    print(z[0].numpy())
