"""What runs by itself: partitions, the schedule and the sensors. Public: `build_batch_monitor`."""
