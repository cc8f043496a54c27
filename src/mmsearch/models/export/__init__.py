"""Torch modules as ONNX files, in fp32 and int8."""
