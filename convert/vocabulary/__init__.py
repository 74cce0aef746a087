"""A checkpoint's vocabulary -> what llama.cpp reads of it, verified against llama.cpp itself; and the way back."""
