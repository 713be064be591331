"""Where records come from: GitHub, and files."""
