#!/usr/bin/env python3
"""Times PyTorch, and Elbo beside it, at the same training steps on one device.

    compare_pytorch.py --out DIR [--elbo build/release/elbo] [--device cuda|cpu] [--case 1,3]

Writes DIR/pytorch.json after every flavour, so that what is cut off leaves the rest. The cases are
those of `elbo bench` (its --help lists them): the same model, batch, data (made alike, bytes on the
device, gathered and converted within the step; of case 9 Elbo keeps lists of counts), precision
(fp32: "highest"; tf32: "high"; bf16: autocast) and optimiser (Adam, fused). PyTorch comes in up to
three flavours:

    eager     as it is written
    compiled  torch.compile; on a GPU with mode "reduce-overhead"
    graph     on a GPU: forward, backward and the update of the compiled model, 16 steps captured
              by hand as one CUDA graph. This is the one to beat.

Elbo runs before and after each of them, and a ratio is of the flavour's median to that of these two
runs. A flavour that has another number of parameters than Elbo, or starts from another loss, is not
compared. Where PyTorch or the GPU is missing it says so, writes that, and exits with 0.
"""
import argparse
import gc
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# The cases of bench/cases.cpp, by the same numbers.
DIGITS = dict(model="vae", observed=784, rows=61440, precision="tf32", likelihood="bernoulli")
DEEP = dict(DIGITS, hidden=[200, 200], latent=50, activation="tanh", batch=20)
CELLS = dict(model="vae", hidden=[128], latent=10, activation="relu", precision="tf32", rows=40960)
CASES = {
    1: dict(DIGITS, hidden=[400], latent=20, activation="relu", batch=128),
    2: dict(DIGITS, hidden=[400], latent=20, activation="relu", batch=4096),
    3: DEEP,
    4: dict(DEEP, samples=50),
    5: dict(CELLS, observed=2000, likelihood="nb", batch=128),
    6: dict(CELLS, observed=2000, likelihood="zinb", batch=4096),
    7: dict(CELLS, observed=20000, likelihood="nb", batch=128, rows=8192),
    8: dict(model="ae", observed=4096, hidden=[4096, 4096], latent=256, activation="relu",
            likelihood="gaussian", batch=8192, rows=32768, precision="bf16"),
    9: dict(CELLS, observed=2000, likelihood="nb", batch=128, epoch=True),
}
STEPS_A_GRAPH = 16  # as Elbo's (runtime/step.h)
FLAVOURS = ["graph", "compiled", "eager"]  # in this order: what matters most is not cut off


def arguments():
    def numbers(text):
        chosen = [int(word) for word in text.split(",")]
        unknown = [n for n in chosen if n not in CASES]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"there is no case {unknown[0]}; there are 1 to {len(CASES)}")
        return chosen

    def whole(least):
        def check(text):
            if int(text) < least:
                raise argparse.ArgumentTypeError(f"{text} is less than {least}")
            return int(text)
        return check

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the result")
    parser.add_argument("--elbo", help="the program `elbo`, to run beside PyTorch")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "tf32", "bf16"],
                        help="auto: the case's own; the cpu computes in fp32")
    parser.add_argument("--case", default=[1, 2, 3, 4, 5, 6, 7, 8], type=numbers,
                        help="numbers with commas between them [1,2,3,4,5,6,7,8]")
    parser.add_argument("--repeats", type=whole(0), default=0,
                        help="timings; 0: 7, and 3 of an epoch")
    parser.add_argument("--steps", type=whole(0), default=0,
                        help="of each timing; 0: chosen, on a GPU 150 or more")
    parser.add_argument("--batch", type=whole(0), default=0,
                        help="data a step; 0: the case's own")
    parser.add_argument("--cells", type=whole(1), default=1000000, help="data of case 9")
    parser.add_argument("--note", default="", help="a text that the result carries")
    return parser.parse_args()


