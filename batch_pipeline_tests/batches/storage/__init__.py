"""Mirrors `batch_pipeline.batches.storage`."""
