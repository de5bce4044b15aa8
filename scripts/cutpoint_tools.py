"""What scripts share: the program, a server of it, models in ONNX Runtime, and how outputs differ."""

import contextlib
import pathlib
import subprocess
import sys
import tempfile

PATIENCE_S = 60


def said(*command):
    """What a command prints; what it says on standard error only if it fails."""
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{ended.stderr}")
    return ended.stdout


def model_arguments(argument):
    """MODEL[:NAME=SHAPE;...] as the arguments of a subcommand."""
    path, _, shapes = argument.partition(":")
    return [path, *(word for shape in shapes.split(";") if shape for word in ("--shape", shape))]


@contextlib.contextmanager
def serving(program, *arguments):
    """The address of a server on loopback, which is stopped behind the block."""
    command = [str(program), "serve", *map(str, arguments), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            yield server.stdout.readline().strip() or sys.exit(f"{' '.join(command)} does not listen")
        finally:
            server.terminate()
        if server.wait(PATIENCE_S) != 0:
            sys.exit(f"{' '.join(command)} ended with {server.returncode} when it was told to stop")


@contextlib.contextmanager
def scratch_folder():
    with tempfile.TemporaryDirectory(prefix="cutpoint-") as folder:
        yield pathlib.Path(folder)


def onnx_session(model, is_basic=False, threads=1):
    """A model, as a file or its bytes, in ONNX Runtime; at its basic optimisation level only if asked for."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if is_basic:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    model = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def outputs_of(session, inputs):
    """The outputs of a model by name; `inputs` may hold more than it reads."""
    names = [output.name for output in session.get_outputs()]
    feeds = {port.name: inputs[port.name] for port in session.get_inputs()}
    return dict(zip(names, session.run(names, feeds)))


def random_inputs(session, seed):
    """Numbers from 0 to 1 for every input; open dimensions are 1."""
    import numpy

    random = numpy.random.default_rng(seed)
    shapes = {port.name: [size if isinstance(size, int) else 1 for size in port.shape] for port in session.get_inputs()}
    return {name: random.random(shape, dtype=numpy.float32) for name, shape in shapes.items()}


def difference(found, expected):
    """The largest absolute difference over the largest absolute value expected."""
    import numpy

    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    found, expected = found.astype(numpy.float64), expected.astype(numpy.float64)
    if not numpy.array_equal(numpy.isnan(found), numpy.isnan(expected)):
        return float("inf")
    scale = numpy.nanmax(numpy.abs(expected), initial=0.0)
    return float(numpy.nanmax(numpy.abs(found - expected), initial=0.0) / (scale if scale > 0 else 1.0))
