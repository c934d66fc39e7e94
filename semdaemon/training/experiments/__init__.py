"""The paper's three settings and our recipe, step by step, as experiments that one command repeats."""
