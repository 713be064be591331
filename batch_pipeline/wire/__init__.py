"""The providers' objects as types: batches, files, request and output lines, replies, errors.

Field names and values are those of OpenAI's OpenAPI document (2026-08-21) and of what its servers were seen to answer.
"""
