"""Where jobs stand and what they cost, as people are told."""
