#!/usr/bin/env python3
"""Times PyTorch and Elbo at the same training steps, in turn, on one device.

    compare_pytorch.py --bench-step build/release/bench/bench_step --out DIR
                       [--device cuda|cpu] [--precision tf32] [--case 1,2,3] [--rounds 5]

Writes DIR/pytorch.json after every case. The same model, batch, precision, data (bytes, on the
device, gathered and converted within the step) and optimiser (fused Adam) on both sides. PyTorch
comes in up to three flavours:

    eager     as it is written
    compiled  torch.compile; on a GPU with mode "reduce-overhead"
    graph     on a GPU: forward, backward and the update of the compiled model, captured by hand as
              one CUDA graph. This is the one to beat.

Where PyTorch or the GPU is missing it says so, writes that, and exits with 0.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

# The cases of training.cpp, by the same numbers.
CASES = {
    1: dict(hidden=[400], latent=20, activation="relu", batch=128),
    2: dict(hidden=[400], latent=20, activation="relu", batch=4096),
    3: dict(hidden=[200, 200], latent=50, activation="tanh", batch=20),
}
OBSERVED, ROWS = 784, 61440


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bench-step", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--precision", default="tf32", choices=["fp32", "tf32", "bf16"])
    parser.add_argument("--case", default="1,2,3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=0, help="per round; 0: as many as fill it")
    parser.add_argument("--commit", default="")
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


class Flavours:
    """One model and its training step, in each way that PyTorch can run it."""

    def __init__(self, case, device, precision):
        import torch
        from torch import nn
        self.torch, self.device, self.precision = torch, device, precision
        self.batch = case["batch"]
        generator = torch.Generator().manual_seed(1)
        data = torch.randint(0, 256, (ROWS, OBSERVED), dtype=torch.uint8, generator=generator)
        data = data.to(device)
        self.order = torch.randperm(ROWS, generator=generator).to(device)

        def chain(widths, last):
            activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[case["activation"]]
            layers = []
            for i, o in zip(widths, widths[1:]):
                layers += [nn.Linear(i, o), activation()]
            return nn.Sequential(*layers, nn.Linear(widths[-1], last))

        class Vae(nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder = chain([OBSERVED, *case["hidden"]], 2 * case["latent"])
                self.decoder = chain([case["latent"], *case["hidden"][::-1]], OBSERVED)
                # A buffer, so that "reduce-overhead" does not copy the data at every step.
                self.register_buffer("data", data, persistent=False)

            def forward(self, rows):
                x = self.data[rows].float() * (1 / 255)
                mean, log_variance = self.encoder(x).chunk(2, dim=1)
                mean, log_variance = mean.float(), log_variance.float()
                z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
                logits = self.decoder(z).float()
                reconstruction = nn.functional.binary_cross_entropy_with_logits(
                    logits, x, reduction="sum")
                kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2
                return (reconstruction + kl) / x.shape[0]

        self.make = lambda: Vae().to(device)

    def optimizer(self, model, capturable=False):
        Adam = self.torch.optim.Adam
        if self.device == "cuda":
            return Adam(model.parameters(), lr=1e-3, fused=True, capturable=capturable)
        try:
            return Adam(model.parameters(), lr=1e-3, fused=True)
        except (RuntimeError, TypeError):  # before 2.4 only GPUs had it
            return Adam(model.parameters(), lr=1e-3)

    def loss(self, function, rows):
        if self.precision == "bf16":
            with self.torch.autocast(self.device, dtype=self.torch.bfloat16):
                return function(rows)
        return function(rows)

    def stepper(self, function, model, begin=lambda: None):
        """Runs a step after another; the rows are taken from the order on the host's side."""
        optimizer, place = self.optimizer(model), 0

        def step():
            nonlocal place
            begin()
            rows = self.order[place:place + self.batch]
            place = (place + self.batch) % ROWS
            loss = self.loss(function, rows)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return loss

        return step

    def eager(self):
        model = self.make()
        return self.stepper(model, model)

    def compiled(self):
        torch, model = self.torch, self.make()
        if not hasattr(torch, "compile"):
            raise RuntimeError(f"PyTorch {torch.__version__} has no torch.compile")
        if self.device == "cpu":
            return self.stepper(torch.compile(model), model)
        return self.stepper(torch.compile(model, mode="reduce-overhead"), model,
                            torch.compiler.cudagraph_mark_step_begin)

    def graph(self):
        """The place in the order lies in device memory, so that a replay moves it on."""
        torch, model = self.torch, self.make()
        optimizer = self.optimizer(model, capturable=True)
        place = torch.zeros((), dtype=torch.long, device=self.device)
        offsets = torch.arange(self.batch, device=self.device)
        function = torch.compile(lambda start: model(self.order[start + offsets]))
        move_on = torch.compile(lambda start: start.add_(self.batch).remainder_(ROWS))

        def body():
            loss = self.loss(function, place)
            loss.backward()
            optimizer.step()
            move_on(place)
            return loss

        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(5):
                optimizer.zero_grad(set_to_none=True)
                body()
        torch.cuda.current_stream().wait_stream(side)
        optimizer.zero_grad(set_to_none=True)
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            loss = body()

        def step():
            recorded.replay()
            return loss

        return step


