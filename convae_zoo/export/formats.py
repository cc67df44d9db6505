"""What can be exported, and as what; imports no torch."""

FORMATS = ("onnx", "torch-export")
PARTS = ("encoder", "decoder", "all")
