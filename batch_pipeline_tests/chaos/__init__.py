"""Processes that are killed and stopped wherever it hurts, until a job is done; then the server's books are compared.

A *trial* is one job in one *world* (`worlds.py`): rounds of two worker processes (`worker.py`), each ordered to be
struck at a named point of the code or at any, and a last one that is left alone. `judge.py` compares what the server
executed with the ledger and the warehouse. A *lane* runs trials one after the other against a server of its own;
`python -m batch_pipeline_tests.chaos` runs some side by side and prints the figures.
"""
