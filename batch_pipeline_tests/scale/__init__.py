"""Real servers for the tests that need them: started here, stopped here, of no use to anybody else."""
