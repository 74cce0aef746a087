"""llama.cpp: the one place of the house that imports llama_cpp, and only inside functions."""
