#!/usr/bin/env python3
"""Writes layers.json: batch norm, layer norm and softmax rates by PyTorch in float64.

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch
    /tmp/torch/bin/python tests/golden/make_layers.py

Inputs are numbers that a float holds exactly. The loss of a step is the mean over rows of
½ Σ (y - target)², y = activation(norm(x)).
"""
import json, pathlib
import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

ACTIVATION = dict(identity=nn.Identity, relu=nn.ReLU, silu=nn.SiLU)


def some(*shape, shift=0.0, scale=1.0):
    return torch.round((shift + scale * torch.randn(*shape)) * 2 ** 8) / 2 ** 8


def numbers(t):
    t = t.detach()
    return dict(shape=list(t.shape), values=t.reshape(-1).tolist())


def step(norm, activation, x, target):
    norm.zero_grad()
    x = x.clone().requires_grad_()
    y = activation(norm(x))
    loss = ((y - target) ** 2).sum(-1).mean() / 2
    loss.backward()
    return dict(x=numbers(x), target=numbers(target), y=numbers(y), dx=numbers(x.grad),
                dweight=numbers(norm.weight.grad), dbias=numbers(norm.bias.grad))


def batch_norm(seed, rows, columns, activation, **options):
    torch.manual_seed(seed)
    norm, f = nn.BatchNorm1d(columns, **options), ACTIVATION[activation]()
    with torch.no_grad():
        norm.weight.copy_(some(columns)), norm.bias.copy_(some(columns))
    case = dict(activation=activation, weight=numbers(norm.weight), bias=numbers(norm.bias),
                steps=[], **options)
    shift, scale = some(columns, scale=3), torch.rand(columns) + 0.5
    for _ in range(2):
        case["steps"].append(step(norm, f, some(rows, columns, shift=shift, scale=scale),
                                  some(rows, columns)))
        case["steps"][-1] |= dict(running_mean=numbers(norm.running_mean),
                                  running_var=numbers(norm.running_var))
    norm.eval()
    case["evaluation"] = step(norm, f, some(rows, columns), some(rows, columns))
    return case


def layer_norm(seed, rows, columns, activation, **options):
    torch.manual_seed(seed)
    norm, f = nn.LayerNorm(columns, **options), ACTIVATION[activation]()
    with torch.no_grad():
        norm.weight.copy_(some(columns)), norm.bias.copy_(some(columns))
    case = dict(activation=activation, weight=numbers(norm.weight), bias=numbers(norm.bias),
                **options)
    return case | step(norm, f, some(rows, columns, shift=2, scale=1.5), some(rows, columns))


def rates(seed, rows, scalars):
    torch.manual_seed(seed)
    a, size, target = some(rows, scalars, scale=4), some(rows, 1, shift=7), some(rows, scalars)
    a.requires_grad_()
    y = torch.log_softmax(a, -1) + size
    (((y - target) ** 2).sum(-1).mean() / 2).backward()
    return dict(a=numbers(a), log_library=numbers(size), target=numbers(target), y=numbers(y),
                da=numbers(a.grad))


golden = dict(written_by="tests/golden/make_layers.py", torch=torch.__version__,
              batch_norm=[batch_norm(1, 8, 5, "identity", eps=1e-5, momentum=0.1),
                          batch_norm(2, 7, 3, "relu", eps=1e-3, momentum=0.01),
                          batch_norm(3, 2, 4, "silu", eps=1e-3, momentum=0.01)],
              layer_norm=[layer_norm(4, 3, 7, "identity", eps=1e-5),
                          layer_norm(5, 2, 10, "silu", eps=1e-3)],
              rates=[rates(6, 3, 6)])
path = pathlib.Path(__file__).with_name("layers.json")
path.write_text(json.dumps(golden, separators=(",", ":")).replace('{"activation"', '\n{"activation"')
                + "\n")
print(path, path.stat().st_size, "bytes")
