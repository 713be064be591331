"""The command `batch-pipeline`: one file per group of verbs."""
