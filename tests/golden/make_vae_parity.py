#!/usr/bin/env python3
"""Trains small VAEs by PyTorch in float64 and writes what happened to vae_parity.json.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch
    /tmp/torch/bin/python tests/golden/make_vae_parity.py

Weights, data and noise are numbers that a float holds exactly, so that a float build reads the
same ones. Weights have PyTorch's layout: a head of K parameters a scalar is K blocks of rows.
A step takes the next `batch` data, beginning again at the end, and the loss is
-mean(log p(x|z)) + beta * mean(KL).
"""
import json, pathlib
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

STEPS, BATCH, DATA, OBSERVED, LATENT = 20, 8, 40, 16, 3
FLOOR = 1e-3  # of the Gaussian's standard deviation (kernels/math/likelihoods.h)

CASES = [
    dict(name="tanh, bernoulli", hidden=[12, 8], activation="tanh", likelihood="bernoulli", beta=1),
    dict(name="relu, bernoulli", hidden=[12, 8], activation="relu", likelihood="bernoulli", beta=1),
    dict(name="tanh, gaussian with a sigma per datum", hidden=[12], activation="tanh",
         likelihood="gaussian", sigma="datum", beta=0.5),
    dict(name="gelu, gaussian with one sigma", hidden=[12], activation="gelu",
         likelihood="gaussian", sigma="shared", beta=1),
    dict(name="silu, gaussian with a sigma per feature", hidden=[12], activation="silu",
         likelihood="gaussian", sigma="feature", beta=4),
]
ACTIVATION = dict(tanh=nn.Tanh, relu=nn.ReLU, gelu=nn.GELU, silu=nn.SiLU)


def mlp(inputs, hidden, outputs):
    layers = nn.ModuleList()
    for width in hidden + [outputs]:
        layers.append(nn.Linear(inputs, width))
        inputs = width
    return nn.ModuleDict({"layers": layers})


class Vae(nn.Module):
    def __init__(self, case):
        super().__init__()
        self.act = ACTIVATION[case["activation"]]()
        self.bernoulli = case["likelihood"] == "bernoulli"
        sigma = case.get("sigma")
        self.heads = 2 if sigma == "datum" else 1
        self.encoder = mlp(OBSERVED, case["hidden"], 2 * LATENT)
        self.decoder = mlp(LATENT, case["hidden"][::-1], self.heads * OBSERVED)
        if sigma in ("shared", "feature"):
            self.log_variance = nn.Parameter(torch.zeros(1 if sigma == "shared" else OBSERVED))

    def run(self, network, x):
        *hidden, last = network["layers"]
        for layer in hidden:
            x = self.act(layer(x))
        return last(x)

    def terms(self, x, noise):
        mu, s = self.run(self.encoder, x).chunk(2, dim=-1)
        posterior = torch.distributions.Normal(mu, torch.exp(s / 2))
        kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
        theta = self.run(self.decoder, mu + torch.exp(s / 2) * noise)
        if self.bernoulli:
            log_p = -nn.functional.binary_cross_entropy_with_logits(theta, x, reduction="none")
        else:
            mean, raw = theta.chunk(2, dim=-1) if self.heads == 2 else (theta, self.log_variance)
            scale = torch.sqrt(FLOOR ** 2 + torch.exp(raw))
            log_p = torch.distributions.Normal(mean, scale).log_prob(x)
        return log_p.sum(-1), kl.sum(-1)


def as_float(t):
    return t.to(torch.float32).to(torch.float64)


def numbers(t):
    t = t.detach()
    return dict(shape=list(t.shape), values=t.reshape(-1).tolist())


def run(case, seed):
    torch.manual_seed(seed)
    model = Vae(case)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(as_float(torch.round(p * 2 ** 14) / 2 ** 14))
    if model.bernoulli:  # half of them grey
        data = torch.rand(DATA, OBSERVED)
        data = torch.where(torch.rand(DATA, OBSERVED) < 0.5, torch.round(data), data)
    else:
        data = torch.randn(DATA, 2) @ torch.randn(2, OBSERVED) + 0.3 * torch.randn(DATA, OBSERVED)
    data = as_float(torch.round(data * 2 ** 8) / 2 ** 8)
    noise = as_float(torch.round(torch.randn(STEPS, BATCH, LATENT) * 2 ** 12) / 2 ** 12)

    result = {k: v for k, v in case.items()}
    result |= dict(observed=OBSERVED, latent=LATENT, batch=BATCH, steps=STEPS, data=numbers(data),
                   noise=numbers(noise), losses=[], log_likelihoods=[], kls=[])
    result["initial"] = {n: numbers(p) for n, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(STEPS):
        rows = [(step * BATCH + i) % DATA for i in range(BATCH)]
        optimizer.zero_grad()
        log_likelihood, kl = (t.mean() for t in model.terms(data[rows], noise[step]))
        loss = -log_likelihood + case["beta"] * kl
        loss.backward()
        if step == 0:
            result["gradients"] = {n: numbers(p.grad) for n, p in model.named_parameters()}
        optimizer.step()
        result["losses"].append(loss.item())
        result["log_likelihoods"].append(log_likelihood.item())
        result["kls"].append(kl.item())
    result["final"] = {n: numbers(p) for n, p in model.named_parameters()}
    return result


golden = dict(written_by="tests/golden/make_vae_parity.py", torch=torch.__version__,
              adam=dict(rate=1e-3, betas=[0.9, 0.999], epsilon=1e-8),
              cases=[run(case, seed) for seed, case in enumerate(CASES)])
path = pathlib.Path(__file__).with_name("vae_parity.json")
path.write_text(json.dumps(golden, indent=None, separators=(",", ":")).replace(
    '{"name"', '\n{"name"').replace('"initial"', '\n"initial"').replace(
    '"gradients"', '\n"gradients"').replace('"final"', '\n"final"') + "\n")
print(path, path.stat().st_size, "bytes")
for case in golden["cases"]:
    print(f"  {case['name']:42s} loss {case['losses'][0]:.6f} -> {case['losses'][-1]:.6f}")
