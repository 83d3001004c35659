"""bmzoo's own commands inside steps, each a function of the step's folder: `python -m bmzoo.steps NAME ARGS...`"""
