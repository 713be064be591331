"""What is asked: `BatchTask`, and one file per task."""
