"""A Batch API on this machine: OpenAI's wire, three engines."""
