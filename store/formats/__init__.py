"""File formats, each read with its claims held against its bytes: HDF5, npy, JSON, TOML, CSV, text."""
