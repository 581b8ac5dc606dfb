"""Cluster: one store filled by several machines."""
