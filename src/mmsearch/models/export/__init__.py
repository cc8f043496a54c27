"""Export torch modules to ONNX files in fp32 and int8."""
