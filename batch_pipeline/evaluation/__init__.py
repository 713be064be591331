"""Gold answers beside records: scores of models and prompts, and two of them side by side."""
