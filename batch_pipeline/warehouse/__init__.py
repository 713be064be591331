"""DuckDB: records, requests, results, typed answers. The only code that opens it."""
