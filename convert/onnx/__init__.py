"""Checkpoint -> ONNX. The exporter runs in a Python environment of its own, as a child process of the job."""
