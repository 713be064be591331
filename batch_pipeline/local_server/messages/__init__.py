"""Anthropic's Message Batches beside OpenAI's, over the same engines, store, faults and books.

A batch of messages lives as any other does (`lifecycle.py`), under the endpoint `/v1/messages`: its requests come in
the body of its create instead of a file, and are not validated before they are executed; it is shown in Anthropic's
words, and its rows are published as one file of results. Engines are asked in OpenAI's words.
"""
