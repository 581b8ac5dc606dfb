"""Files and processes: complete writes, locks, places, walks."""
