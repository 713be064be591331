"""What a job of any size will take, before it is planned: batches, hours, money, disk."""
