"""Answers to `import sophon.sail` in programs that somebody else starts.

    PYTHONPATH=$(python -m bmzoo.sail --hook) streamlit run app.py

A sophon.sail that is installed is used instead, unless $BMZOO_SAIL_SHADOW is 1.
"""

import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[4])
sys.path.insert(0, _ROOT)  # the bmzoo that this file belongs to, not another one
try:
    from bmzoo.sail import standing_in
finally:
    sys.path.remove(_ROOT)  # what lies beside it is not the program's

standing_in.answer(__name__)
