"""Files and processes: writes that are whole or absent, locks, places, walks."""
