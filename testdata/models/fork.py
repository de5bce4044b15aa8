"""Writes fork.onnx: two branches that meet, so that a cut after them has two tensors.

    x [1, 8] -> left (MatMul, Relu) -\
             -> right (MatMul, Sigmoid) -> meet (Mul) -> y (MatMul) [1, 3]
"""
import pathlib
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(7)
weights = {"w_left": (8, 6), "w_right": (8, 6), "w_out": (6, 3)}
initializers = [
    numpy_helper.from_array(random.normal(size=shape).astype(np.float32), name)
    for name, shape in weights.items()
]
nodes = [
    helper.make_node("MatMul", ["x", "w_left"], ["left_sum"], "left"),
    helper.make_node("Relu", ["left_sum"], ["left_out"], "left_relu"),
    helper.make_node("MatMul", ["x", "w_right"], ["right_sum"], "right"),
    helper.make_node("Sigmoid", ["right_sum"], ["right_out"], "right_sigmoid"),
    helper.make_node("Mul", ["left_out", "right_out"], ["met"], "meet"),
    helper.make_node("MatMul", ["met", "w_out"], ["y"], "out"),
]
graph = helper.make_graph(
    nodes,
    "fork",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    initializers,
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, pathlib.Path(__file__).with_name("fork.onnx"))