def missing(device):
    """Why there is nothing to compare, or None."""
    try:
        import torch
    except Exception as error:  # a broken installation raises more than ImportError
        return f"{sys.executable} has no PyTorch ({error})"
    if device == "cuda" and not torch.cuda.is_available():
        return f"PyTorch {torch.__version__} sees no GPU"
    return None


def synthetic(torch, case, device):
    """The data of bench/synthetic.h as bytes [rows, columns]."""
    def shift(x, n):  # of 64 bits without a sign
        return (x >> n) & ((1 << (64 - n)) - 1)

    def scatter(x):
        x = (x ^ shift(x, 30)) * (0xbf58476d1ce4e5b9 - 2 ** 64)
        x = (x ^ shift(x, 27)) * (0x94d049bb133111eb - 2 ** 64)
        return x ^ shift(x, 31)

    rows, columns = case["rows"], case["observed"]
    data = torch.empty(rows, columns, dtype=torch.uint8, device=device)
    column = torch.arange(columns, device=device)
    limit = ((1 << 24) // 5) * (2 * column + 1) // (2 * columns)
    each = max(1, (1 << 24) // columns)
    for first in range(0, rows, each):
        row = torch.arange(first, min(rows, first + each), device=device)
        word = shift(scatter(row[:, None] * columns + column + 1), 40)
        if case["likelihood"] in ("nb", "zinb"):
            count = torch.zeros_like(word)
            for k in range(16):
                count += word < limit >> k
        else:
            count = word * (column + 1) // columns >> 16
        data[first:first + each] = count.to(torch.uint8)
    return data


def log_nb(torch, x, mu, theta, eps=1e-8):
    """As scvi-tools writes it (scvi.distributions, log_nb_positive)."""
    log_theta_mu = torch.log(theta + mu + eps)
    return (theta * (torch.log(theta + eps) - log_theta_mu)
            + x * (torch.log(mu + eps) - log_theta_mu)
            + torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1))


def log_zinb(torch, x, mu, theta, pi, eps=1e-8):
    """As scvi-tools writes it (log_zinb_positive); pi are logits."""
    softplus = torch.nn.functional.softplus
    softplus_pi, log_theta, log_theta_mu = (
        softplus(-pi), torch.log(theta + eps), torch.log(theta + mu + eps))
    pi_theta_log = -pi + theta * (log_theta - log_theta_mu)
    of_zero = softplus(pi_theta_log) - softplus_pi
    of_others = (-softplus_pi + pi_theta_log + x * (torch.log(mu + eps) - log_theta_mu)
                 + torch.lgamma(x + theta) - torch.lgamma(theta) - torch.lgamma(x + 1))
    return (x < eps).float() * of_zero + (x > eps).float() * of_others


def make_model(torch, case, data):
    """A module that maps row numbers to the mean loss of those data, in nats."""
    from torch import nn
    counts = case["likelihood"] in ("nb", "zinb")
    heads = {"zinb": 2}.get(case["likelihood"], 1)
    observed, latent, samples = case["observed"], case["latent"], case.get("samples", 1)
    variational = case["model"] == "vae"

    def chain(widths, last, dropout):
        layers = []
        for i, o in zip(widths, widths[1:]):
            layers.append(nn.Linear(i, o))
            if counts:
                layers.append(nn.BatchNorm1d(o, eps=1e-3, momentum=0.01))
            layers.append({"relu": nn.ReLU, "tanh": nn.Tanh}[case["activation"]]())
            if dropout:
                layers.append(nn.Dropout(dropout))
        return nn.Sequential(*layers, nn.Linear(widths[-1], last))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = chain([observed, *case["hidden"]], latent * (2 if variational else 1),
                                 0.1 if counts else 0)
            self.decoder = chain([latent, *case["hidden"][::-1]], observed * heads, 0)
            if counts:
                self.log_theta = nn.Parameter(torch.zeros(observed))
            # A buffer, so that "reduce-overhead" does not copy the data at every step.
            self.register_buffer("data", data, persistent=False)

        def log_likelihood(self, x, out):
            """x [B,C] or, of several draws, [B,1,C]; out [...,K·C]."""
            if case["likelihood"] == "bernoulli":
                return -nn.functional.binary_cross_entropy_with_logits(
                    out, x.expand_as(out), reduction="none").sum(-1)
            if case["likelihood"] == "gaussian":
                return -((out - x).square() + math.log(2 * math.pi)).sum(-1) / 2
            theta, library = self.log_theta.exp(), x.sum(-1, keepdim=True)
            scale, *zeros = out.chunk(heads, dim=-1)
            mu = library * torch.softmax(scale, dim=-1)
            if zeros:
                return log_zinb(torch, x, mu, theta, zeros[0]).sum(-1)
            return log_nb(torch, x, mu, theta).sum(-1)

        def forward(self, rows):
            x = self.data[rows].float()
            if not counts:
                x = x * (1 / 255)
            code = self.encoder(torch.log1p(x) if counts else x)
            if not variational:
                return -self.log_likelihood(x, self.decoder(code).float()).mean()
            mean, log_variance = code.float().chunk(2, dim=1)
            if samples == 1:
                z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
                kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
                return (kl - self.log_likelihood(x, self.decoder(z).float())).mean()
            noise = torch.randn(x.shape[0], samples, latent, device=x.device)
            z = mean[:, None] + torch.exp(log_variance / 2)[:, None] * noise
            log_ratio = (noise.square() + log_variance[:, None] - z.square()).sum(-1) / 2
            log_weight = log_ratio + self.log_likelihood(x[:, None], self.decoder(z).float())
            return -(torch.logsumexp(log_weight, dim=1) - math.log(samples)).mean()

    return Model()


class Flavours:
    """A case and its training step, in each way that PyTorch can run it."""

    def __init__(self, torch, case, device):
        self.torch, self.case, self.device, self.batch = torch, case, device, case["batch"]
        self.taken = case["rows"] // self.batch * self.batch  # of each pass
        self.data = synthetic(torch, case, device)
        self.order = torch.randperm(case["rows"], device=device)
        self.place = 0  # in the order, on the host
        self.start = torch.zeros((), dtype=torch.long, device=device)  # and on the device
        self.parameters = 0

    def new_epoch(self):
        self.order.copy_(self.torch.randperm(self.case["rows"], device=self.device))
        self.place = 0
        self.start.zero_()

    def model(self):
        model = make_model(self.torch, self.case, self.data).to(self.device)
        self.parameters = sum(p.numel() for p in model.parameters())
        return model

    def optimizer(self, model, capturable=False):
        Adam = self.torch.optim.Adam
        if self.device == "cuda":
            return Adam(model.parameters(), lr=1e-3, fused=True, capturable=capturable)
        try:
            return Adam(model.parameters(), lr=1e-3, fused=True)
        except (RuntimeError, TypeError):  # before 2.4 only GPUs had it
            return Adam(model.parameters(), lr=1e-3)

    def loss(self, function, rows):
        if self.case["precision"] == "bf16":
            with self.torch.autocast(self.device, dtype=self.torch.bfloat16):
                return function(rows)
        return function(rows)

    def stepper(self, function, model, begin=lambda: None):
        """Runs a step after another; the rows are taken from the order on the host's side."""
        optimizer = self.optimizer(model)

        def step():
            optimizer.zero_grad(set_to_none=True)
            begin()
            rows = self.order[self.place:self.place + self.batch]
            self.place = (self.place + self.batch) % self.taken
            loss = self.loss(function, rows)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def eager(self):
        model = self.model()
        return self.stepper(model, model)

    def compiled(self):
        torch, model = self.torch, self.model()
        if not hasattr(torch, "compile"):
            raise RuntimeError(f"PyTorch {torch.__version__} has no torch.compile")
        if self.device == "cpu":
            return self.stepper(torch.compile(model), model)
        return self.stepper(torch.compile(model, mode="reduce-overhead"), model,
                            torch.compiler.cudagraph_mark_step_begin)

    def graph(self):
        """The place in the order lies in device memory, so that a replay moves it on."""
        torch, model = self.torch, self.model()
        optimizer = self.optimizer(model, capturable=True)
        offsets = torch.arange(self.batch, device=self.device)
        function = torch.compile(lambda start: model(self.order[start + offsets]))
        move_on = torch.compile(lambda start: start.add_(self.batch).remainder_(self.taken))

        def body():
            loss = self.loss(function, self.start)
            loss.backward()
            optimizer.step()
            move_on(self.start)
            return loss

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for i in range(5):
                optimizer.zero_grad(set_to_none=True)
                loss = body()
                if i == 0:
                    self.first_loss = float(loss.detach())
        torch.cuda.current_stream().wait_stream(side)
        optimizer.zero_grad(set_to_none=True)
        recorded = torch.cuda.CUDAGraph()
        # On the stream of the warm-up, to which its gradients' nodes are tied while its loss lives.
        with torch.cuda.graph(recorded, stream=side):
            for _ in range(STEPS_A_GRAPH):
                optimizer.zero_grad(set_to_none=True)
                loss = body()

        def step():
            recorded.replay()
            return loss

        step.steps = STEPS_A_GRAPH
        return step


def wait(torch, device):
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_a_step(torch, device, step, steps, begin=lambda: None):
    wait(torch, device)
    start = time.perf_counter()
    begin()
    each = getattr(step, "steps", 1)
    calls = -(-steps // each)
    for _ in range(calls):
        step()
    wait(torch, device)
    return (time.perf_counter() - start) / (calls * each)


def elbo_run(options, number, precision):
    """The case as `elbo bench` has it, by a process of its own, as one would train."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "bench.json"
        command = [options.elbo, "bench", "--case", str(number), "--device", options.device,
                   "--precision", precision, "--repeats", str(options.repeats), "--steps",
                   str(options.steps), "--batch", str(options.batch), "--cells",
                   str(options.cells), "--json", str(file)]
        done = subprocess.run(command, capture_output=True, text=True,
                              timeout=60 if options.device == "cuda" else 300)
        if done.returncode != 0:
            raise RuntimeError((done.stderr or done.stdout).strip()[-500:])
        return json.loads(file.read_text())["cases"][0]


def product_rate(torch, device, precision):
    """FLOP/s of PyTorch's own large product: how near any product can come to the device."""
    size = 8192 if device == "cuda" else 2048
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    for _ in range(3):
        torch.mm(a, b)
    times = [seconds_a_step(torch, device, lambda: torch.mm(a, b), 5) for _ in range(5)]
    return 2 * size ** 3 / statistics.median(times)


def time_flavour(torch, options, case, flavours, name):
    """A dictionary of one flavour, after it has shown that it learns."""
    flavours.first_loss = None
    flavours.new_epoch()
    began = time.perf_counter()
    step = getattr(flavours, name)()
    first = flavours.first_loss if flavours.first_loss is not None else float(step().detach())
    result = {"parameters": flavours.parameters, "loss_first": first,
              "seconds_to_first_step": time.perf_counter() - began}
    for _ in range(60 if options.device == "cuda" else 20):
        loss = step()
    last = float(loss.detach())
    if not last < first:
        raise RuntimeError(f"the loss went from {first} to {last}")
    on_gpu = options.device == "cuda"
    one = seconds_a_step(torch, options.device, step, 20 if on_gpu else 3)
    steps = options.steps or max(150 if on_gpu else 1, min(20000, int(0.2 / one)))
    repeats, begin = options.repeats or 7, lambda: None
    if case.get("epoch"):
        repeats, steps, begin = (options.repeats or 3, case["rows"] // case["batch"],
                                 flavours.new_epoch)
    times = [seconds_a_step(torch, options.device, step, steps, begin) for _ in range(repeats)]
    return dict(result, steps_each=steps, seconds=times,
                median_us=statistics.median(times) * 1e6, loss=float(step().detach()))


def compare(torch, options, number, record):
    """Appends the case to the record's and writes it after every flavour."""
    case = dict(CASES[number])
    case["batch"] = options.batch or case["batch"]
    if options.device == "cpu":
        case["precision"] = "fp32"
    elif options.precision != "auto":
        case["precision"] = options.precision
    if case.get("epoch"):
        case["rows"] = options.cells
    precision = case["precision"]
    torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    rates = record["result"]["product_flops"]
    if precision not in rates:
        rates[precision] = product_rate(torch, options.device, precision)
    result = {"case": number, "batch": case["batch"], "precision": precision, "elbo": [],
              "flavours": {}, "ratios": {}, "errors": {}}
    record["result"]["cases"].append(result)

    def run_elbo():
        if options.elbo and "elbo" not in result["errors"]:  # what hung once may hang again
            try:
                result["elbo"].append(elbo_run(options, number, precision))
            except Exception as error:
                result["errors"]["elbo"] = f"{type(error).__name__}: {error}"[-500:]
            record["write"]()

    flavours = Flavours(torch, case, options.device)
    run_elbo()
    for name in FLAVOURS if options.device == "cuda" else FLAVOURS[1:]:
        before = result["elbo"][-1:]
        try:
            timed = time_flavour(torch, options, case, flavours, name)
            for mine in before:
                for key, most_apart in [("parameters", 0), ("loss_first", 0.05)]:
                    if abs(timed[key] - mine[key]) > most_apart * abs(mine[key]):
                        raise RuntimeError(f"another training: {key} is {timed[key]}, of Elbo "
                                           f"{mine[key]}")
            result["flavours"][name] = timed
        except Exception as error:  # one flavour that fails leaves the others
            result["errors"][name] = f"{type(error).__name__}: {error}"[-500:]
            timed = None
        torch._dynamo.reset()
        gc.collect()
        if options.device == "cuda":
            if not timed:  # a capture that fails leaves its stream current and no random numbers
                torch.cuda.set_stream(torch.cuda.default_stream())
                torch.cuda.default_generators[0].graphsafe_set_state(
                    torch.Generator("cuda").graphsafe_get_state())
            torch.cuda.empty_cache()
        run_elbo()
        beside = [s for run in before + result["elbo"][-1:] for s in run["seconds"]]
        if timed and beside:
            result["ratios"][name] = timed["median_us"] / (statistics.median(beside) * 1e6)
        record["write"]()
        said = (f"{timed['median_us']:.1f} us a step" if timed else result["errors"][name])
        ratio = f", {result['ratios'][name]:.2f} times Elbo's" if name in result["ratios"] else ""
        print(f"case {number}, batch {case['batch']}, {precision}, {name}: {said}{ratio}",
              flush=True)
    if "elbo" in result["errors"]:
        print(f"  elbo failed: {result['errors']['elbo']}", flush=True)


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "pytorch.json"

    def write(result):
        fresh = file.with_suffix(".tmp")
        fresh.write_text(json.dumps(result, indent=1) + "\n")
        fresh.replace(file)

    reason = missing(options.device)
    if reason:
        print(f"skipped: {reason}")
        write({"skipped": reason})
        return 0
    import torch
    torch.manual_seed(0)
    if options.device == "cpu":
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    result = {
        "torch": torch.__version__, "python": sys.version.split()[0], "note": options.note,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "threads": torch.get_num_threads(), "product_flops": {}, "cases": []}
    for number in options.case:
        try:
            compare(torch, options, number,
                    {"result": result, "write": lambda: write(result)})
        except Exception as error:  # a case that cannot be made leaves the others
            result["cases"][-1]["errors"]["case"] = f"{type(error).__name__}: {error}"[-500:]
            write(result)
            print(f"case {number} failed: {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
