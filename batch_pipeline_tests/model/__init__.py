"""Executable models of what must never happen twice: creating a batch, and buying a fingerprint.

`explorer.py` tries every interleaving. The create protocol is `protocol.py` (what a process does, each step named after
the function that does it in `batch_pipeline/batches/`), `world.py` (what may happen to it), `rules.py` (what holds, and
what may be left out); `fingerprints.py` is the model of planning and collecting. `python -m batch_pipeline_tests.model`
explores all variants and prints their figures.
"""
