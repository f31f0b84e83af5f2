"""The commands of `python -m bloodcell`: one module each, with `add_parser` and a `run` that returns the exit code.

JSON goes to standard output, alone; everything said to a person meanwhile goes to standard error. Heavy imports stand
inside `run`, so that `models` and `classify` answer at once.
"""
