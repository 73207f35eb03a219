"""The benchmark of training steps: what its arms have in common does not change what each of them is."""

import importlib.util
import sys
from pathlib import Path

import tiny
import torch

SOURCE = Path(__file__).resolve().parent.parent / "benchmarks" / "train_throughput.py"
spec = importlib.util.spec_from_file_location("train_throughput", SOURCE)
throughput = sys.modules["train_throughput"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(throughput)


def test_each_arm_is_compiled_for_its_own_layout(monkeypatch):
    compile_it, sizes = torch.compile, []

    def noted(graph, inputs):
        sizes.append([size for x in inputs for size in getattr(x, "shape", (x,))])
        return graph.forward

    def small():
        model = tiny.make_model(tiny.CONFIG)
        return model, model

    monkeypatch.setattr(
        torch, "compile", lambda network, **options: compile_it(network, backend=noted, **options)
    )
    torch.compiler.reset()
    for channels_last in (False, True):
        arm = throughput.Arm("ours", small, channels_last=channels_last, compile=True)
        throughput.Bench(arm, torch.device("cpu"), 2).step()
    assert sizes and all(isinstance(size, int) for inputs in sizes for size in inputs)