def wait(torch, device):
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_a_step(torch, device, step, steps):
    wait(torch, device)
    start = time.perf_counter()
    for _ in range(steps):
        step()
    wait(torch, device)
    return (time.perf_counter() - start) / steps


def ours(options, case):
    """Seconds a step of Elbo, by a process of its own, as one would train."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "step.json"
        command = [options.bench_step, "--case", str(case), "--device", options.device,
                   "--precision", options.precision, "--repeats", "3", "--json", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError((done.stderr or done.stdout).strip()[-500:])
        measured = json.loads(file.read_text())["cases"][0]
        return statistics.median(measured["seconds"])


def product_rate(torch, device, precision):
    """FLOP/s of PyTorch's own large product: how near any product can come to the device."""
    size = 8192 if device == "cuda" else 2048
    kind = torch.bfloat16 if precision == "bf16" and device == "cuda" else torch.float32
    a, b = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
    for _ in range(3):
        torch.mm(a, b)
    times = [seconds_a_step(torch, device, lambda: torch.mm(a, b), 5) for _ in range(5)]
    return 2 * size ** 3 / statistics.median(times)


def compare(torch, options, number):
    flavours = Flavours(CASES[number], options.device, options.precision)
    result = {"case": number, "batch": CASES[number]["batch"], "seconds": {}, "errors": {}}
    steps, counts = {}, {}
    for name in ["eager", "compiled"] + (["graph"] if options.device == "cuda" else []):
        try:
            step = getattr(flavours, name)()
            first = float(step().detach())
            # Every one trains before it is timed; what does not learn is not compared.
            for _ in range(60 if options.device == "cuda" else 10):
                loss = step()
            last = float(loss.detach())
            if not last < first:
                raise RuntimeError(f"the loss went from {first} to {last}")
            one = seconds_a_step(torch, options.device, step, 10)
            least = 200 if options.device == "cuda" else 3
            steps[name] = step
            counts[name] = options.steps or max(least, min(20000, int(0.3 / one)))
        except Exception as error:  # one flavour that fails leaves the others
            result["errors"][name] = f"{type(error).__name__}: {error}"[-500:]
    times = {name: [] for name in ["elbo", *steps]}
    for _ in range(options.rounds):  # in turn: what slows the machine slows all of them
        try:
            times["elbo"].append(ours(options, number))
        except Exception as error:
            result["errors"]["elbo"] = str(error)
        for name, step in steps.items():
            times[name].append(seconds_a_step(torch, options.device, step, counts[name]))
    result["seconds"] = times
    result["steps_a_round"] = counts
    result["median_us"] = {n: statistics.median(t) * 1e6 for n, t in times.items() if t}
    if "elbo" in result["median_us"]:
        mine = result["median_us"]["elbo"]
        result["times_faster_than"] = {
            n: t / mine for n, t in result["median_us"].items() if n != "elbo"}
    return result


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "pytorch.json"
    reason = missing(options.device)
    if reason:
        print(f"skipped: {reason}")
        file.write_text(json.dumps({"skipped": reason}) + "\n")
        return 0
    import torch
    torch.manual_seed(0)
    if options.device == "cpu":
        torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.set_float32_matmul_precision("highest" if options.precision == "fp32" else "high")
    result = {
        "torch": torch.__version__, "python": sys.version.split()[0], "commit": options.commit,
        "device": torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        "threads": torch.get_num_threads(), "precision":
            options.precision if options.device == "cuda" else "fp32",
        "product_flops": product_rate(torch, options.device, options.precision), "cases": []}
    for number in map(int, options.case.split(",")):
        case = compare(torch, options, number)
        result["cases"].append(case)
        file.write_text(json.dumps(result, indent=1) + "\n")
        line = ", ".join(f"{n} {t:.1f}" for n, t in case["median_us"].items())
        print(f"case {number}, batch {case['batch']}, us a step: {line}", flush=True)
        for name, error in case["errors"].items():
            print(f"  {name} failed: {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
