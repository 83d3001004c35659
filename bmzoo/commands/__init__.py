"""bmzoo's own commands inside steps, one module each: `python -m bmzoo.commands NAME ARGS...`

A command reads and writes files of the folder that it runs in, and nothing else. `registry` lists them.
"""
