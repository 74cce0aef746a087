"""Model conversion: checkpoint -> GGUF / ONNX / adapter, quantization with a measured report. Runs in jobs only."""
