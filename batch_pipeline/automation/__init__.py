"""Partitions, schedules, sensors and jobs."""
