"""Mirrors `batch_pipeline`, file by file."""
