"""How a job lives: plan, submit, poll, collect, retry, a file each. No Dagster, no command in here.

Its rooms: `money`, `requests` (from records to files), `outcomes` (from files to answers), `standing` (what is told).
"""
