"""From records to request files: what is asked, its fingerprint, its tokens, and the lines within the limits."""
