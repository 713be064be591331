"""From the provider's files to outcomes: what became of each request, and the answers handed out."""
