"""Reports: what was spent and how the batches fared, as figures, pictures and a page. No Dagster, no command here."""
