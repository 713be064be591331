"""Tries at a provider, with a real key and for less than a cent, what the protocol can only assume.

`make live` runs it; what it saw is a table for docs/operations.md. `assumptions.py` says what is assumed and what
follows where it is wrong, `trials.py` how each is tried, `findings.py` what the samples say about it. Everything that
is made at the provider is first written down (`state.py`), so that a run that was killed is gone on with.
"""
